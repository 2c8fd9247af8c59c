"""The probe's process: ``python -m gpuglass.probe REQUEST``.

The main thread never calls NVML, so that it can always end the process: when told to by SIGTERM,
or when its standard input closes because the parent is gone.
"""

import os
import signal
import sys
import threading
import time

import pynvml

from gpuglass.probe import frames, identity, request
from gpuglass.probe.events import Events
from gpuglass.probe.nvml import PROCESS_STALE, Library, NvmlError
from gpuglass.probe.worker import Worker

# The parent starts another probe at once: nothing is wrong with this one but its view of NVML.
EXIT_RENEW = 75
# Time that calls under way get to come back before the process ends.
_GRACE_SECONDS = 1.0
_COUNT_SECONDS = 10.0
# These leave nothing behind in the library, so the same process may try again.
_RETRY = frozenset({pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_DRIVER_NOT_LOADED})
_RETRY_SECONDS = 2.0


class Probe:
    """The threads of the process, and how it ends."""

    def __init__(self, asked: request.Request) -> None:
        self._asked = asked
        self._tick = min(asked.intervals.values())
        self._stop = threading.Event()
        self._exit_code = 0
        self._library: Library | None = None
        self._workers: list[Worker] = []
        self._pipe = os.dup(1)
        self._pipe_lock = threading.Lock()
        # What a library prints goes to the log, not into the frames.
        os.dup2(2, 1)

    def run(self) -> int:
        """Read the GPUs until told to stop.

        Returns:
            The exit code of the process.
        """
        signal.signal(signal.SIGTERM, lambda *_: self._end(0))
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides on Ctrl-C
        for task in (self._watch_parent, self._watch_driver):
            threading.Thread(target=task, daemon=True).start()
        while not self._stop.wait(self._tick):
            self._emit(frames.Alive(self._waiting()))
        self._let_go()
        return self._exit_code

    def _end(self, code: int) -> None:
        self._exit_code = code
        self._stop.set()

    def _emit(self, frame: frames.Frame) -> None:
        line = frames.encode(frame)
        with self._pipe_lock:
            try:
                while line:
                    line = line[os.write(self._pipe, line) :]
            except BrokenPipeError:
                self._end(0)

    def _watch_parent(self) -> None:
        while os.read(0, 4096):
            pass
        self._end(0)

    def _watch_driver(self) -> None:
        """Start NVML and a worker for each GPU; end the process when their number changes."""
        while True:
            try:
                self._library = Library()
                driver = identity.driver(self._library)
                break
            except NvmlError as error:
                self._emit(frames.Failure(error.reason, _ADVICE.get(error.code, "")))
                time.sleep(_RETRY_SECONDS)
                if error.code not in _RETRY:
                    self._end(EXIT_RENEW)
                    return
        self._emit(driver)
        for index in range(driver.devices):
            worker = Worker(self._library, index, self._asked, self._emit, self._fatal)
            self._workers.append(worker)
            worker.start()
        if self._asked.xids:
            Events(self._library, driver.devices, self._emit).start()
        while True:
            time.sleep(_COUNT_SECONDS)
            try:
                changed = self._library.number("nvmlDeviceGetCount_v2") != driver.devices
            except NvmlError as error:
                if error.code in PROCESS_STALE:
                    self._fatal(error)
                    return
                continue
            if changed:
                self._end(EXIT_RENEW)

    def _fatal(self, error: NvmlError) -> None:
        self._emit(frames.Failure(error.reason, _ADVICE.get(error.code, "")))
        self._end(EXIT_RENEW)

    def _waiting(self) -> dict[str, tuple[str, float]]:
        return {
            worker.uuid: waiting
            for worker in self._workers
            if (waiting := worker.waiting()) and waiting[1] > self._tick
        }

    def _let_go(self) -> None:
        """Shut NVML down, unless a call is still in it: that would wait for the call."""
        deadline = time.monotonic() + _GRACE_SECONDS
        while any(worker.waiting() for worker in self._workers):
            if time.monotonic() > deadline:
                return
            time.sleep(0.01)
        if self._library and self._workers:
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
    probe = Probe(request.decode(sys.argv[1]))
    # Without the interpreter's own end: it would wait for threads that are stuck in the driver.
    os._exit(probe.run())


main()
