"""Keeps a probe running, and ends one that has stopped talking.

The ladder: SIGTERM, a wait, and then the process is left behind. It is never killed: a process
that was killed in the middle of a driver call has frozen cards. That is why it is not one of
asyncio's subprocesses, which kills what still runs when it lets go of it.
"""

import asyncio
import logging
import os
import subprocess
import sys
import time

from gpuglass.catalogue import exporter as metrics
from gpuglass.catalogue.model import Series
from gpuglass.pipeline.devices import Devices
from gpuglass.pipeline.page import Block
from gpuglass.probe import frames
from gpuglass.probe.request import Request, encode

_log = logging.getLogger(__name__)

# The probe's own word for "start me again at once".
_EXIT_RENEW = 75
_CAUSES = ("renewed", "exited", "crashed", "silent")
_TERM_SECONDS = 5.0
_POLL_SECONDS = 0.02
_LONGEST_FRAME = 2**20
_MOST_ABANDONED = 2
_FIRST_DELAY, _LONGEST_DELAY = 0.5, 30.0
# A probe that ran this long was a good one: the next failure starts with a short delay again.
_GOOD_SECONDS = 60.0
# Without persistence mode the driver wakes each card when it is first asked, seconds a card.
_FIRST_ANSWER_SECONDS = 120.0
_SERIES = (
    *(Series(metrics.PROBE_RESTARTS, (cause,)) for cause in _CAUSES),
    Series(metrics.PROBE_ABANDONED),
)


class Supervisor:
    """Runs the probe's process and feeds its frames to ``devices``.

    Args:
        devices: Takes the frames.
        request: What the probe is to read.
        deadline: Seconds of silence after which the probe is replaced.
    """

    def __init__(self, devices: Devices, request: Request, deadline: float) -> None:
        self._devices = devices
        self._arguments = (sys.executable, "-m", "gpuglass.probe", encode(request))
        self._deadline = deadline + min(request.intervals.values(), default=0.0)
        self._process: subprocess.Popen[bytes] | None = None
        self._abandoned: list[subprocess.Popen[bytes]] = []
        self._restarts = dict.fromkeys(_CAUSES, 0)
        self._heard = 0.0

    def pids(self) -> list[int]:
        """The process ids of the probe, if there is one, and of those left behind."""
        probe = [self._process] if self._process else []
        return [process.pid for process in probe + self._abandoned]

    def block(self) -> Block:
        """The page's part."""
        return Block(
            _SERIES, [*map(float, self._restarts.values()), float(self._count_abandoned())]
        )

    async def run(self) -> None:
        """Keep a probe running until cancelled; then ask it to end."""
        delay = _FIRST_DELAY
        while True:
            begin = time.monotonic()
            try:
                cause = await self._run_probe()
            except OSError as error:  # no memory, or too many processes
                _log.error("the probe cannot be started: %s", error)
                cause = "exited"
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
        self._process = process = subprocess.Popen(
            self._arguments,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        stream = asyncio.StreamReader(limit=_LONGEST_FRAME)
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), process.stdout
        )
        self._heard = begin = time.monotonic()
        reader = asyncio.ensure_future(self._listen(stream))
        try:
            while not reader.done():
                await asyncio.wait({reader}, timeout=1.0)
                if self._is_silent(begin, time.monotonic()):
                    _log.error("the probe tells nothing of the GPUs any more")
                    return "silent"
        finally:
            reader.cancel()
            pipe.close()
        if not await _ended(process):
            return "silent"
        if process.returncode == _EXIT_RENEW:
            return "renewed"
        return "crashed" if process.returncode < 0 else "exited"

    def _is_silent(self, begin: float, now: float) -> bool:
        """Whether a probe that was started at ``begin`` has stopped talking, or hangs in NVML."""
        if now - self._heard > self._deadline or self._devices.stuck(now, self._deadline):
            return True
        news = self._devices.changed_at
        if news > begin and self._devices.complete():
            return False
        return now - max(begin, news) > _FIRST_ANSWER_SECONDS

    async def _listen(self, stream: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await stream.readline()
                if not line:
                    return
                self._heard = time.monotonic()
                self._devices.take(frames.decode(line))
            except Exception as error:  # one bad frame must not end the others
                _log.error("the probe sends what cannot be used: %r", error)

    async def _end(self) -> None:
        """Ask the probe to end; leave it behind if it does not."""
        process = self._process
        if process is None:
            return
        assert process.stdin
        process.stdin.close()
        process.terminate()
        ended = await _ended(process)
        self._process = None
        if not ended:
            _log.error("the probe, process %d, does not end: left behind", process.pid)
            self._abandoned.append(process)

    def _count_abandoned(self) -> int:
        self._abandoned = [process for process in self._abandoned if process.poll() is None]
        return len(self._abandoned)


async def _ended(process: "subprocess.Popen[bytes]") -> bool:
    """Whether a process ends within the time that it is given."""
    deadline = time.monotonic() + _TERM_SECONDS
    while process.poll() is None:
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_POLL_SECONDS)
    return True
