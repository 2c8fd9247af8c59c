"""One thread for each GPU, so that a call that hangs stops no other card's readings."""

import sys
import threading
import time
from collections.abc import Callable

from gpuglass.probe import frames, identity
from gpuglass.probe.nvml import PROCESS_STALE, Library, NvmlError
from gpuglass.probe.plan import Plan
from gpuglass.probe.request import Request

_LOST_RETRY_SECONDS = 60.0


class Worker(threading.Thread):
    """Reads one GPU for as long as the process lives.

    Args:
        library: NVML.
        index: NVML's index of the GPU.
        asked: What to read; of its groups the first one the most often.
        emit: Sends a frame to the parent.
        fatal: Told when NVML has to be started again, in a new process.
    """

    def __init__(
        self,
        library: Library,
        index: int,
        asked: Request,
        emit: Callable[[frames.Frame], None],
        fatal: Callable[[NvmlError], None],
    ) -> None:
        super().__init__(name=f"gpu-{index}", daemon=True)
        self.uuid = ""
        self._library, self._index, self._asked = library, index, asked
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
        plan = Plan(self._library, device, self._asked)
        self._announce(info, plan)
        intervals = self._asked.intervals
        due = dict.fromkeys(intervals, 0.0)
        tick = min(intervals.values())
        listed: object = "nobody has been told"
        while True:
            begin = time.monotonic()
            groups = [group for group, moment in due.items() if moment <= begin]
            if plan.renew(groups, self._enter):
                self._announce(info, plan)
            values = plan.read(groups, self._enter)
            if plan.processes and plan.processes.listed is not listed:
                listed = plan.processes.listed
                self._emit(frames.Processes(self.uuid, plan.processes.listed))
            now = time.monotonic()
            self._emit(frames.Reading(self.uuid, now, now - begin, values))
            self._leave()
            due |= {group: _next(intervals[group], begin) for group in groups}
            time.sleep(_next(tick, now) - now)

    def _announce(self, info: dict[str, str], plan: Plan) -> None:
        missing = [(*column[:2], reason) for column, reason in plan.missing.items()]
        self._emit(frames.Device(self.uuid, self._index, info, plan.columns, missing, plan.refused))

    def _enter(self, call: str) -> None:
        if not self._call:
            self._since = time.monotonic()
        self._call = call

    def _leave(self) -> None:
        self._call = ""


def _next(interval: float, now: float) -> float:
    """The next multiple of the interval: all GPUs are read at the same moments."""
    return (now // interval + 1) * interval
