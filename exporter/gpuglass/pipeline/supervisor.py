"""Keeps a probe running, and ends one that has stopped talking.

The ladder: SIGTERM, a wait, and then the process is left behind. It is never killed: a process
that was killed in the middle of a driver call has frozen cards. That is why it is not one of
asyncio's subprocesses, which kills what still runs when it lets go of it. Where all hang, the next
probe leaves the GPU alone whose call was the first that did not return, and after a crash the one
in whose call it was; some time later a probe is started that tries it again. docs/operations.md
tells users of all this.
"""

import asyncio
import logging
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass

import msgspec

from gpuglass.catalogue import exporter as metrics
from gpuglass.catalogue.model import Series
from gpuglass.pipeline.devices import Devices
from gpuglass.pipeline.gate import Gate
from gpuglass.pipeline.page import Block
from gpuglass.pipeline.suspects import Suspects
from gpuglass.probe import frames
from gpuglass.probe.request import Request, encode

_log = logging.getLogger(__name__)

# The probe's own word for "start me again at once".
_EXIT_RENEW = 75
_CAUSES = ("renewed", "retried", "exited", "crashed", "silent")
# Ended because the gate was shut: on purpose, so that it is no restart.
_HELD = "held"
_TERM_SECONDS = 5.0
_POLL_SECONDS = 0.02
_CURRENT_THREAD = re.compile(rb"^Current thread 0x([0-9a-f]+)", re.MULTILINE)
_LONGEST_FRAME = 2**20
_MOST_ABANDONED = 2
_FIRST_DELAY, _LONGEST_DELAY = 0.5, 30.0
# A probe that ran this long was a good one: the next failure starts with a short delay again.
_GOOD_SECONDS = 60.0
# Until its first word a probe may take this long: a busy machine starts Python slowly.
_FIRST_WORD_SECONDS = 10.0
# Without persistence mode the driver wakes each card when it is first asked, seconds a card.
_FIRST_ANSWER_SECONDS = 120.0
_SERIES = (
    *(Series(metrics.PROBE_RESTARTS, (cause,)) for cause in _CAUSES),
    Series(metrics.PROBE_ABANDONED),
)


@dataclass(frozen=True)
class Patience:
    """How long a GPU that does not answer is left alone, in seconds.

    Attributes:
        skip: Until a GPU that was left out is tried again; twice as long each time.
        longest_skip: At the most.
        stuck: Until the probe is replaced because something does not answer while the rest does;
            twice as long each time.
        longest_stuck: At the most.
    """

    skip: float = 60.0
    longest_skip: float = 1800.0
    stuck: float = 600.0
    longest_stuck: float = 3600.0


PATIENCE = Patience()


