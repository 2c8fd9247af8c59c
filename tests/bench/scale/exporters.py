"""``python -m tests.bench.scale.exporters PAGES PORT NODES``: many nodes, by one process.

Each node has an address of its own on the loopback, all of them the same port. A page is made as it
is asked for, out of what all nodes share, and compressed as the exporter compresses.
"""

import asyncio
import gc
import json
import sys
import time
from functools import partial
from pathlib import Path

from tests.bench.scale.page import Page

from gpuglass.pipeline import compression
from gpuglass.web.negotiation import TEXT

# Later than any node lags.
_HEAD_START = 3600
_NODES_PER_NET = 250


def address(number: int) -> str:
    """Where a node is."""
    net, host = divmod(number, _NODES_PER_NET)
    return f"127.77.{net}.{host + 1}"


class _Exporter(asyncio.Protocol):
    """A connection to one of the nodes."""

    def __init__(self, page: Page, begin: float, number: int) -> None:
        self._page, self._begin, self._number = page, begin, number
        self._request = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._request += data
        while b"\r\n\r\n" in self._request:
            _, _, self._request = self._request.partition(b"\r\n\r\n")
            self._transport.write(self._answer())

    def _answer(self) -> bytes:
        second = int(time.monotonic() - self._begin)
        body = compression.gzip(self._page.of(self._number, second))
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: {TEXT}\r\nContent-Encoding: gzip\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


async def _serve(page: Page, port: int, nodes: int) -> None:
    loop, begin = asyncio.get_running_loop(), time.monotonic() - _HEAD_START
    for number in range(nodes):
        made = partial(_Exporter, page, begin, number)
        await loop.create_server(made, address(number), port)
    print("ready", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Serve until it is ended."""
    pages, port, nodes = sys.argv[1:]
    page = Page(json.loads(Path(pages).read_text()))
    # Nothing that lives on makes a cycle.
    gc.disable()
    asyncio.run(_serve(page, int(port), int(nodes)))


if __name__ == "__main__":
    main()
