"""What the probe has told: the driver, the GPUs, and what is wrong."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from gpuglass.catalogue import device
from gpuglass.catalogue import exporter as metrics
from gpuglass.catalogue.groups import patience
from gpuglass.catalogue.model import Series
from gpuglass.pipeline.gpu import Gpu
from gpuglass.pipeline.page import Block
from gpuglass.pipeline.usage import Usage
from gpuglass.pipeline.xids import Xids
from gpuglass.probe import frames

_log = logging.getLogger(__name__)

# The probe's word for a GPU that it was told not to touch.
SKIPPED = "skipped"
# A call that takes longer is worth a series.
_LATE_SECONDS = 1.0
# The probe is to start again after the GPUs were left alone.
_RESUMING = "resuming"


class Status(NamedTuple):
    """How a collector does.

    Attributes:
        collector: Its name.
        failure: Why it fails, as one token; empty if it does not.
        duration: Seconds that its last run took; ``None`` before the first.
        last_success: Unix time of its last success; ``None`` before the first.
        age: Seconds since the data on the page were read; ``None`` where there are none.
    """

    collector: str
    failure: str
    duration: float | None
    last_success: float | None
    age: float | None


class Devices:
    """Every GPU that the probe has ever announced, and the driver.

    Args:
        intervals: Seconds between two readings of each group of a GPU's facts, the core first.
        xids: Takes the XIDs that NVML tells of.
        new_usage: Makes what keeps the processes and owners of a GPU, from its UUID.

    Attributes:
        changed_at: When something new was told to its end, in seconds of CLOCK_MONOTONIC.
        round: Set when the probe has told all that it read in a round.
    """

    def __init__(
        self, intervals: Mapping[str, float], xids: Xids, new_usage: Callable[[str], Usage]
    ) -> None:
        self._intervals = intervals
        self._patience = patience(min(intervals.values(), default=0.0))
        self._xids, self._new_usage = xids, new_usage
        # By UUID all that were ever there; by index those that this probe has announced, and what
        # it has told of those that it could not announce.
        self._gpus: dict[str, Gpu] = {}
        self._listed: dict[int, Gpu] = {}
        self._unannounced: dict[int, frames.Down] = {}
        self._failure = "starting"
        self._driver = Block()
        self._expected = -1
        self._waiting: list[frames.Waiting] = []
        self._late: tuple[Series, ...] = ()
        self._renewing = False
        self._last_success: float | None = None
        self.changed_at = 0.0
        self._news = self._round_told = False
        self.round = asyncio.Event()

    def take(self, frame: frames.Frame) -> None:
        """Take what the probe tells; a change counts from the next ``settle`` on.

        Raises:
            ValueError: The frame speaks of a GPU that was not announced.
        """
        if isinstance(frame, frames.Alive):
            self._waiting = frame.waiting
            self._round_told = True
            return
        if isinstance(frame, frames.Thread):
            return
        self._news = True
        if isinstance(frame, frames.Reading):
            self._gpu(frame.uuid).read(frame)
            self._last_success = time.time() // 1
            self._renewing = self._renewing and not self.answered()
        elif isinstance(frame, frames.Device):
            self._announce(frame)
        elif isinstance(frame, frames.Processes):
            self._gpu(frame.uuid).enter(frame)
        elif isinstance(frame, frames.Xid):
            self._xids.add(frame.uuid, frame.xid, frame.count, frame.time)
        elif isinstance(frame, frames.XidSource):
            self._xids.told_by_nvml(frame.reason)
        elif isinstance(frame, frames.Down):
            self._lose(frame)
        elif isinstance(frame, frames.Driver):
            self._welcome(frame)
        elif isinstance(frame, frames.Failure):
            self._fail(frame)

    def settle(self) -> None:
        """Take the news that all was told for now: half a round is not worth a page."""
        if self._news:
            self._news = False
            self.changed_at = time.monotonic()
        if self._round_told:
            self._round_told = False
            self.round.set()

    def end(self, reason: str, renewed: bool = False) -> None:
        """Take the news that the probe is gone.

        Args:
            reason: Why, as one token.
            renewed: Whether nothing was wrong with it: what it has read is still current, for as
                long as a reading may be late.
        """
        self.changed_at = time.monotonic()
        self._listed, self._unannounced, self._waiting = {}, {}, []
        self._renewing = renewed and not self._failure
        if self._renewing:
            for gpu in self._gpus.values():
                gpu.renew()
            return
        if self._failure in ("", _RESUMING):
            self._failure = reason
        self._lose_all(reason)

    def hold(self, reason: str) -> None:
        """Take the news that the GPUs are left alone for a while, and why."""
        self.changed_at = time.monotonic()
        self._listed, self._unannounced, self._waiting = {}, {}, []
        self._renewing = False
        self._failure = reason
        for gpu in self._gpus.values():
            if not gpu.gone_at:
                gpu.rest(reason)

    def resume(self) -> None:
        """Take the news that they are to be read again."""
        self.hold(_RESUMING)
        self._renewing = True

    def blocks(self, now: float) -> list[Block]:
        """The page's part: the driver, then each GPU; ``now`` in seconds of CLOCK_MONOTONIC."""
        driver = [] if self._failure else [self._driver]
        blocks = [block for gpu in self._shown(now) for block in gpu.blocks(now)]
        indexes = {
            uuid: str(gpu.index) if gpu.shown(now) else None for uuid, gpu in self._gpus.items()
        }
        return [*driver, *blocks, self._xids.block(indexes), self._late_calls()]

    def histories(self, now: float) -> dict[str, dict[str, list[float | None]]]:
        """What each GPU on the page did of late, by UUID; ``now`` as CLOCK_MONOTONIC has it."""
        return {gpu.uuid: gpu.history.document(now) for gpu in self._shown(now)}

    def complete(self) -> bool:
        """Whether every GPU that the driver lists has been read, or it is known why not."""
        return self._renewing or self._known(len(self._nameless()))

    def answered(self) -> bool:
        """The same, but a call that does not return is no answer."""
        return self._known(0)

    def stuck(self, now: float, seconds: float) -> bool:
        """Whether all GPUs have been silent for so long, though none was reported as lost."""
        silent = [gpu for gpu in self._listed.values() if not gpu.down]
        return bool(silent) and all(now - gpu.heard_at > seconds for gpu in silent)

    def suspect(self, seconds: float) -> int | None:
        """The index of the GPU whose call has waited longest, if one has waited so long."""
        waiting = [call for call in self._waiting if call.gpu >= 0 and call.seconds >= seconds]
        return max(waiting, key=lambda call: call.seconds).gpu if waiting else None

    def well(self, now: float) -> set[int]:
        """The indexes of the GPUs that answer."""
        return {index for index, gpu in self._listed.items() if not gpu.trouble(now)}

    def all_well(self, now: float) -> bool:
        """Whether every GPU that the driver lists answers."""
        return not self._failure and len(self.well(now)) == self._expected

    def troubled(self, now: float) -> bool:
        """Whether the driver works, but something of it does not answer."""
        if self._failure:
            return False
        down = [why for why in self._unannounced.values() if why.reason != SKIPPED]
        late = any(call.seconds > self._patience for call in self._waiting)
        return bool(down) or late or len(self.well(now)) < len(self._listed)

    def work(self, now: float) -> tuple[float, ...] | None:
        """The seconds that each GPU was busy so far; ``now`` in seconds of CLOCK_MONOTONIC.

        ``None`` if somebody is on one of them, or if that is not known of each.
        """
        if self._failure or len(self._listed) < self._expected:
            return None
        seconds = [gpu.work(now) for gpu in self._listed.values()]
        known = tuple(busy for busy in seconds if busy is not None)
        return known if len(known) == len(seconds) else None

    def status(self, now: float) -> Status:
        """How reading the GPUs goes; ``now`` in seconds of CLOCK_MONOTONIC."""
        gpus = self._shown(now)
        failure = self._failure or next(filter(None, (gpu.trouble(now) for gpu in gpus)), "")
        if not failure and len(self._listed) < self._expected and not self._renewing:
            reasons = [why.reason for why in self._unannounced.values()]
            failure = next(iter(reasons), "silent" if self._nameless() else "starting")
        read = [gpu for gpu in gpus if gpu.read_at and not gpu.gone_at]
        return Status(
            "nvml",
            failure,
            max([gpu.duration for gpu in read], default=None),
            self._last_success,
            now - min([gpu.read_at for gpu in read]) if read else None,
        )

    def _known(self, more: int) -> bool:
        if self._failure:
            return self._failure != "starting"
        settled = sum(1 for gpu in self._listed.values() if gpu.settled())
        return settled + len(self._unannounced) + more >= self._expected

    def _nameless(self) -> list[frames.Waiting]:
        """The calls in which GPUs hang of which not even the UUID is known."""
        told = self._listed.keys() | self._unannounced.keys()
        return [
            call
            for call in self._waiting
            if call.gpu >= 0 and call.gpu not in told and call.seconds > self._patience
        ]

    def _shown(self, now: float) -> list[Gpu]:
        gpus = [gpu for gpu in self._gpus.values() if gpu.shown(now)]
        return sorted(gpus, key=lambda gpu: gpu.index)

    def _late_calls(self) -> Block:
        late = {
            Series(metrics.PROBE_WAITING, (*self._asked(index), call)): seconds
            for index, call, seconds in sorted(self._waiting, key=lambda call: call.seconds)
            if seconds >= _LATE_SECONDS
        }
        series = tuple(late)
        if series != self._late:
            self._late = series
        return Block(self._late, list(late.values()))

    def _asked(self, index: int) -> tuple[str, str]:
        """The index and the UUID of the GPU that a call is of, as labels."""
        if index < 0:
            return "", ""
        gpu = self._listed.get(index) or self._last_at(index)
        return str(index), gpu.uuid if gpu else ""

    def _gpu(self, uuid: str) -> Gpu:
        try:
            return self._gpus[uuid]
        except KeyError:
            raise ValueError(f"a frame of the unknown GPU {uuid!r}") from None

    def _announce(self, frame: frames.Device) -> None:
        gpu = self._gpus.get(frame.uuid) or Gpu(
            frame.uuid, self._intervals, self._new_usage(frame.uuid)
        )
        gpu.announce(frame)
        self._xids.place(frame.uuid, gpu.address)
        self._gpus[frame.uuid] = gpu
        self._listed = {i: other for i, other in self._listed.items() if other is not gpu}
        self._listed[frame.index] = gpu
        self._unannounced.pop(frame.index, None)
        for other in self._gpus.values():
            # Its index means another card now: what was read of it is shown under the wrong one.
            if other.index == frame.index and other is not gpu and not other.gone_at:
                other.lose("starting")
        self._part()

    def _lose(self, frame: frames.Down) -> None:
        _log.warning("GPU %d (%s) is down: %s", frame.index, frame.uuid or "?", frame.reason)
        gpu = self._gpus.get(frame.uuid)
        if gpu is None or self._listed.get(frame.index) is not gpu:
            self._unannounced[frame.index] = frame
        if gpu is None and not frame.uuid:
            gpu = self._last_at(frame.index)
        if gpu:
            gpu.lose(frame.reason)
        self._part()

    def _last_at(self, index: int) -> Gpu | None:
        """The GPU that was there, if it has not turned up elsewhere."""
        for gpu in self._gpus.values():
            if gpu.index == index and not gpu.gone_at and gpu not in self._listed.values():
                return gpu
        return None

    def _part(self) -> None:
        """Part with those that the driver lists no longer, once it is clear which."""
        if len(self._listed) + len(self._unannounced) < self._expected:
            return
        here = {gpu.uuid for gpu in self._listed.values()}
        here |= {down.uuid for down in self._unannounced.values()}
        for gpu in self._gpus.values():
            nameless = gpu.index in self._unannounced and not self._unannounced[gpu.index].uuid
            if gpu.uuid not in here and not nameless and not gpu.gone_at:
                _log.warning("GPU %d (%s) is no longer listed", gpu.index, gpu.uuid)
                gpu.leave()

    def _welcome(self, frame: frames.Driver) -> None:
        if self._failure:
            _log.info("driver %s answers with %d GPUs", frame.driver_version, frame.devices)
        self._failure = ""
        self._expected = frame.devices
        self._listed, self._unannounced = {}, {}
        labels = (frame.driver_version, frame.nvml_version, frame.cuda_version)
        self._driver = Block(
            (Series(device.DEVICES), Series(device.DRIVER_INFO, labels)),
            [float(frame.devices), 1.0],
        )
        self._part()

    def _fail(self, frame: frames.Failure) -> None:
        if frame.reason != self._failure:
            _log.warning("NVML fails: %s (%s)", frame.reason, frame.message or "see NVML's codes")
        self._failure = frame.reason
        self._lose_all(frame.reason)

    def _lose_all(self, reason: str) -> None:
        for gpu in self._gpus.values():
            if not gpu.gone_at:
                gpu.lose(reason)
