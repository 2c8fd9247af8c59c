"""One thread for each GPU, so that a call that hangs stops no other card's readings."""

import sys
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from gpuglass.probe import frames, identity
from gpuglass.probe.facts import FAST, GROUPS, SLOW
from gpuglass.probe.nvml import PROCESS_STALE, Library, NvmlError
from gpuglass.probe.plan import Plan

_LOST_RETRY_SECONDS = 60.0


class Tempo(NamedTuple):
    """Seconds between two readings of the fast and of the slow group."""

    fast: float
    slow: float


class Worker(threading.Thread):
    """Reads one GPU for as long as the process lives.

    Args:
        library: NVML.
        index: NVML's index of the GPU.
        tempo: How often to read.
        emit: Sends a frame to the parent.
        fatal: Told when NVML has to be started again, in a new process.
    """

    def __init__(
        self,
        library: Library,
        index: int,
        tempo: Tempo,
        emit: Callable[[frames.Frame], None],
        fatal: Callable[[NvmlError], None],
    ) -> None:
        super().__init__(name=f"gpu-{index}", daemon=True)
        self.uuid = ""
        self._library, self._index, self._tempo = library, index, tempo
        self._emit, self._fatal = emit, fatal
        self._call = ""
        self._since = 0.0

    def waiting(self) -> tuple[str, float] | None:
        """The NVML function that the thread is in and for how long, if it is reading now."""
        call = self._call
        return (call, round(time.monotonic() - self._since, 3)) if call else None

    def run(self) -> None:
        """Plan, read until the GPU is gone, and try again a while later."""
        while True:
            try:
                self._read_until_gone()
            except NvmlError as error:
                self._leave()
                if error.code in PROCESS_STALE:
                    self._fatal(error)
                    return
                self._emit(frames.Down(self.uuid, self._index, error.reason))
            except Exception as error:  # a fault of ours must not end the thread unseen
                self._leave()
                print(f"gpuglass probe: GPU {self._index}: {error!r}", file=sys.stderr, flush=True)
                self._emit(frames.Down(self.uuid, self._index, "internal_error"))
            time.sleep(_LOST_RETRY_SECONDS)

    def _read_until_gone(self) -> None:
        self._enter("nvmlDeviceGetHandleByIndex_v2")
        device = self._library.device(self._index)
        self.uuid = identity.uuid(self._library, device)
        info = identity.info(self._library, device)
        slow_due = 0.0
        plan: Plan | None = None
        while True:
            if plan is None or (time.monotonic() >= slow_due and plan.outdated()):
                plan = Plan(self._library, device, self._tempo.fast)
                slow_due = 0.0
                self._announce(info, plan)
            self._read(plan, FAST)
            if time.monotonic() >= slow_due:
                self._read(plan, SLOW)
                slow_due = time.monotonic() + self._tempo.slow
            self._leave()
            time.sleep(_until_next(self._tempo.fast))

    def _announce(self, info: dict[str, str], plan: Plan) -> None:
        columns = {group: plan.columns(group) for group in GROUPS}
        missing = [(*column[:2], reason) for column, reason in plan.missing.items()]
        self._emit(frames.Device(self.uuid, self._index, info, columns, missing))

    def _read(self, plan: Plan, group: str) -> None:
        begin = time.monotonic()
        values = plan.read(group, self._enter)
        now = time.monotonic()
        self._emit(frames.Reading(self.uuid, group, now, now - begin, values))

    def _enter(self, call: str) -> None:
        if not self._call:
            self._since = time.monotonic()
        self._call = call

    def _leave(self) -> None:
        self._call = ""


def _until_next(interval: float) -> float:
    """Seconds to the next multiple of the interval: all GPUs are read at the same moments."""
    return interval - time.monotonic() % interval
