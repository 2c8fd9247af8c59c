"""Keeps a probe running, and ends one that has stopped talking.

The ladder: SIGTERM, a wait, and then the process is left behind. It is never killed: a process
that was killed in the middle of a driver call has frozen cards.
"""

import asyncio
import contextlib
import logging
import os
import sys
import time
from asyncio.subprocess import PIPE, Process

from gpuglass.catalogue import exporter as metrics
from gpuglass.catalogue.model import Series
from gpuglass.pipeline.devices import Devices
from gpuglass.pipeline.page import Block
from gpuglass.probe import frames

_log = logging.getLogger(__name__)

# The probe's own word for "start me again at once".
_EXIT_RENEW = 75
_CAUSES = ("renewed", "exited", "crashed", "silent")
_TERM_SECONDS = 5.0
_MOST_ABANDONED = 2
_FIRST_DELAY, _LONGEST_DELAY = 0.5, 30.0
# A probe that ran this long was a good one: the next failure starts with a short delay again.
_GOOD_SECONDS = 60.0
_SERIES = (
    *(Series(metrics.PROBE_RESTARTS, (cause,)) for cause in _CAUSES),
    Series(metrics.PROBE_ABANDONED),
)


class Supervisor:
    """Runs the probe's process and feeds its frames to ``devices``.

    Args:
        devices: Takes the frames.
        fast: Seconds between two readings of the fast facts.
        slow: Seconds between two readings of the slow facts.
        deadline: Seconds of silence after which the probe is replaced.
    """

    def __init__(self, devices: Devices, fast: float, slow: float, deadline: float) -> None:
        self._devices = devices
        self._arguments = (sys.executable, "-m", "gpuglass.probe", str(fast), str(slow))
        self._deadline = deadline + fast
        self._process: Process | None = None
        self._abandoned: list[Process] = []
        self._restarts = dict.fromkeys(_CAUSES, 0)
        self._heard = 0.0

    @property
    def pid(self) -> int | None:
        """The process id of the probe; ``None`` between two of them."""
        return self._process.pid if self._process else None

    def block(self) -> Block:
        """The page's part."""
        return Block(_SERIES, [*map(float, self._restarts.values()), float(len(self._abandoned))])

    async def run(self) -> None:
        """Keep a probe running until cancelled; then ask it to end."""
        delay = _FIRST_DELAY
        while True:
            begin = time.monotonic()
            try:
                cause = await self._run_probe()
            finally:
                await self._end()
            self._devices.end(f"probe_{cause}")
            self._restarts[cause] += 1
            if time.monotonic() - begin > _GOOD_SECONDS:
                delay = _FIRST_DELAY
            _log.warning("the probe ended (%s); the next one starts in %g s", cause, delay)
            await asyncio.sleep(delay)
            delay = min(2 * delay, _LONGEST_DELAY)
            while self._count_abandoned() >= _MOST_ABANDONED:
                await asyncio.sleep(_LONGEST_DELAY)

    async def _run_probe(self) -> str:
        """Start a probe and listen to it until it ends or stops talking; return why."""
        # A module of the same name in the working directory must not be taken for one of ours.
        environment = {**os.environ, "PYTHONSAFEPATH": "1"}
        self._process = process = await asyncio.create_subprocess_exec(
            *self._arguments, stdin=PIPE, stdout=PIPE, env=environment
        )
        self._heard = time.monotonic()
        reader = asyncio.ensure_future(self._listen(process))
        try:
            while not reader.done():
                await asyncio.wait({reader}, timeout=1.0)
                now = time.monotonic()
                if now - self._heard > self._deadline or self._devices.stuck(now, self._deadline):
                    _log.error("the probe has been silent for %g s", self._deadline)
                    return "silent"
        finally:
            reader.cancel()
        code = await process.wait()
        if code == _EXIT_RENEW:
            return "renewed"
        return "crashed" if code < 0 else "exited"

    async def _listen(self, process: Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            self._heard = time.monotonic()
            try:
                self._devices.take(frames.decode(line))
            except ValueError as error:
                _log.error("%s", error)

    async def _end(self) -> None:
        """Ask the probe to end; leave it behind if it does not."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _TERM_SECONDS)
        except asyncio.TimeoutError:
            _log.error("the probe, process %d, does not end: left behind", process.pid)
            self._abandoned.append(process)

    def _count_abandoned(self) -> int:
        self._abandoned = [p for p in self._abandoned if p.returncode is None]
        return len(self._abandoned)
