"""Holds the probe back while somebody wants the GPUs left alone."""

import asyncio

from gpuglass.pipeline.devices import Devices

# Why the GPUs are left alone; the first that holds is the one that is told.
RELEASED = "released"
SUSPENDED = "suspended"
_REASONS = (RELEASED, SUSPENDED)


class Gate:
    """What the probe has to pass before it starts.

    Args:
        devices: Are told why nothing is read.

    Attributes:
        shut: Set while the probe must not run.
    """

    def __init__(self, devices: Devices) -> None:
        self._devices = devices
        self._closed: set[str] = set()
        self._passable = asyncio.Event()
        self._passable.set()
        self.shut = asyncio.Event()

    def close(self, reason: str) -> None:
        """Let nobody pass until this reason is taken back with ``open``."""
        self._closed.add(reason)
        self._passable.clear()
        self.shut.set()
        self._tell()

    def open(self, reason: str) -> None:
        """Take a reason back; the gate opens if it was the last one."""
        if reason not in self._closed:
            return
        self._closed.remove(reason)
        if self._closed:
            self._tell()
            return
        self.shut.clear()
        self._devices.resume()
        self._passable.set()

    async def passage(self) -> None:
        """Wait until the probe may start."""
        while self._closed:
            # Again: the last frames of the probe may have come since the gate was closed.
            self._tell()
            await self._passable.wait()

    def _tell(self) -> None:
        self._devices.hold(next(reason for reason in _REASONS if reason in self._closed))
