"""Checks passwords by bcrypt so that nobody can make it take the machine's time.

bcrypt is slow on purpose. It runs in one thread, beside the event loop, with a bounded line before
it, and rests after each wrong password: so it takes a fifth of one core at most. A password that
was right once is known from then on without it. Clients that have guessed wrong come after those
that have not, and give them their place: many guessers together cannot keep out who has a password
that was not checked yet, as after a restart.
"""

import asyncio
import enum
import hmac
import ipaddress
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

# bcrypt takes no notice of what is beyond.
_MOST_PASSWORD_BYTES = 72
_MOST_KNOWN = 1000
_MOST_WAITING = 16
_MOST_WAITING_OF_ONE = 2
_MOST_GUESSERS = 100_000
# After a wrong password: times as long as its check took.
_REST = 4.0


_Key = TypeVar("_Key", bytes, str)


class Verdict(enum.Enum):
    """What becomes of a name and a password."""

    RIGHT = enum.auto()
    WRONG = enum.auto()
    BUSY = enum.auto()


@dataclass(frozen=True)
class _Check:
    """One to be done."""

    key: bytes
    password: bytes
    hash: bytes
    is_user: bool
    client: str
    verdict: "asyncio.Future[Verdict]" = field(compare=False)


class Passwords:
    """Knows who may come in."""

    def __init__(self) -> None:
        self._users: Mapping[bytes, bytes] = {}
        self._hashes: list[bytes] = []
        # What is kept of names and passwords tells nothing without it.
        self._secret = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._wrong: OrderedDict[bytes, None] = OrderedDict()
        self._guessers: OrderedDict[str, None] = OrderedDict()
        # In the order in which they came.
        self._waiting: dict[bytes, _Check] = {}
        self._checked: _Check | None = None
        self._came = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    def set_users(self, users: Mapping[bytes, bytes]) -> None:
        """Take the bcrypt hashes by name; what is known of others counts no more."""
        self._users = users
        self._hashes = sorted(users.values())

    async def check(self, name: bytes, password: bytes, client: str) -> Verdict:
        """Whether somebody may come in; takes as long for a name that nobody has.

        Args:
            name: Who it is said to be.
            password: The password that came with it.
            client: The address that it came from.
        """
        hash = self._users.get(name)
        is_user = hash is not None
        if hash is None:
            # Some other user's, always the same for this name: the time tells nothing of names.
            hash = self._hashes[self._digest(name)[0] % len(self._hashes)]
        password = password[:_MOST_PASSWORD_BYTES]
        # A name that was a user's, whose hash is another's now, is none any more.
        key = self._digest(name, hash, password, bytes([is_user]))
        for known, verdict in ((self._right, Verdict.RIGHT), (self._wrong, Verdict.WRONG)):
            if key in known:
                known.move_to_end(key)
                return verdict
        check = self._waiting.get(key)
        if check is None:
            client = _network(client)
            if not self._has_place(client):
                return Verdict.BUSY
            future = asyncio.get_running_loop().create_future()
            check = _Check(key, password, hash, is_user, client, future)
            self._waiting[key] = check
            self._came.set()
            self._worker = self._worker or asyncio.create_task(self._work())
        # Who hangs up does not end it: the next request finds it done.
        return await asyncio.shield(check.verdict)

    async def close(self) -> None:
        """Check no more."""
        if self._worker:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
            self._worker = None

    def _has_place(self, client: str) -> bool:
        """Whether a client may join the line; a guesser makes room for one that is none."""
        same = sum(check.client == client for check in self._waiting.values())
        if same >= _MOST_WAITING_OF_ONE:
            return False
        if len(self._waiting) < _MOST_WAITING:
            return True
        if client in self._guessers:
            return False
        for check in reversed(self._waiting.values()):
            if check.client in self._guessers and check is not self._checked:
                del self._waiting[check.key]
                check.verdict.set_result(Verdict.BUSY)
                return True
        return False

    async def _next(self) -> _Check:
        """Who is to be checked: the first that has not guessed wrong, else the first."""
        while not self._waiting:
            self._came.clear()
            await self._came.wait()
        waiting = self._waiting.values()
        return next((each for each in waiting if each.client not in self._guessers), None) or next(
            iter(waiting)
        )

    def _digest(self, *parts: bytes) -> bytes:
        text = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.digest(self._secret, text, "sha256")

    async def _work(self) -> None:
        with ThreadPoolExecutor(1, "bcrypt") as pool:
            while True:
                check = self._checked = await self._next()
                begin = time.monotonic()
                loop = asyncio.get_running_loop()
                fits = await loop.run_in_executor(pool, _fits, check.password, check.hash)
                right = fits and check.is_user
                self._remember(check, right)
                del self._waiting[check.key]
                check.verdict.set_result(Verdict.RIGHT if right else Verdict.WRONG)
                if not right:
                    await asyncio.sleep(_REST * (time.monotonic() - begin))

    def _remember(self, check: _Check, right: bool) -> None:
        if right:
            self._guessers.pop(check.client, None)
            _add(self._right, check.key, _MOST_KNOWN)
        else:
            _add(self._guessers, check.client, _MOST_GUESSERS)
            _add(self._wrong, check.key, _MOST_KNOWN)


def _add(known: "OrderedDict[_Key, None]", key: _Key, most: int) -> None:
    """Remember one more, and forget the oldest where they become too many."""
    known[key] = None
    if len(known) > most:
        known.popitem(last=False)


def _fits(password: bytes, hash: bytes) -> bool:
    import bcrypt  # takes memory that few need

    try:
        return bcrypt.checkpw(password, hash)
    except ValueError:  # a hash of a kind that this library does not know
        return False


def _network(client: str) -> str:
    """An address, or the network that one client has to itself in IPv6."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
