"""Who may ask for what: the web configuration as it is now, held up to each request."""

import asyncio
import base64
import binascii
import ipaddress
import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from gpuglass.text.files import Signature, signature
from gpuglass.web.passwords import Passwords, Verdict
from gpuglass.web.terms import Configuration, ConfigurationError, Rate

if TYPE_CHECKING:
    from gpuglass.text.document import Problem

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
_UNAUTHORIZED = "a name and a password are needed\n"
_TOO_OFTEN = "too many requests; ask less often\n"
_TOO_MANY_CHECKS = "too many passwords to check at once; try again\n"
_NOT_FROM_AFAR = (
    "only this machine may see this, at localhost; for others, give --web.config.file"
    " with basic_auth_users or client certificates\n"
)
_NOT_BY_NAME = "ask for localhost: other names may be a trap\n"


class Protection:
    """Lets requests through, or says why not.

    Args:
        public: Paths that everybody may see where nobody is asked for a password.
        path: The web configuration; ``None`` for none.
        told: Told whether the file as it is now is in force, after each look that found news; and
            the Unix time at which the certificate in force ends, if there is one.

    Raises:
        ConfigurationError: The file cannot be used.
    """

    def __init__(
        self,
        public: frozenset[str],
        path: Path | None = None,
        told: Callable[[bool, float | None], None] = lambda valid, expiry: None,
    ) -> None:
        self._public, self._told = public, told
        self._passwords = Passwords()
        self._bucket: _Bucket | None = None
        self._configuration = Configuration()
        self._watcher: asyncio.Task[None] | None = None
        self._renew: Callable[[], None] = lambda: None
        self._version = _Version((), ())
        if path:
            self._version = _read((path,))
            if self._version.configuration is None:
                raise ConfigurationError(list(self._version.problems))
            self._take(self._version.configuration)
            told(True, self._expiry)

    @property
    def context(self) -> ssl.SSLContext | None:
        """What new clients are to speak; ``None`` for plain HTTP."""
        return self._configuration.tls.context if self._configuration.tls else None

    @property
    def asks_for_password(self) -> bool:
        """Whether a name and a password are asked for, though not on the paths of health."""
        return bool(self._configuration.users)

    def start(self, renew: Callable[[], None]) -> None:
        """Read the file again whenever it has changed; needs a running event loop.

        Args:
            renew: Ends what was begun on other terms.
        """
        self._renew = renew
        if self._version.files:
            self._watcher = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Look no more."""
        if self._watcher:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        await self._passwords.close()

    def allows(self, certificate: Any) -> bool:
        """Whether a client with this certificate may talk to us."""
        tls = self._configuration.tls
        return tls is None or tls.allows(certificate)

    async def add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """Add what the configuration wants in each answer, and tell nobody which versions run."""
        response.headers["Server"] = "gpuglass"
        response.headers.update(self._configuration.headers)

    async def refusal(self, request: web.Request) -> web.Response | None:
        """Why a request is not answered; ``None`` if it is."""
        if self._bucket and not self._bucket.take(time.monotonic()):
            return web.Response(status=429, text=_TOO_OFTEN)
        if self._configuration.users:
            return await self._wrong_password(request)
        if request.path in self._public or self._configuration.asks_who:
            return None
        if not _is_loopback(request.remote or ""):
            return web.Response(status=403, text=_NOT_FROM_AFAR)
        # A page of somebody else's whose name leads here could read ours in a browser. Not
        # request.host, which asks the name server where the header is missing.
        if not _is_own_name(request.headers.get("Host", "localhost")):
            return web.Response(status=403, text=_NOT_BY_NAME)
        return None

    async def _wrong_password(self, request: web.Request) -> web.Response | None:
        given = _credentials(request.headers.get("Authorization", ""))
        verdict = Verdict.WRONG
        if given:
            verdict = await self._passwords.check(*given, request.remote or "")
        if verdict is Verdict.RIGHT:
            return None
        if verdict is Verdict.BUSY:
            return web.Response(status=503, text=_TOO_MANY_CHECKS, headers={"Retry-After": "1"})
        return web.Response(
            status=401,
            text=_UNAUTHORIZED,
            headers={"WWW-Authenticate": 'Basic realm="gpuglass", charset="UTF-8"'},
        )

    async def _watch(self) -> None:
        seen = self._version.signatures
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            # Not here: a file on a network that is gone would hold everything up.
            now = await asyncio.to_thread(_look, self._version.files)
            # A change counts once it has stayed: of a new pair, certificate and key come in turn.
            if now == seen != self._version.signatures:
                self._version = await asyncio.to_thread(_read, self._version.files)
                self._say()
                now = self._version.signatures
            seen = now

    def _say(self) -> None:
        path, new = self._version.files[0], self._version.configuration
        if new:
            self._take(new)
            _log.info("%s is in force as it is now", path)
        else:
            for problem in self._version.problems:
                _log.error("%s", problem)
            _log.error("%s is not taken: what was in force before stays so", path)
        self._told(new is not None, self._expiry)

    @property
    def _expiry(self) -> float | None:
        return self._configuration.tls.expiry if self._configuration.tls else None

    def _take(self, new: Configuration) -> None:
        before, self._configuration = self._configuration, new
        for warning in new.warnings:
            _log.warning("%s", warning)
        if new.rate != before.rate:
            self._bucket = _Bucket(new.rate, time.monotonic()) if new.rate else None
        self._passwords.set_users(new.users)
        if new.tls or before.tls or new.users != before.users:
            self._renew()


@dataclass(frozen=True)
class _Version:
    """What was read at once: the web configuration is the first of the files.

    Attributes:
        files: All that it depends on.
        signatures: How they looked before they were read.
        configuration: What they say, if nothing is wrong.
        problems: What is wrong.
    """

    files: tuple[Path, ...]
    signatures: tuple[Signature, ...]
    configuration: Configuration | None = None
    problems: "tuple[Problem, ...]" = ()


def _read(files: tuple[Path, ...]) -> _Version:
    """Read it all, again if it names files that were not known to belong to it."""
    from gpuglass.web.configuration import load  # and PyYAML with it

    signatures = _look(files)
    try:
        configuration = load(files[0])
    except ConfigurationError as error:
        named = error.files
        version = _Version(files, signatures, problems=tuple(error.problems))
    else:
        named = configuration.files
        version = _Version(files, signatures, configuration)
    needed = tuple(dict.fromkeys((files[0], *named)))
    return version if set(needed) <= set(files) else _read(needed)


def _look(files: tuple[Path, ...]) -> tuple[Signature, ...]:
    return tuple(signature(path) for path in files)


class _Bucket:
    """Tokens that come one by one and are taken by requests."""

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate, self._tokens, self._at = rate, float(rate.burst), now

    def take(self, now: float) -> bool:
        came = (now - self._at) / self._rate.interval
        self._tokens, self._at = min(self._rate.burst, self._tokens + came), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def _credentials(header: str) -> tuple[bytes, bytes] | None:
    """Name and password of an ``Authorization`` header, if that is what it has."""
    scheme, _, text = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(text.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return (name, password) if colon else None


def _is_loopback(client: str) -> bool:
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _is_own_name(host: str) -> bool:
    """Whether a ``Host`` header is an address, or a name that stands for this machine only."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    name = name.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
