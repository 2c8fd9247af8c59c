"""Lets go of the GPUs for a while, because somebody has asked for them."""

import asyncio
import logging
import time

from gpuglass.catalogue import exporter as metrics
from gpuglass.catalogue.model import Series
from gpuglass.pipeline.gate import RELEASED, Gate
from gpuglass.pipeline.page import Block

_log = logging.getLogger(__name__)

_SERIES = (Series(metrics.RELEASED_UNTIL),)


class Release:
    """The time for which the GPUs are let go.

    Args:
        gate: What the probe has to pass.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._until: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, seconds: float) -> float:
        """Let go of the GPUs from now on; again, and only the end of it changes.

        Args:
            seconds: For how long.

        Returns:
            The Unix time at which they are taken back.
        """
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.end)
        self._until = time.time() + seconds
        self._gate.close(RELEASED)
        _log.info("the GPUs are let go for %g s", seconds)
        return self._until

    def end(self) -> bool:
        """Take the GPUs back; whether they were let go."""
        if self._timer is None:
            return False
        self._timer.cancel()
        self._timer = self._until = None
        self._gate.open(RELEASED)
        _log.info("the GPUs are taken back")
        return True

    def block(self) -> Block:
        """The page's part."""
        return Block(_SERIES, [self._until])
