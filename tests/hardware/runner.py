"""Runs parts, each in a process of its own that may hang or crash."""

import json
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, NamedTuple

from tests.hardware.fakes import Fakes
from tests.hardware.job import Json
from tests.hardware.pace import ROOT, Asked, Pace
from tests.hardware.results import Results

# After SIGTERM the process lets a call come back first.
_END_SECONDS = 6.0
# Without persistence mode the driver wakes each GPU first.
_START_SECONDS = 40.0
_LOOK_SECONDS = 0.1
_MOST_STARTS = 8


class Part(NamedTuple):
    """A part of the run.

    Attributes:
        name: Its name, and that of its module.
        seconds: How long it may take.
        patience: How long one of its steps may take.
        nobody: Whether it gives up root's rights.
        loaded: Whether the GPU has work meanwhile.
        number: Tells several runs of the same part apart.
    """

    name: str
    seconds: float = 30.0
    patience: float = 10.0
    nobody: bool = False
    loaded: bool = False
    number: int = 1

    @property
    def file(self) -> str:
        """Name of its results."""
        named = [
            self.name,
            *(["loaded"] if self.loaded else []),
            *(["nobody"] if self.nobody else []),
            *([str(self.number)] if self.number > 1 else []),
        ]
        return ".".join(named)


class Run:
    """A part that runs, or has run.

    Its process is told by SIGTERM to end, and left behind if it does not: SIGKILL in the middle of
    a call of the driver has frozen cards.

    Args:
        part: Which.
        folder: Where results go.
        pace: How much is measured.
        fakes: Takes private names out.
        until: Time of CLOCK_MONOTONIC at which all has to be over.

    Attributes:
        results: What it has found.
    """

    def __init__(self, part: Part, folder: Path, pace: Pace, fakes: Fakes, until: float) -> None:
        self.part = part
        self.results = Results(folder, part.file, fakes)
        self._pace = pace
        self._until = min(until, time.monotonic() + pace.patience * part.seconds)
        self._begun: list[str] = []
        self._deadline = 0.0
        self._told = threading.Event()
        self.has_told = threading.Event()

    def tell_to_end(self) -> None:
        """Have it end."""
        self._told.set()

    def run(self) -> None:
        """Run it to its end; a step that hangs or crashes is left out, and the next one begins.

        Raises:
            OSError: Results cannot be written.
        """
        begin = time.monotonic()
        self.results.head = {"part": self.part.name, "nobody": self.part.nobody}
        starts, ended = 0, "interrupted"
        try:
            while True:
                starts += 1
                ended = self._start()
                over = self._told.is_set() or time.monotonic() >= self._until
                if not ended or over or starts == _MOST_STARTS or not self._begun:
                    break
        finally:
            self.results.head |= {
                "seconds": round(time.monotonic() - begin, 2),
                "processes": starts,
                "ended": ended or "done",
            }
            self.results.write()
            self.has_told.set()

    def _start(self) -> str:
        """Run a process; return why it did not do all of its steps, empty if it did."""
        known = len(self._begun)
        asked = Asked(
            self.part.name, self.part.nobody, self.part.loaded, tuple(self._begun), self._pace
        )
        with tempfile.TemporaryFile("w+") as log:
            try:
                process = subprocess.Popen(
                    [sys.executable, "-m", "tests.hardware.child", json.dumps(asked)],
                    cwd=ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                )
            except OSError as error:
                return f"not started: {error}"
            try:
                ended = self._follow(process)
            finally:
                left = self._end(process)
            log.seek(0)
            said = log.read()[-2000:]
        if said:
            self.results.take(["tell", ["stderr"], said])
        if not ended and not left and process.returncode:
            ended = _exit_reason(process.returncode)
        ended = " ".join(filter(None, (ended, left)))
        if ended and len(self._begun) > known:
            self.results.note(self._begun[-1], ended)
        elif ended and known:
            # It does not get as far as a step any more.
            self._told.set()
        return ended

    def _follow(self, process: "subprocess.Popen[bytes]") -> str:
        """Take what the process tells; return why it must end, empty if it has ended by itself."""
        assert process.stdout
        lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
        self._deadline = time.monotonic() + self._pace.patience * _START_SECONDS
        while True:
            try:
                line = lines.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                line = b"[]"
            if not line:
                return ""
            self._take(json.loads(line))
            now = time.monotonic()
            if self._told.is_set():
                return "told to end"
            if now >= self._until:
                return "its time was up"
            if now >= self._deadline:
                return "did not return in time"

    def _take(self, line: list[Json]) -> None:
        if line[:1] == ["step"]:
            self._begun.append(line[1])
            self._deadline = time.monotonic() + self._pace.patience * self.part.patience
        elif line:
            self.results.take(line)
            self.has_told.set()

    def _end(self, process: "subprocess.Popen[bytes]") -> str:
        try:
            process.wait(0.5)
        except subprocess.TimeoutExpired:
            process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            return f"and is left behind as process {process.pid}"
        return ""


def _read(stream: IO[bytes], lines: "queue.SimpleQueue[bytes]") -> None:
    for line in stream:
        if line.endswith(b"\n"):
            lines.put(line)
    lines.put(b"")


def _exit_reason(code: int) -> str:
    return f"crashed: {signal.Signals(-code).name}" if code < 0 else f"exit {code}"
