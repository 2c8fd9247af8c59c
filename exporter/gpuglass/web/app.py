"""The routes of the exporter."""

import html
from typing import Protocol

from aiohttp import web

import gpuglass
from gpuglass.web import negotiation
from gpuglass.web.connections import Connections, Limits, Shared
from gpuglass.web.protection import Protection
from gpuglass.web.server import Listener

_HEALTHY, _READY = "/-/healthy", "/-/ready"


class Source(Protocol):
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
    routes = _Routes(source, telemetry_path)
    connections = Connections(limits, protection, frozenset({_HEALTHY, _READY}))
    app = web.Application(middlewares=[connections.answer])
    app.on_response_prepare.append(protection.add_headers)
    app.router.add_get(telemetry_path, routes.metrics)
    app.router.add_get(_HEALTHY, routes.healthy)
    app.router.add_get(_READY, routes.ready)
    if telemetry_path != "/":
        app.router.add_get("/", routes.landing)
    return Listener(app, connections)


class _Routes:
    def __init__(self, source: Source, telemetry_path: str) -> None:
        self._source = source
        self._telemetry_path = telemetry_path

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
        trouble = self._source.trouble()
        return web.Response(text=f"ready, but for GPUs: {trouble}\n" if trouble else "ready\n")

    async def landing(self, request: web.Request) -> web.Response:
        path = html.escape(self._telemetry_path)
        return web.Response(
            text=_LANDING.format(version=gpuglass.__version__, path=path, state=self._state()),
            content_type="text/html",
        )

    def _state(self) -> str:
        trouble = self._source.trouble()
        return f"GPUs cannot be read: {html.escape(trouble)}" if trouble else "All is read."


_LANDING = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>gpuglass exporter</title>
<style>
  :root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }}
  body {{ max-width: 40rem; margin: 4rem auto; padding: 0 1rem; }}
  dt {{ float: left; clear: left; width: 9rem; }}
  dd {{ margin: 0 0 .25rem 9rem; }}
  .quiet {{ opacity: .65; }}
</style>
<h1>gpuglass exporter</h1>
<p>{state}</p>
<dl>
  <dt><a href="{path}">{path}</a></dt><dd>metrics of this machine and its GPUs</dd>
  <dt><a href="/-/healthy">/-/healthy</a></dt><dd>the exporter answers</dd>
  <dt><a href="/-/ready">/-/ready</a></dt><dd>the page is whole</dd>
</dl>
<p class="quiet">Version {version}</p>
</html>
"""
