"""The live page: a few files, served as they are."""

import hashlib
import html
from collections.abc import Iterator
from importlib import resources
from string import Template

from aiohttp import web

import gpuglass
from gpuglass.pipeline import compression
from gpuglass.web import negotiation
from gpuglass.web.answers import Shared

_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_FILES = resources.files(__package__) / "static"
_INDEX = "index.html"
# Names and labels that strangers chose are on this page: whatever gets past us must not run.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Pages:
    """The files of the live page.

    Args:
        telemetry_path: Where the metrics are.
    """

    def __init__(self, telemetry_path: str) -> None:
        self._words = {
            "telemetry_path": html.escape(telemetry_path),
            "version": html.escape(gpuglass.__version__),
        }
        self._names = frozenset(_names())

    async def index(self, request: web.Request) -> web.StreamResponse:
        """The page itself."""
        text = Template(_read(_INDEX).decode()).substitute(self._words)
        return _answer(request, "html", text.encode())

    async def file(self, request: web.Request) -> web.StreamResponse:
        """What it needs."""
        name = request.match_info["name"]
        if name not in self._names:
            raise web.HTTPNotFound
        return _answer(request, name.rpartition(".")[2], _read(name))


def _names() -> Iterator[str]:
    """All files but the page itself: ours, and in a folder of their own those of others."""
    for item in _FILES.iterdir():
        if item.is_dir():
            yield from (f"{item.name}/{inner.name}" for inner in item.iterdir())
        elif item.name != _INDEX:
            yield item.name


def _read(name: str) -> bytes:
    return (_FILES / name).read_bytes()


def _answer(request: web.Request, suffix: str, body: bytes) -> web.StreamResponse:
    """A file, unless the client has it: it asks each time, so that an update is seen at once."""
    tag = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {**HEADERS, "Cache-Control": "no-cache", "ETag": tag, "Vary": "Accept-Encoding"}
    if tag in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    headers["Content-Type"] = _TYPES.get(suffix, "application/octet-stream")
    if negotiation.gzip(request.headers.get("Accept-Encoding", "")):
        headers["Content-Encoding"] = "gzip"
        body = compression.gzip(body)
    return Shared(body, headers)
