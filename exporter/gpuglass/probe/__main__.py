"""The probe's process: ``python -m gpuglass.probe REQUEST``.

The main thread never calls NVML, so that it can always end the process: when told to by SIGTERM,
or when its standard input closes because the parent is gone.
"""

import contextlib
import faulthandler
import os
import signal
import sys
import threading
import time

import pynvml

from gpuglass.probe import frames, identity, request
from gpuglass.probe.events import Events
from gpuglass.probe.nvml import PROCESS_STALE, Library, NvmlError
from gpuglass.probe.whereabouts import NO_GPU, StoppedError, Whereabouts
from gpuglass.probe.worker import Worker

# The parent starts another probe at once: nothing is wrong with this one but its view of NVML.
EXIT_RENEW = 75
# Time that calls under way get to come back before the process ends.
_GRACE_SECONDS = 1.0
_COUNT_SECONDS = 10.0
# The parent is told at least so often that the probe lives; a call that takes longer is late.
_ALIVE_SECONDS = 1.0
# Readings of a round go out together so long after its tick: the parent is woken once for all GPUs.
_ROUND_SECONDS = 0.05
# These leave nothing behind in the library, so the same process may try again.
_RETRY = frozenset({pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_DRIVER_NOT_LOADED})
_RETRY_SECONDS = 2.0


class Probe:
    """The threads of the process, and how it ends."""

    def __init__(self, asked: request.Request) -> None:
        self._asked = asked
        self._tick = min(_ALIVE_SECONDS, *asked.intervals.values())
        self._stop = threading.Event()
        self._exit_code = 0
        self._library: Library | None = None
        self._where: list[Whereabouts] = []
        self._pipe = os.dup(1)
        self._pipe_lock = threading.Lock()
        self._round = min(_ROUND_SECONDS, self._tick / 4)
        self._unsent: list[bytes] = []
        # What a library prints goes to the log, not into the frames.
        os.dup2(2, 1)

    def run(self) -> int:
        """Read the GPUs until told to stop.

        Returns:
            The exit code of the process.
        """
        # Waited for by a thread: a handler runs amid whatever the main thread does, and would wait
        # for ever for a lock that the main thread has.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides on Ctrl-C
        for task in (self._watch_parent, self._watch_signals, self._watch_driver):
            threading.Thread(target=task, daemon=True).start()
        while not self._stop.wait(self._until_next_round()):
            self._emit(frames.Alive(self._late()))
        self._let_go()
        return self._exit_code

    def _end(self, code: int) -> None:
        if not self._stop.is_set():
            self._exit_code = code
        self._stop.set()

    def _until_next_round(self) -> float:
        """The seconds until the readings of a round go out."""
        return self._tick - (time.monotonic() - self._round) % self._tick

    def _emit(self, frame: frames.Frame) -> None:
        line = frames.encode(frame)
        with self._pipe_lock:
            self._unsent.append(line)
            if isinstance(frame, frames.Reading) and time.monotonic() % self._tick < self._round:
                return
            line = b"".join(self._unsent)
            self._unsent.clear()
            try:
                while line:
                    line = line[os.write(self._pipe, line) :]
            except BrokenPipeError:
                self._end(0)

    def _watch_parent(self) -> None:
        while os.read(0, 4096):
            pass
        self._end(0)

    def _watch_signals(self) -> None:
        signal.sigwait({signal.SIGTERM})
        self._end(0)

    def _watch_driver(self) -> None:
        with contextlib.suppress(StoppedError):
            where = self._new_whereabouts(NO_GPU)
            driver = self._start_driver(where)
            if driver:
                self._start_threads(driver)
                self._count(driver.devices, where)

    def _start_driver(self, where: Whereabouts) -> frames.Driver | None:
        """Start NVML, again and again where that can help.

        Raises:
            StoppedError: The process ends.
        """
        while True:
            try:
                self._library = Library(enter=where.enter)
                driver = identity.driver(self._library)
            except NvmlError as error:
                where.leave()
                self._emit(frames.Failure(error.reason, _ADVICE.get(error.code, "")))
                time.sleep(_RETRY_SECONDS)
                if error.code not in _RETRY:
                    self._end(EXIT_RENEW)
                    return None
            else:
                where.leave()
                self._emit(driver)
                return driver

    def _start_threads(self, driver: frames.Driver) -> None:
        assert self._library
        indexes = [index for index in range(driver.devices) if index not in self._asked.skip]
        for index in range(driver.devices):
            if index not in indexes:
                self._emit(frames.Down("", index, "skipped"))
                continue
            where = self._new_whereabouts(index)
            Worker(self._library, where, self._asked, self._emit, self._fatal).start()
        if self._asked.xids:
            Events(self._library, self._new_whereabouts(NO_GPU), indexes, self._emit).start()

    def _count(self, devices: int, where: Whereabouts) -> None:
        """End the process when there are more GPUs, or fewer.

        Raises:
            StoppedError: The process ends.
        """
        assert self._library
        changed = False
        while not changed:
            time.sleep(_COUNT_SECONDS)
            try:
                changed = self._library.number("nvmlDeviceGetCount_v2") != devices
            except NvmlError as error:
                if error.code in PROCESS_STALE:
                    where.leave()
                    self._fatal(error)
                    return
            where.leave()
        self._end(EXIT_RENEW)

    def _fatal(self, error: NvmlError) -> None:
        self._emit(frames.Failure(error.reason, _ADVICE.get(error.code, "")))
        self._end(EXIT_RENEW)

    def _new_whereabouts(self, index: int) -> Whereabouts:
        where = Whereabouts(index, self._stop)
        self._where.append(where)
        return where

    def _late(self) -> list[frames.Waiting]:
        """The calls that should have returned by now."""
        waiting = [(where.index, where.waiting()) for where in self._where]
        return [
            frames.Waiting(index, *call) for index, call in waiting if call and call[1] > self._tick
        ]

    def _let_go(self) -> None:
        """Shut NVML down, unless a call is still in it: that would wait for the call.

        No call begins any more: whoever wants to make one is stopped.
        """
        deadline = time.monotonic() + _GRACE_SECONDS
        while waits := [waiting for where in self._where if (waiting := where.waiting())]:
            if time.monotonic() > deadline or any(wait > _GRACE_SECONDS for _, wait in waits):
                return
            time.sleep(0.01)
        if self._library:
            shutdown = threading.Thread(target=self._library.shutdown, daemon=True)
            shutdown.start()
            shutdown.join(_GRACE_SECONDS)


_ADVICE = {
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "libnvidia-ml.so.1 is not there: no NVIDIA driver",
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "the NVIDIA kernel module is not loaded",
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: (
        "the driver was replaced while its old module is loaded: reload the module or reboot"
    ),
    pynvml.NVML_ERROR_NO_PERMISSION: "this user may not open /dev/nvidia*",
}


def main() -> None:
    """Run the probe as its command line asks."""
    asked = request.decode(sys.argv[1])
    if asked.crash >= 0:
        faulthandler.enable(asked.crash)
    probe = Probe(asked)
    # Without the interpreter's own end: it would wait for threads that are stuck in the driver.
    os._exit(probe.run())


main()
