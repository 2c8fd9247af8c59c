"""One thread for each GPU, so that a call that hangs stops no other card's readings."""

import sys
import threading
import time
from collections.abc import Callable

from gpuglass.probe import frames, identity
from gpuglass.probe.nvml import PROCESS_STALE, Library, NvmlError
from gpuglass.probe.plan import Plan
from gpuglass.probe.request import Request
from gpuglass.probe.whereabouts import StoppedError, Whereabouts

# A GPU that is gone is asked again so many seconds later, and then less and less often.
_FIRST_RETRY_SECONDS, _LONGEST_RETRY_SECONDS = 1.0, 60.0
# A handle may come to mean another card: GPUs were taken out and found again.
_IDENTITY_SECONDS = 10.0


# One after the other: threads that take turns call by call cost half as much again. A call that
# hangs holds the others up for no longer than this.
_TURN = threading.Lock()
_TURN_SECONDS = 0.05


class Worker(threading.Thread):
    """Reads one GPU for as long as the process lives.

    Args:
        library: NVML.
        where: Tells others in which call the thread is.
        asked: What to read; of its groups the first one the most often.
        emit: Sends a frame to the parent.
        fatal: Told when NVML has to be started again, in a new process.
    """

    def __init__(
        self,
        library: Library,
        where: Whereabouts,
        asked: Request,
        emit: Callable[[frames.Frame], None],
        fatal: Callable[[NvmlError], None],
    ) -> None:
        super().__init__(name=f"gpu-{where.index}", daemon=True)
        self.uuid = ""
        self._library, self._where = library.for_thread(where.enter), where
        self._asked, self._emit, self._fatal = asked, emit, fatal
        self._retry = _FIRST_RETRY_SECONDS

    def run(self) -> None:
        """Plan, read until the GPU is gone, and try again a while later."""
        index = self._where.index
        self._emit(frames.Thread(index, threading.get_ident()))
        while True:
            try:
                self._read_while_there()
                continue
            except StoppedError:
                return
            except NvmlError as error:
                self._where.leave()
                if error.code in PROCESS_STALE:
                    self._fatal(error)
                    return
                self._emit(frames.Down(self.uuid, index, error.reason))
            except Exception as error:  # a fault of ours must not end the thread unseen
                self._where.leave()
                print(f"gpuglass probe: GPU {index}: {error!r}", file=sys.stderr, flush=True)
                self._emit(frames.Down(self.uuid, index, "internal_error"))
            time.sleep(self._retry)
            self._retry = min(2 * self._retry, _LONGEST_RETRY_SECONDS)

    def _read_while_there(self) -> None:
        """Read the card until another one has taken its index.

        Raises:
            NvmlError: It does not answer any more, or NVML has to be started again.
            StoppedError: The process ends.
        """
        device = self._library.device(self._where.index)
        self.uuid = identity.uuid(self._library, device)
        info = identity.info(self._library, device)
        plan = Plan(self._library, device, self._asked)
        self._announce(info, plan)
        intervals = self._asked.intervals
        due = dict.fromkeys(intervals, 0.0)
        tick = min(intervals.values())
        look_at = time.monotonic() + _IDENTITY_SECONDS
        listed: object = "nobody has been told"
        while True:
            begin = time.monotonic()
            if begin >= look_at:
                if identity.uuid(self._library, device) != self.uuid:
                    return
                look_at = begin + _IDENTITY_SECONDS
            groups = [group for group, moment in due.items() if moment <= begin]
            if plan.renew(groups, self._where.enter):
                self._announce(info, plan)
            mine = _TURN.acquire(timeout=_TURN_SECONDS)
            try:
                values = plan.read(groups, self._where.enter)
            finally:
                if mine:
                    _TURN.release()
            if plan.processes and plan.processes.listed is not listed:
                listed = plan.processes.listed
                self._emit(frames.Processes(self.uuid, plan.processes.listed))
            now = time.monotonic()
            self._emit(frames.Reading(self.uuid, now, now - begin, values))
            self._where.leave()
            self._retry = _FIRST_RETRY_SECONDS
            due |= {group: _next(intervals[group], begin) for group in groups}
            time.sleep(_next(tick, now) - now)

    def _announce(self, info: dict[str, str], plan: Plan) -> None:
        missing = [(*column[:2], reason) for column, reason in plan.missing.items()]
        self._emit(
            frames.Device(self.uuid, self._where.index, info, plan.columns, missing, plan.refused)
        )


def _next(interval: float, now: float) -> float:
    """The next multiple of the interval: all GPUs are read at the same moments."""
    return (now // interval + 1) * interval
