"""Listens on addresses."""

import asyncio
import socket
from collections.abc import Iterable
from typing import NamedTuple

from aiohttp import web

from gpuglass.web.connections import Connections

# How many clients are accepted in one go: few, so that those who have to go are gone before more
# come, and file descriptors suffice.
_AT_ONCE = 32
# How many may wait for it.
_BACKLOG = 1024
_END_SECONDS = 2.0


class Address(NamedTuple):
    """Where to listen; an empty host means every interface."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class ListenError(Exception):
    """An address cannot be listened on; the text says which and why."""


class Listener:
    """An application that is served until ``close``.

    Args:
        app: What is served.
        connections: Bounds its clients.
    """

    def __init__(self, app: web.Application, connections: Connections) -> None:
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=_END_SECONDS
        )
        self._connections = connections
        self._servers: list[asyncio.Server] = []

    async def start(self, addresses: Iterable[Address]) -> None:
        """Listen.

        Raises:
            ListenError: An address is in use or not this machine's.
        """
        await self._runner.setup()
        assert self._runner.server
        self._connections.serve(self._runner.server)
        self._connections.protection.start(self._connections.renew)
        loop = asyncio.get_running_loop()
        for address in addresses:
            try:
                server = await loop.create_server(
                    self._connections, address.host or None, address.port, backlog=_AT_ONCE
                )
            except OSError as error:
                await self.close()
                reason = error.strerror or str(error)
                raise ListenError(f"cannot listen on {address}: {reason}") from None
            except ValueError:
                await self.close()
                raise ListenError(f"cannot listen on {address}: that is no host name") from None
            self._servers.append(server)
            for listening in server.sockets:
                with socket.fromfd(listening.fileno(), listening.family, listening.type) as same:
                    same.listen(_BACKLOG)

    async def close(self) -> None:
        """Listen no more, and let the answers under way be taken for a moment."""
        for server in self._servers:
            server.close()
        await self._runner.cleanup()
        self._connections.stop()
        await self._connections.protection.stop()
