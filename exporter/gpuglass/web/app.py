"""The routes of the exporter."""

from typing import Protocol

from aiohttp import web

from gpuglass.web import live, negotiation, pages
from gpuglass.web.answers import Shared, Stream
from gpuglass.web.connections import Connections, Limits
from gpuglass.web.protection import Protection
from gpuglass.web.server import Listener

_HEALTHY, _READY = "/-/healthy", "/-/ready"


class Source(live.Source, Protocol):
    """What the routes show."""

    def page(self, openmetrics: bool = False, gzip: bool = False) -> bytes:
        """The page of metrics."""
        ...

    def complete(self) -> bool:
        """Whether everything has been read at least once, or it is known why it cannot be."""
        ...

    def trouble(self) -> str:
        """Why the GPUs cannot be read; empty while they can."""
        ...


def build(source: Source, telemetry_path: str, limits: Limits, protection: Protection) -> Listener:
    """The web application, which listens once it is started.

    Args:
        source: Where the page comes from.
        telemetry_path: The path of the page.
        limits: What clients can take.
        protection: Who may ask for what.
    """
    routes = _Routes(source, protection)
    connections = Connections(limits, protection, frozenset({_HEALTHY, _READY}))
    app = web.Application(middlewares=[connections.answer])
    app.on_response_prepare.append(protection.add_headers)
    app.router.add_get(telemetry_path, routes.metrics)
    app.router.add_get(_HEALTHY, routes.healthy)
    app.router.add_get(_READY, routes.ready)
    app.router.add_get("/api/v1/snapshot", routes.snapshot)
    app.router.add_get("/api/v1/stream", routes.stream)
    if telemetry_path != "/":
        files = pages.Pages(telemetry_path)
        app.router.add_get("/", files.index)
        app.router.add_get("/static/{name:.+}", files.file)
    app.on_shutdown.append(routes.end_streams)
    return Listener(app, connections)


class _Routes:
    def __init__(self, source: Source, protection: Protection) -> None:
        self._source = source
        self._protection = protection
        self._live = live.Live(source)

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        headers = request.headers
        openmetrics = negotiation.openmetrics(headers.get("Accept", ""))
        content_type = negotiation.OPENMETRICS if openmetrics else negotiation.TEXT
        answer = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
        gzip = negotiation.gzip(headers.get("Accept-Encoding", ""))
        if gzip:
            answer["Content-Encoding"] = "gzip"
        return Shared(self._source.page(openmetrics, gzip), answer)

    async def healthy(self, request: web.Request) -> web.Response:
        """The process answers; says nothing of the GPUs, so that nobody restarts it for them."""
        return web.Response(text="healthy\n")

    async def ready(self, request: web.Request) -> web.Response:
        """Whether the page is whole: all has been read, or it is known why it cannot be.

        A lost GPU or a missing driver is news to be scraped, not a reason to be passed over.
        """
        if not self._source.complete():
            return web.Response(status=503, text="starting\n", headers={"Retry-After": "1"})
        # Whoever has no password hears this too, and nothing of what passwords are for.
        trouble = "" if self._protection.asks_for_password else self._source.trouble()
        return web.Response(text=f"ready, but for GPUs: {trouble}\n" if trouble else "ready\n")

    async def snapshot(self, request: web.Request) -> web.StreamResponse:
        gzip = negotiation.gzip(request.headers.get("Accept-Encoding", ""))
        return Shared(self._source.snapshot(gzip), _api("application/json", gzip))

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Every round, as server-sent events, until the client leaves."""
        gzip = negotiation.gzip(request.headers.get("Accept-Encoding", ""))
        headers = {**_api("text/event-stream", gzip), "X-Accel-Buffering": "no"}
        return Stream(self._live.events(gzip), headers)

    async def end_streams(self, app: web.Application) -> None:
        self._live.end()


def _api(content_type: str, gzip: bool) -> dict[str, str]:
    headers = {
        **pages.HEADERS,
        "Content-Type": f"{content_type}; charset=utf-8",
        "Cache-Control": "no-store",
        "Vary": "Accept-Encoding",
    }
    return {**headers, "Content-Encoding": "gzip"} if gzip else headers
