"""Answers that many clients get: one that is slow keeps only a piece of them for itself."""

from collections.abc import AsyncGenerator, Iterator, Mapping

from aiohttp import web

_PIECE = 65536


def pieces(body: bytes) -> Iterator[memoryview]:
    """A body, in order."""
    whole = memoryview(body)
    for begin in range(0, len(whole), _PIECE):
        yield whole[begin : begin + _PIECE]


class Shared(web.StreamResponse):
    """An answer of a known length.

    Args:
        body: The body.
        headers: All headers but the length.
    """

    def __init__(self, body: bytes, headers: Mapping[str, str]) -> None:
        super().__init__(headers=dict(headers))
        self.content_length = len(body)
        self.body = body


class Stream(web.StreamResponse):
    """An answer that goes on until its source ends, or the client leaves.

    Args:
        parts: The body, part by part.
        headers: All headers.
    """

    def __init__(self, parts: AsyncGenerator[bytes, None], headers: Mapping[str, str]) -> None:
        super().__init__(headers=dict(headers))
        self.parts = parts
