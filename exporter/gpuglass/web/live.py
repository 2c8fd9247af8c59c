"""Pages that are open get each round of readings, which is written once for all of them."""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Protocol

from gpuglass.pipeline import compression

# However often the GPUs are read: nobody can look faster.
_STEP_SECONDS = 0.9


class Source(Protocol):
    """Where the facts come from."""

    def snapshot(self, gzip: bool = False) -> bytes:
        """All facts as JSON."""
        ...

    def history(self) -> bytes:
        """The last five minutes as JSON."""
        ...

    async def round(self) -> None:
        """Wait for something new."""
        ...


class Live:
    """All pages that are open; while there is none it does nothing.

    Args:
        source: Where the facts come from.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._watchers: set[_Watcher] = set()
        self._task: asyncio.Task[None] | None = None
        self._ended = False

    async def events(self, gzip: bool) -> AsyncGenerator[bytes, None]:
        """What one page gets: the last five minutes, and then each round.

        A page that is too slow for that misses rounds; it always gets the newest.

        Args:
            gzip: Whether to compress each event.
        """
        watcher = _Watcher()
        self._watchers.add(watcher)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._follow())
        try:
            history = _Event("history", self._source.history())[gzip]
            yield compression.GZIP_HEADER + history if gzip else history
            yield _Event("snapshot", self._source.snapshot())[gzip]
            while event := await watcher.next():
                yield event[gzip]
        finally:
            self._watchers.discard(watcher)

    def end(self) -> None:
        """Tell no more: those who still listen are let go."""
        self._ended = True
        if self._task:
            self._task.cancel()
        for watcher in self._watchers:
            watcher.offer(None)

    async def _follow(self) -> None:
        while self._watchers and not self._ended:
            begin = time.monotonic()
            await self._source.round()
            await asyncio.sleep(_STEP_SECONDS - (time.monotonic() - begin))
            event = _Event("snapshot", self._source.snapshot())
            for watcher in self._watchers:
                watcher.offer(event)


class _Watcher:
    """One page; keeps the newest event only."""

    def __init__(self) -> None:
        self._newest: _Event | None = None
        self._told = asyncio.Event()

    def offer(self, event: "_Event | None") -> None:
        self._newest = event
        self._told.set()

    async def next(self) -> "_Event | None":
        await self._told.wait()
        self._told.clear()
        return self._newest


class _Event:
    """A server-sent event, plain and compressed, each made when it is first asked for.

    It is compressed on its own and flushed, so that it may stand in any stream: what has been
    compressed for one page is right for all of them, whenever they came.
    """

    def __init__(self, name: str, json: bytes) -> None:
        self._plain = b"event: %s\ndata: %s\n\n" % (name.encode(), json)
        self._compressed = b""

    def __getitem__(self, gzip: bool) -> bytes:
        if not gzip:
            return self._plain
        if not self._compressed:
            self._compressed = compression.flushed(self._plain)
        return self._compressed
