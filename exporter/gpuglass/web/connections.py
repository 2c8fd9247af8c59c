"""Bounds what clients can take: how many of them there are, how long each, and how much memory.

Each connection has to bring its request, and to take the answer, within a deadline. Where all
places are taken, the one that has been quiet or slow for longest makes way, so that neither idle
nor slow clients keep others out. What is over the bounds nonetheless is told to come back.
"""

import asyncio
import contextlib
import enum
import http
import logging
import resource
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from gpuglass.web.answers import Shared, Stream, pieces
from gpuglass.web.handshake import Handshake
from gpuglass.web.protection import Protection

_log = logging.getLogger(__name__)

# Scrapers that come less often than this connect anew each time.
_IDLE_SECONDS = 90.0
# A client that has had this long makes way for the next where all places are taken.
_FAIR_SECONDS = 1.0
_SWEEP_SECONDS = 1.0
# One that has not even begun to ask makes way sooner.
_SILENT_SECONDS = 0.1
# A request body, which nobody needs to send, is thrown away for this long.
_BODY_SECONDS = 2
_MOST_CONNECTIONS = 512
_LEAST_CONNECTIONS = 32
# File descriptors that are not the clients': those being accepted or refused, and all others.
_OTHER_FILES = 256
_MOST_REFUSALS = 64
_LONGEST_COMPLAINT = 200
_BUSY_TEXT = "too many requests at once; try again\n"
_BUSY_HEADERS = {"Retry-After": "1"}
_BUSY = (
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
    f"Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len(_BUSY_TEXT)}\r\n\r\n"
    f"{_BUSY_TEXT}"
).encode()
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Limits:
    """What clients can take.

    Attributes:
        requests: How many answers are under way at once.
        seconds: The time that a client has to send its request, and again to take the answer, or
            the next part of one that goes on.
        streams: How many answers that go on are under way at once, besides the others.
    """

    requests: int = 40
    seconds: float = 30.0
    streams: int = 32


class _State(enum.Enum):
    SILENT = enum.auto()
    IDLE = enum.auto()
    ASKING = enum.auto()
    ANSWERED = enum.auto()
    WATCHING = enum.auto()


