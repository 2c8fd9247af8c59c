"""Listens on addresses."""

from collections.abc import Iterable
from typing import NamedTuple

from aiohttp import web


class Address(NamedTuple):
    """Where to listen; an empty host means every interface."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class ListenError(Exception):
    """An address cannot be listened on; the text says which and why."""


async def listen(app: web.Application, addresses: Iterable[Address]) -> web.AppRunner:
    """Serve an application until the runner's ``cleanup``.

    Raises:
        ListenError: An address is in use or not this machine's.
    """
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=2.0)
    await runner.setup()
    for address in addresses:
        try:
            await web.TCPSite(runner, address.host or None, address.port).start()
        except OSError as error:
            await runner.cleanup()
            reason = error.strerror or str(error)
            raise ListenError(f"cannot listen on {address}: {reason}") from None
        except ValueError:
            await runner.cleanup()
            raise ListenError(f"cannot listen on {address}: that is no host name") from None
    return runner