class Supervisor:
    """Runs the probe's process and feeds its frames to ``devices``.

    Args:
        devices: Takes the frames.
        request: What the probe is to read.
        deadline: Seconds of silence after which the probe is replaced.
        patience: How long a GPU that does not answer is left alone.
        gate: Holds the probe back; without it, nothing does.
    """

    def __init__(
        self,
        devices: Devices,
        request: Request,
        deadline: float,
        patience: Patience = PATIENCE,
        gate: Gate | None = None,
    ) -> None:
        self._devices, self._request, self._patience = devices, request, patience
        self._gate = gate or Gate(devices)
        self._command: tuple[str, ...] = (sys.executable, "-m", "gpuglass.probe")
        self._deadline = deadline + min(request.intervals.values(), default=0.0)
        self._process: subprocess.Popen[bytes] | None = None
        self._abandoned: list[subprocess.Popen[bytes]] = []
        self._restarts = dict.fromkeys(_CAUSES, 0)
        self._heard = 0.0
        # Which GPU each thread of the probe reads.
        self._threads: dict[int, int] = {}
        self._suspects = Suspects(patience.skip, patience.longest_skip)
        # Since when something does not answer, and how long that is left as it is.
        self._troubled_at: float | None = None
        self._stuck = patience.stuck

    def pids(self) -> list[int]:
        """The process ids of the probe, if there is one, and of those left behind."""
        probe = [self._process] if self._process else []
        return [process.pid for process in probe + self._abandoned]

    async def gone(self) -> list[int]:
        """Wait until no probe is running; the process ids of those left behind."""
        while self._process is not None:
            await asyncio.sleep(_POLL_SECONDS)
        self._count_abandoned()
        return self.pids()

    def block(self) -> Block:
        """The page's part."""
        return Block(
            _SERIES, [*map(float, self._restarts.values()), float(self._count_abandoned())]
        )

    async def run(self) -> None:
        """Keep a probe running until cancelled; then ask it to end."""
        delay = _FIRST_DELAY
        while True:
            await self._gate.passage()
            begin = time.monotonic()
            try:
                crash = os.memfd_create("crash")
                try:
                    cause = await self._run_probe(crash)
                finally:
                    os.close(crash)
            except OSError as error:  # no memory, or too many processes
                _log.error("the probe cannot be started: %s", error)
                cause = "exited"
            finally:
                await self._end()
            if cause == _HELD:
                # The GPUs may be reset meanwhile.
                self._suspects.release_all()
                await self._wait_for_room()
                continue
            self._devices.end(f"probe_{cause}", renewed=cause in ("renewed", "retried"))
            self._restarts[cause] += 1
            if cause == "retried":
                continue
            if time.monotonic() - begin > _GOOD_SECONDS:
                delay = _FIRST_DELAY
            _log.warning("the probe ended (%s); the next one starts in %g s", cause, delay)
            await asyncio.sleep(delay)
            delay = min(2 * delay, _LONGEST_DELAY)
            await self._wait_for_room()

    async def _wait_for_room(self) -> None:
        """Wait until fewer probes are left behind than there may be."""
        while self._count_abandoned() >= _MOST_ABANDONED:
            await asyncio.sleep(_LONGEST_DELAY)

    async def _run_probe(self, crash: int) -> str:
        """Start a probe and listen to it until it ends or stops talking; return why.

        Args:
            crash: File descriptor of what Python writes when a signal ends it.
        """
        self._threads = {}
        # A module of the same name in the working directory must not be taken for one of ours.
        environment = {**os.environ, "PYTHONSAFEPATH": "1"}
        request = msgspec.structs.replace(self._request, skip=self._suspects.skipped(), crash=crash)
        self._process = process = subprocess.Popen(
            (*self._command, encode(request)),
            pass_fds=(crash,),
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
        shut = asyncio.ensure_future(self._gate.shut.wait())
        try:
            while not reader.done():
                await asyncio.wait({reader, shut}, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
                if shut.done():
                    return _HELD
                now = time.monotonic()
                if self._is_silent(begin, now):
                    _log.error("the probe tells nothing of the GPUs any more")
                    self._accuse(self._suspect(now), now)
                    return "silent"
                if self._should_retry(begin, now):
                    return "retried"
        finally:
            reader.cancel()
            shut.cancel()
            pipe.close()
        if not await _ended(process):
            return "silent"
        if process.returncode == _EXIT_RENEW:
            self._suspects.release_all()
            return "renewed"
        if process.returncode >= 0:
            return "exited"
        self._accuse(self._crashed_in(crash), time.monotonic())
        return "crashed"

    def _is_silent(self, begin: float, now: float) -> bool:
        """Whether a probe that was started at ``begin`` has stopped talking, or hangs in NVML."""
        patience = self._deadline
        if self._heard == begin:
            patience = max(patience, _FIRST_WORD_SECONDS)
        if now - self._heard > patience or self._devices.stuck(now, self._deadline):
            return True
        news = self._devices.changed_at
        if news > begin and self._devices.answered():
            return False
        return now - max(begin, news) > _FIRST_ANSWER_SECONDS

    def _suspect(self, now: float) -> int | None:
        """The index of the GPU in whose call the probe went silent, if it is known.

        One that froze as a whole was in some call by chance, unless that had lasted long already
        or it happens again.
        """
        froze = now - self._heard > self._deadline and not self._abandoned
        return self._devices.suspect(self._deadline / 2 if froze else 0.0)

    def _accuse(self, suspect: int | None, now: float) -> None:
        """Have the next probes leave a GPU alone for a while, if it is known which."""
        if suspect is not None:
            _log.error("GPU %d is left alone for now: it was in a call on it", suspect)
            self._suspects.accuse(suspect, now)

    def _crashed_in(self, crash: int) -> int | None:
        """The index of the GPU in whose thread the probe crashed, if it was in one."""
        found = _CURRENT_THREAD.search(os.pread(crash, _LONGEST_FRAME, 0))
        return self._threads.get(int(found[1], 16)) if found else None

    def _should_retry(self, begin: float, now: float) -> bool:
        """Whether another probe may reach what the one that was started at ``begin`` does not.

        One that does not end may hold what the next one needs, so beside one that was left behind
        nothing is tried: it would cost the GPUs that answer.
        """
        if now - begin > self._patience.skip:
            self._suspects.acquit(self._devices.well(now))
        if not self._devices.troubled(now):
            self._troubled_at = None
        elif self._troubled_at is None:
            self._troubled_at = now
        if self._devices.all_well(now):
            self._stuck = self._patience.stuck
        if self._count_abandoned():
            return False
        if self._suspects.due(now):
            self._suspects.release(now)
            _log.info("a GPU that did not answer is tried again")
            return True
        if self._troubled_at is not None and now - self._troubled_at > self._stuck:
            self._troubled_at = None
            self._stuck = min(2 * self._stuck, self._patience.longest_stuck)
            _log.warning("something has not answered for long: another probe tries it")
            return True
        return False

    async def _listen(self, stream: asyncio.StreamReader) -> None:
        rest = b""
        while chunk := await stream.read(_LONGEST_FRAME):
            self._heard = time.monotonic()
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._take(line)
                # A scrape need not wait for the frames of all GPUs.
                await asyncio.sleep(0)
            if not rest:
                self._devices.settle()
            elif len(rest) > _LONGEST_FRAME:
                _log.error("the probe sends a line without end")
                rest = b""

    def _take(self, line: bytes) -> None:
        try:
            frame = frames.decode(line)
            if isinstance(frame, frames.Thread):
                self._threads[frame.ident] = frame.gpu
            self._devices.take(frame)
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
