"""The floor: ``python -m tests.bench.constant PORT PLAIN GZIP`` serves two files as constants.

What aiohttp itself needs for a page of these bytes, and nothing else.
"""

import sys
from pathlib import Path

from aiohttp import web

_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def main(port: int, plain: bytes, compressed: bytes) -> None:
    """Serve on the loopback until told to end."""

    async def metrics(request: web.Request) -> web.Response:
        headers = {"Content-Type": _TYPE, "Vary": "Accept, Accept-Encoding"}
        if "gzip" not in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=plain, headers=headers)
        headers["Content-Encoding"] = "gzip"
        return web.Response(body=compressed, headers=headers)

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]).read_bytes(), Path(sys.argv[3]).read_bytes())
