"""Questions to the programs beside us, in HTTP and JSON."""

import base64
import http.client
import ipaddress
import json
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

_TIMEOUT = 10.0
_MOST = 1 << 16
_PIECE = 1 << 16


class HttpError(Exception):
    """No good answer came.

    Attributes:
        status: The HTTP status of a refusal; None if nothing answered.
        reason: What is known of the cause, in one line.
        body: The beginning of a refusal's own text.
    """

    def __init__(self, status: int | None, reason: str, body: str = "") -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason
        self.body = body


class Login(NamedTuple):
    """Who we are to a server that asks: a user, and the file with the password, read each time."""

    user: str
    file: Path

    def headers(self) -> dict[str, str]:
        """What says so; nothing while the file cannot be read, for not every server asks."""
        try:
            return basic(self.user, self.file.read_text().rstrip())
        except (OSError, ValueError):
            return {}

    def refused(self) -> str:
        """What is to be said of a server that refused us."""
        try:
            self.file.read_text()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            return f"asks for the password in {self.file}, which cannot be read ({reason})"
        return f"refuses the password in {self.file}"


@dataclass(frozen=True)
class Way:
    """How to reach somebody else's server.

    Attributes:
        headers: What to send besides, but not to where an answer may redirect us.
        tls: How to trust an ``https`` address; as this machine does if None.
        direct: Whether to pass by the proxies of the environment.
        login: Who we are, if we have a password.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    direct: bool = False
    login: Login | None = None

    def refused(self) -> str:
        """What is to be said of a server that answered 401."""
        if self.login is None:
            return "asks for a password; name the file that holds it with --password-file"
        return self.login.refused()


PLAIN = Way()


def basic(user: str, password: str) -> dict[str, str]:
    """The header of HTTP's basic authentication."""
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def ask(
    address: str,
    body: Any = None,
    method: str | None = None,
    timeout: float = _TIMEOUT,
    way: Way = PLAIN,
    most: int | None = None,
) -> bytes:
    """Send one request.

    Args:
        address: The whole URL.
        body: What to send: bytes as they are, anything else as JSON; nothing if None.
        method: GET, or POST with a body, unless it is named.
        timeout: Seconds to wait at most.
        way: How to get there.
        most: How many bytes are taken, within ``timeout`` altogether; any number if None.

    Returns:
        The body of the answer.

    Raises:
        HttpError: Nobody answers, with a status that is no success, or with too much.
    """
    as_is = body is None or isinstance(body, bytes)
    data = body if as_is else json.dumps(body).encode()
    headers = {} if as_is else {"Content-Type": "application/json"}
    try:
        request = urllib.request.Request(address, data, headers, method=method)
        login = way.login.headers() if way.login else {}
        for name, value in {**way.headers, **login}.items():
            request.add_unredirected_header(name, value)
        proxies = urllib.request.ProxyHandler({}) if way.direct else _Proxies()
        https = urllib.request.HTTPSHandler(context=way.tls)
        opener = urllib.request.build_opener(proxies, https)
        with opener.open(request, timeout=timeout) as answer:
            return bytes(answer.read()) if most is None else _read(answer, most, timeout)
    except urllib.error.HTTPError as error:
        with error:
            body = _body(error)
        told = " ".join(body.split())[:300] or str(error.reason)
        raise HttpError(error.code, told, body) from None
    # An address that is none is a ValueError.
    except (OSError, http.client.HTTPException, ValueError) as error:
        cause = getattr(error, "reason", error)
        raise HttpError(None, str(getattr(cause, "strerror", None) or cause)) from None


def _read(answer: Any, most: int, timeout: float) -> bytes:
    """What a stranger sends, who may go on for ever, or a byte at a time."""
    end = time.monotonic() + timeout
    content = bytearray()
    # Read here: Python before 3.12 does not count down what is left.
    length: int | None = answer.length
    while length is None or len(content) < length:
        piece = answer.read1(_PIECE)
        if not piece and length is not None:
            raise http.client.IncompleteRead(bytes(content), length - len(content))
        if not piece:
            break
        content += piece
        if len(content) > most:
            raise HttpError(None, f"more than {most >> 20} MiB come")
        if time.monotonic() > end:
            raise HttpError(None, "its answer does not come to an end in time")
    return bytes(content)


class _Proxies(urllib.request.ProxyHandler):
    """The proxies of the environment, but none on the way to this machine: as programs in Go."""

    def proxy_open(
        self, req: urllib.request.Request, proxy: str, type: str
    ) -> http.client.HTTPResponse | None:
        if _is_here(urllib.parse.urlsplit(req.full_url).hostname or ""):
            return None
        return super().proxy_open(req, proxy, type)


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _body(error: urllib.error.HTTPError) -> str:
    try:
        return error.read(_MOST).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return ""
