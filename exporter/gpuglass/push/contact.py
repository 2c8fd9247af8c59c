"""Whether the monitoring host takes what this worker pushes, and how far apart the clocks are."""

import contextlib
import email.utils
import http.client
import socket
import ssl
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass

from gpuglass.push.credentials import HOST_NAME, Credentials

_TIMEOUT = 10.0
_ROUTE = "/api/v1/write"
# A message without samples, in snappy: a length of 0.
_EMPTY = b"\0"
# The host's Date is cut down to whole seconds.
_HALF = 0.5


class ContactError(OSError):
    """The host does not take what is pushed; the text says why and what to do."""


class RefusedError(ContactError):
    """The host answers, and does not know the token."""


@dataclass(frozen=True)
class Contact:
    """An answer of the host.

    Attributes:
        offset: Seconds that this machine's clock is ahead of the host's.
        precision: By how many seconds that may be wrong.
    """

    offset: float
    precision: float


def make(
    url: str,
    credentials: Credentials,
    timeout: float = _TIMEOUT,
    clock: Callable[[], float] = time.time,
) -> Contact:
    """Push nothing, to see whether it is taken.

    Args:
        url: Where the host is, ``https://HOST:PORT``.
        credentials: What this worker was given.
        timeout: Seconds to wait at most, for each step.
        clock: Gives Unix time in seconds.

    Raises:
        RefusedError: The token is not known there.
        ContactError: It is not taken for another reason.
    """
    parts = urllib.parse.urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    try:
        with contextlib.ExitStack() as stack:
            plain = stack.enter_context(socket.create_connection((host, port), timeout))
            context = credentials.context()
            secure = stack.enter_context(context.wrap_socket(plain, server_hostname=HOST_NAME))
            connection = http.client.HTTPConnection(host, port)
            connection.sock = secure
            before = clock()
            status, date = _ask(connection, credentials.token)
            after = clock()
    except ssl.SSLCertVerificationError as error:
        raise ContactError(
            f"{url} is not the host that this worker was added on, or has another CA by now "
            f"({error.verify_message}); add the worker there anew, with gpuglass workers add"
        ) from None
    except socket.gaierror as error:
        raise ContactError(
            f"{url} cannot be reached: this machine does not know {host} ({error.strerror}); write "
            "an address by which it reaches the monitoring host"
        ) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ContactError(
            f"{url} cannot be reached ({reason}); is GPUGLASS_PUSH=yes there, and does a firewall "
            "let this machine through?"
        ) from None
    if status in (401, 403):
        raise RefusedError(
            f"{url} does not know the token of {credentials.node}: it is wrong or was revoked; "
            f"on the monitoring host: gpuglass workers add {credentials.node}"
        )
    if status // 100 != 2:
        raise ContactError(f"{url} answers with HTTP {status}; see vmauth's log there")
    return _contact(date, before, after)


def _ask(connection: http.client.HTTPConnection, token: str) -> tuple[int, str]:
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Encoding": "snappy",
        "Content-Type": "application/x-protobuf",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    }
    connection.request("POST", _ROUTE, _EMPTY, headers)
    answer = connection.getresponse()
    answer.read(1024)
    return answer.status, answer.headers.get("Date", "")


def _contact(date: str, before: float, after: float) -> Contact:
    try:
        there = email.utils.parsedate_to_datetime(date).timestamp() + _HALF
    except (ValueError, TypeError):
        raise ContactError("what answers tells no time, so it is not vmauth") from None
    return Contact((before + after) / 2 - there, _HALF + (after - before) / 2)