class Connection(web.RequestHandler):
    """One client.

    Attributes:
        state: What it is at: nothing so far, nothing between two requests, sending a request,
            taking an answer, or waiting for the next part of one that goes on.
        since: When that began, in the event loop's seconds.
        ended: Whether it has nothing more to say: most such clients are gone.
        outdated: Whether it was let in on terms that are no longer those of the configuration.
    """

    def __init__(self, connections: "Connections", server: web.Server, **settings: Any) -> None:
        self._connections = connections
        self._clock = asyncio.get_running_loop()
        self._socket: asyncio.Transport | None = None
        self.ended = False
        self.outdated = False
        super().__init__(server, loop=self._clock, **settings)
        self.enter(_State.SILENT)

    def enter(self, state: _State) -> None:
        """Note that the client is at something else now."""
        self.state = state
        self.since = self._clock.time()
        if self.ended and state is not _State.ANSWERED:
            self._clock.call_later(_FAIR_SECONDS, self._close_if_done)

    def drop(self) -> None:
        """End the connection now, and throw away what the client has not taken."""
        if self.transport is None:
            if self._socket:
                self._socket.abort()
            return
        if self.state is _State.ANSWERED:
            connection = self.transport.get_extra_info("socket")
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()

    def socket_made(self, transport: asyncio.Transport) -> None:
        """Take the socket of a client that has yet to begin with TLS."""
        self._socket = transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a new connection: an answer is under way until the kernel has all of it."""
        assert isinstance(transport, asyncio.WriteTransport)
        # With a limit of 0 asyncio's TLS pauses and resumes in turns.
        transport.set_write_buffer_limits(high=1, low=0)
        super().connection_made(transport)
        if not self._connections.protection.allows(transport.get_extra_info("peercert")):
            self.drop()

    def data_received(self, data: bytes) -> None:
        """Take what the client has sent: the first bytes of a request start its deadline."""
        if data and self.state is _State.IDLE:
            self.enter(_State.ASKING)
        elif data and self.state is _State.SILENT:
            self.state = _State.ASKING  # the time since it has connected counts
        elif data and self.state is _State.WATCHING:
            self.drop()  # there is no end after which it could be answered
            return
        super().data_received(data)

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio's, not aiohttp's
        """Take the end of what the client sends; it may wait for its answers nonetheless."""
        super().eof_received()
        self.ended = True
        self._clock.call_later(_FAIR_SECONDS, self._close_if_done)
        return self._socket is None  # TLS knows no half of a connection

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the connection."""
        self._connections.forget(self)
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no request in one line; only what is our own fault is logged."""
        if status >= 500:
            return super().handle_error(request, status, exc, message)
        _log.debug("a client sends what is no request: %r", exc)
        first = next(iter((message or "").splitlines()), "")
        complaint = "".join(c for c in first if c.isprintable())[:_LONGEST_COMPLAINT].strip(" :")
        phrase = http.HTTPStatus(status).phrase
        response = web.Response(status=status, text=f"{phrase}: {complaint or 'no HTTP'}\n")
        response.force_close()
        return response

    def _close_if_done(self) -> None:
        done = self._clock.time() - self.since >= _FAIR_SECONDS
        if self.state is not _State.ANSWERED and done and self.transport:
            self.transport.close()


class Connections:
    """All clients.

    Args:
        limits: What they can take.
        protection: Who may ask for what.
        unlimited: Paths that are answered always.
    """

    def __init__(
        self, limits: Limits, protection: Protection, unlimited: frozenset[str] = frozenset()
    ) -> None:
        self.protection = protection
        self._limits = limits
        self._unlimited = unlimited
        self._open: set[Connection] = set()
        self._answered: dict[Connection, None] = {}
        self._streams: set[Connection] = set()
        self._refusals: set[_Refusal] = set()
        self._most = _most_connections()
        self._server: web.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None

    def serve(self, server: web.Server) -> None:
        """Hand requests to this server from now on."""
        self._server = server
        self._sweep()

    def stop(self) -> None:
        """Keep no deadlines any more."""
        if self._sweeper:
            self._sweeper.cancel()

    def renew(self) -> None:
        """Let nobody go on under the terms of an earlier configuration."""
        for connection in list(self._open):
            connection.outdated = True
            if connection.state is not _State.ANSWERED:
                connection.drop()

    def __call__(self) -> asyncio.BaseProtocol:
        """What talks with a client that has just connected."""
        assert self._server
        context = self.protection.context
        if len(self._open) >= self._most and not self._make_room():
            # In the midst of TLS there is no way to say it.
            return _Refusal(self._refusals, b"" if context else _BUSY)
        connection = Connection(
            self,
            self._server,
            access_log=None,
            keepalive_timeout=_IDLE_SECONDS,
            lingering_time=_BODY_SECONDS,
        )
        self._open.add(connection)
        if context is None:
            return connection
        return Handshake(
            connection, context, connection.socket_made, lambda: self.forget(connection)
        )

    def forget(self, connection: Connection) -> None:
        """Take the news that a client is gone."""
        self._open.discard(connection)
        self._answered.pop(connection, None)
        self._streams.discard(connection)

    @web.middleware
    async def answer(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Answer a request, if there is a place for it, and stay with it until it is taken."""
        connection = request.protocol
        assert isinstance(connection, Connection)
        connection.enter(_State.ANSWERED)
        try:
            response: web.StreamResponse | None = None
            if request.path not in self._unlimited:
                response = await self.protection.refusal(request)
                if response is None and not self._has_place(connection):
                    response = _busy()
            if response is None:
                response = await handler(request)
            if isinstance(response, Stream) and not self._may_stream(connection):
                response = _busy()
            if connection.outdated:
                response.force_close()
            await _send(request, response, connection)
            return response
        except web.HTTPException as error:
            await _send(request, error, connection)
            raise
        finally:
            self._answered.pop(connection, None)
            self._streams.discard(connection)
            connection.enter(_State.IDLE)

    def _has_place(self, connection: Connection) -> bool:
        if len(self._answered) >= self._limits.requests:
            first = next(iter(self._answered))
            if connection.since - first.since < _FAIR_SECONDS:
                return False
            del self._answered[first]
            first.drop()
        self._answered[connection] = None
        return True

    def _may_stream(self, connection: Connection) -> bool:
        """Move a client from those who are to be answered soon to those who stay."""
        if len(self._streams) >= self._limits.streams:
            return False
        self._answered.pop(connection, None)
        self._streams.add(connection)
        return True

    def _make_room(self) -> bool:
        """Drop whoever has been quiet for longest, if that is long enough."""
        now = asyncio.get_running_loop().time()
        quiet = [c for c in self._open if c.state not in (_State.ANSWERED, _State.WATCHING)]
        if not quiet:
            return False
        first = max(quiet, key=lambda connection: _excess(connection, now))
        if _excess(first, now) < 0:
            return False
        self._open.discard(first)
        first.drop()
        return True

    def _sweep(self) -> None:
        """Drop those whose time is over."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in list(self._open):
            if connection.state is _State.WATCHING:
                continue
            idle = connection.state is _State.IDLE
            if now - connection.since > (_IDLE_SECONDS if idle else self._limits.seconds):
                connection.drop()
        self._sweeper = loop.call_later(_SWEEP_SECONDS, self._sweep)


class _Refusal(asyncio.Protocol):
    """Tells a client to come back, if there is a way to, and hangs up."""

    def __init__(self, all: "set[_Refusal]", words: bytes) -> None:
        self._all, self._words = all, words

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if len(self._all) >= _MOST_REFUSALS or not self._words:
            transport.abort()
            return
        self._all.add(self)
        transport.write(self._words)
        with contextlib.suppress(OSError):  # it has hung up itself
            transport.write_eof()
        # What the client still sends is read, or the answer would be lost with the connection.
        asyncio.get_running_loop().call_later(_FAIR_SECONDS, transport.abort)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._all.discard(self)


def _excess(connection: Connection, now: float) -> float:
    """For how long a quiet client has had more than its fair time."""
    if connection.ended and connection.state is _State.IDLE:
        return now - connection.since  # it has its answer
    fair = _SILENT_SECONDS if connection.state is _State.SILENT else _FAIR_SECONDS
    return now - connection.since - fair


def _busy() -> web.Response:
    response = web.Response(status=503, text=_BUSY_TEXT, headers=_BUSY_HEADERS)
    response.force_close()
    return response


async def _send(request: web.Request, response: web.StreamResponse, connection: Connection) -> None:
    with contextlib.suppress(ConnectionError):
        await response.prepare(request)
        if request.method == "HEAD":
            pass
        elif isinstance(response, Shared):
            await _write(request, response, response.body)
        elif isinstance(response, Stream):
            async with contextlib.aclosing(response.parts) as parts:
                async for part in parts:
                    connection.enter(_State.ANSWERED)
                    await _write(request, response, part)
                    if connection.outdated:
                        break
                    connection.enter(_State.WATCHING)
        await response.write_eof()
        await request.writer.drain()


async def _write(request: web.Request, response: web.StreamResponse, body: bytes) -> None:
    for piece in pieces(body):
        await response.write(piece)
        await request.writer.drain()


def _most_connections() -> int:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return _MOST_CONNECTIONS
    return max(_LEAST_CONNECTIONS, min(_MOST_CONNECTIONS, files - _OTHER_FILES))
