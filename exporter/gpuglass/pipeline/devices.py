"""What the probe has told: the driver, the GPUs, and what is wrong."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from gpuglass.catalogue import device as metrics
from gpuglass.catalogue.model import Series
from gpuglass.pipeline.gpu import Gpu
from gpuglass.pipeline.page import Block
from gpuglass.pipeline.usage import Usage
from gpuglass.pipeline.xids import Xids
from gpuglass.probe import frames

_log = logging.getLogger(__name__)


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
        changed_at: When something new was told last, in seconds of CLOCK_MONOTONIC.
    """

    def __init__(
        self, intervals: Mapping[str, float], xids: Xids, new_usage: Callable[[str], Usage]
    ) -> None:
        self._intervals = intervals
        self._xids, self._new_usage = xids, new_usage
        self._gpus: dict[str, Gpu] = {}
        self._failure = "starting"
        self._driver = Block()
        self._expected = -1
        self._unannounced: dict[int, str] = {}
        self._last_success: float | None = None
        self.changed_at = 0.0

    def take(self, frame: frames.Frame) -> None:
        """Take what the probe tells.

        Raises:
            ValueError: The frame speaks of a GPU that was not announced.
        """
        if isinstance(frame, frames.Alive):
            return
        self.changed_at = time.monotonic()
        if isinstance(frame, frames.Reading):
            self._gpu(frame.uuid).read(frame)
            self._last_success = time.time() // 1
        elif isinstance(frame, frames.Device):
            gpu = self._gpus.get(frame.uuid) or Gpu(
                frame.uuid, self._intervals, self._new_usage(frame.uuid)
            )
            gpu.announce(frame)
            self._gpus[frame.uuid] = gpu
            self._unannounced.pop(frame.index, None)
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

    def end(self, reason: str) -> None:
        """Take the news that the probe is gone: nothing is current any more."""
        self._failure = self._failure or reason
        for gpu in self._gpus.values():
            gpu.down = reason

    def blocks(self, now: float) -> list[Block]:
        """The page's part: the driver, then each GPU; ``now`` in seconds of CLOCK_MONOTONIC."""
        driver = [] if self._failure else [self._driver]
        gpus = sorted(self._gpus.values(), key=lambda gpu: gpu.index)
        addresses = [(str(gpu.index), gpu.uuid, gpu.address) for gpu in gpus]
        blocks = [block for gpu in gpus for block in gpu.blocks(now)]
        return [*driver, *blocks, self._xids.block(addresses)]

    def complete(self) -> bool:
        """Whether every GPU that the driver lists has been read, or it is known why not."""
        if self._failure:
            return self._failure != "starting"
        settled = sum(1 for gpu in self._gpus.values() if gpu.settled())
        return settled + len(self._unannounced) >= self._expected

    def stuck(self, now: float, seconds: float) -> bool:
        """Whether all GPUs have been silent for so long, though none was reported as lost."""
        silent = [gpu for gpu in self._gpus.values() if not gpu.down]
        return bool(silent) and all(now - gpu.read_at > seconds for gpu in silent)

    def status(self, now: float) -> Status:
        """How reading the GPUs goes; ``now`` in seconds of CLOCK_MONOTONIC."""
        gpus = self._gpus.values()
        troubles = [trouble for gpu in gpus if (trouble := gpu.trouble(now))]
        failure = self._failure or (troubles[0] if troubles else "")
        if not failure and len(gpus) < self._expected:
            failure = next(iter(self._unannounced.values()), "starting")
        read = [gpu for gpu in gpus if gpu.read_at]
        return Status(
            "nvml",
            failure,
            max([gpu.duration for gpu in read], default=None),
            self._last_success,
            now - min([gpu.read_at for gpu in read]) if read else None,
        )

    def _gpu(self, uuid: str) -> Gpu:
        try:
            return self._gpus[uuid]
        except KeyError:
            raise ValueError(f"a frame of the unknown GPU {uuid!r}") from None

    def _lose(self, frame: frames.Down) -> None:
        _log.warning("GPU %d (%s) is down: %s", frame.index, frame.uuid or "?", frame.reason)
        if frame.uuid in self._gpus:
            self._gpus[frame.uuid].lose(frame)
        else:
            self._unannounced[frame.index] = frame.reason

    def _welcome(self, frame: frames.Driver) -> None:
        if self._failure:
            _log.info("driver %s answers with %d GPUs", frame.driver_version, frame.devices)
        self._failure = ""
        self._expected = frame.devices
        self._unannounced = {}
        labels = (frame.driver_version, frame.nvml_version, frame.cuda_version)
        self._driver = Block(
            (Series(metrics.DEVICES), Series(metrics.DRIVER_INFO, labels)),
            [float(frame.devices), 1.0],
        )

    def _fail(self, frame: frames.Failure) -> None:
        if frame.reason != self._failure:
            _log.warning("NVML fails: %s (%s)", frame.reason, frame.message or "see NVML's codes")
        self._failure = frame.reason
        for gpu in self._gpus.values():
            gpu.down = frame.reason
