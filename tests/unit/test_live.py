"""Open pages share each round."""

import asyncio
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable

import pytest

from gpuglass.web import live
from gpuglass.web.live import Live


class Source:
    """A source whose rounds are called by the test."""

    def __init__(self) -> None:
        self.rendered = 0
        self.waiting = 0
        self._news = asyncio.Event()

    def snapshot(self, gzip: bool = False) -> bytes:
        self.rendered += 1
        return b'{"round":%d}' % self.rendered

    def history(self) -> bytes:
        return b"{}"

    async def round(self) -> None:
        self.waiting += 1
        await self._news.wait()
        self.waiting -= 1

    def tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


@pytest.fixture
async def source(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Source]:
    monkeypatch.setattr(live, "_STEP_SECONDS", 0.0)
    yield Source()


async def until(condition: Callable[[], bool]) -> None:
    async def look() -> None:
        while not condition():
            await asyncio.sleep(0)

    await asyncio.wait_for(look(), 20)


async def opened(page: AsyncGenerator[bytes, None]) -> list[bytes]:
    """What a page gets at once: the last minutes and the newest facts."""
    return [await anext(page), await anext(page)]


async def test_one_rendering_a_round_for_all_pages(source: Source) -> None:
    pages = Live(source)
    three = [pages.events(False) for _ in range(3)]
    for page in three:
        history, snapshot = await opened(page)
        assert history == b"event: history\ndata: {}\n\n"
        assert snapshot.startswith(b"event: snapshot\ndata: ")
    before = source.rendered
    for number in range(before + 1, before + 4):
        await until(lambda: source.waiting == 1)
        source.tell()
        got = [await anext(page) for page in three]
        assert got == [b'event: snapshot\ndata: {"round":%d}\n\n' % number] * 3
    assert source.rendered == before + 3
    pages.end()


async def test_nothing_is_done_while_no_page_is_open(source: Source) -> None:
    pages = Live(source)
    assert source.waiting == 0
    page = pages.events(False)
    await opened(page)
    await until(lambda: source.waiting == 1)
    await page.aclose()
    source.tell()
    await until(lambda: source.waiting == 0)
    rendered = source.rendered
    await asyncio.sleep(0.05)
    assert (source.waiting, source.rendered) == (0, rendered)
    # And the next page that opens is told again.
    page = pages.events(False)
    await opened(page)
    await until(lambda: source.waiting == 1)
    source.tell()
    assert b"round" in await anext(page)
    pages.end()


async def test_a_slow_page_gets_the_newest_round_only(source: Source) -> None:
    pages = Live(source)
    slow, quick = pages.events(False), pages.events(False)
    await opened(slow)
    await opened(quick)
    for _ in range(5):
        await until(lambda: source.waiting == 1)
        source.tell()
        newest = await anext(quick)
    assert await anext(slow) == newest
    pages.end()


async def test_what_is_compressed_for_one_is_right_for_all(source: Source) -> None:
    pages = Live(source)
    early = pages.events(True)
    parts = [*await opened(early)]
    later = pages.events(True)
    late_parts = [*await opened(later)]
    for _ in range(3):
        await until(lambda: source.waiting == 1)
        source.tell()
        one, other = await anext(early), await anext(later)
        assert one is other
        parts.append(one)
        late_parts.append(other)
    for all in (parts, late_parts):
        text = zlib.decompressobj(31).decompress(b"".join(all))
        assert text.count(b"event: snapshot\n") == 4
        assert text.endswith(b"\n\n")
    pages.end()


async def test_the_end_lets_all_go(source: Source) -> None:
    pages = Live(source)
    three = [pages.events(False) for _ in range(3)]
    for page in three:
        await opened(page)
    pages.end()
    for page in three:
        with pytest.raises(StopAsyncIteration):
            await anext(page)
