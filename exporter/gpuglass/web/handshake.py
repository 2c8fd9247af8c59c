"""A client's way to a connection with TLS.

Not asyncio's own ``ssl=``: that keeps one set of certificates for as long as it listens, tells
nobody of a handshake that goes wrong or takes for ever, and has a buffer of 256 KiB for each
client.
"""

import asyncio
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from typing import Any

_HANDSHAKE_SECONDS = 10


class Handshake(SSLProtocol):
    """TLS between a socket and a protocol.

    Args:
        protocol: What talks with the client from then on.
        context: What is spoken.
        made: Told the socket's transport, before anything is said.
        lost: Told that the client is gone, also in the middle of its handshake.
    """

    max_size = 16384

    def __init__(
        self,
        protocol: asyncio.Protocol,
        context: ssl.SSLContext,
        made: Callable[[asyncio.Transport], None],
        lost: Callable[[], None],
    ) -> None:
        super().__init__(
            asyncio.get_running_loop(),
            protocol,
            context,
            None,  # type: ignore[arg-type]  # nobody waits for it
            server_side=True,
            ssl_handshake_timeout=_HANDSHAKE_SECONDS,
        )
        self._made, self._lost = made, lost

    def connection_made(self, transport: Any) -> None:
        """Take a new socket, and begin."""
        # What is sent waits here as little as it does without TLS.
        transport.set_write_buffer_limits(high=0)
        self._made(transport)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Take the news that the client is gone."""
        self._lost()
        super().connection_lost(exc)
