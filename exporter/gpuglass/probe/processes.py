"""The processes on a GPU: who holds memory, and whose kernels ran."""

import ctypes
import time
from collections.abc import Callable
from typing import Any

import pynvml

from gpuglass.probe.frames import ProcessRow
from gpuglass.probe.group import raise_if_fatal
from gpuglass.probe.nvml import PERMANENT, Handle, Library, NvmlError

_TYPES = {
    "compute": "nvmlDeviceGetComputeRunningProcesses",
    "graphics": "nvmlDeviceGetGraphicsRunningProcesses",
    "mps": "nvmlDeviceGetMPSComputeRunningProcesses",
}
_UTILIZATION = "nvmlDeviceGetProcessUtilization"
_NO_MEMORY = 2**64 - 1
_NO_INSTANCE = 2**32 - 1
_FIRST_ROOM = 64
# A driver that asks for more room than this is mistaken.
_MOST_ROOM = 2**16
# The driver samples about once a second; until the next sample the last one stands.
_SAMPLE_SECONDS = 2.5

Enter = Callable[[str], None]


class _Info(ctypes.Structure):
    """nvmlProcessInfo_v2_t: what the calls _v2 and _v3 fill."""

    _fields_ = pynvml.c_nvmlProcessInfo_v2_t._fields_


class _OldInfo(ctypes.Structure):
    """nvmlProcessInfo_v1_t: what the calls without a version fill."""

    _fields_ = (("pid", ctypes.c_uint), ("usedGpuMemory", ctypes.c_ulonglong))


class _Sample(ctypes.Structure):
    """nvmlProcessUtilizationSample_t."""

    _fields_ = pynvml.c_nvmlProcessUtilizationSample_t._fields_


class _Array:
    """A call that fills an array, which grows until the answer fits.

    Raises:
        NvmlError: The driver is too old to have the call.
    """

    def __init__(self, library: Library, device: Handle, symbol: str, layout: Any) -> None:
        self.symbol = symbol
        self._function = library.function(symbol)
        self._device, self._layout = device, layout
        self._count = ctypes.c_uint()
        self._entries = (layout * _FIRST_ROOM)()

    def read(self, last: Callable[[Any, Any], tuple[Any, ...]]) -> list[Any]:
        """The entries.

        Args:
            last: Puts count and array into the order that the function takes.

        Raises:
            NvmlError: The driver answered with an error.
        """
        while True:
            self._count.value = len(self._entries)
            code = self._function(self._device, *last(ctypes.byref(self._count), self._entries))
            if code == 0:
                return list(self._entries[: self._count.value])
            if code != pynvml.NVML_ERROR_INSUFFICIENT_SIZE or self._count.value > _MOST_ROOM:
                raise NvmlError(code)
            # By the next call there may be more than it asks for now.
            self._entries = (self._layout * max(2 * len(self._entries), self._count.value))()


class Processes:
    """Reads who is on one GPU.

    Args:
        library: NVML.
        device: The GPU.

    Attributes:
        refused: Why processes cannot be listed; empty where they can.
        without_use: Why their use cannot be told; empty where it can.

    Raises:
        NvmlError: The GPU is gone, or NVML has to be started again.
    """

    def __init__(self, library: Library, device: Handle) -> None:
        self._library, self._device = library, device
        self.refused = ""
        self._lists = {
            type: found for type, symbol in _TYPES.items() if (found := self._find(symbol))
        }
        if self._lists:
            self.refused = ""
        self._use = _Use(library, device)
        self.without_use = self._use.refused

    def read(self, enter: Enter) -> list[ProcessRow] | None:
        """The processes as they are now.

        Args:
            enter: Told the name of each function before it is called.

        Returns:
            A row for each process; ``None`` where the driver does not tell, or not this time.

        Raises:
            NvmlError: The GPU is gone, or NVML has to be started again.
        """
        if not self._lists:
            return None
        rows: dict[int, ProcessRow] = {}
        try:
            for type, lister in self._lists.items():
                enter(lister.symbol)
                for info in lister.read(lambda count, entries: (count, entries)):
                    row = _row(type, info)
                    rows[row.pid] = _merged(rows[row.pid], row) if row.pid in rows else row
            use = self._use.read(enter)
        except NvmlError as error:
            raise_if_fatal(error)
            return None
        if use is None:
            return list(rows.values())
        return [row._replace(use=use.get(row.pid, _IDLE)) for row in rows.values()]

    def _find(self, symbol: str) -> _Array | None:
        """The newest version of a call that this driver and card answer."""
        for name, layout in ((f"{symbol}_v3", _Info), (f"{symbol}_v2", _Info), (symbol, _OldInfo)):
            try:
                lister = _Array(self._library, self._device, name, layout)
                lister.read(lambda count, entries: (count, entries))
            except NvmlError as error:
                raise_if_fatal(error)
                if error.code in PERMANENT:
                    self.refused = self.refused or error.reason
                    continue
            return lister
        return None


_IDLE = (0.0, 0.0, 0.0, 0.0)


def _row(type: str, info: Any) -> ProcessRow:
    memory = info.usedGpuMemory
    return ProcessRow(
        info.pid,
        type,
        memory if memory != _NO_MEMORY else None,
        _instance(info, "gpuInstanceId"),
        _instance(info, "computeInstanceId"),
        None,
    )


def _instance(info: Any, name: str) -> str:
    number = getattr(info, name, _NO_INSTANCE)
    return "" if number == _NO_INSTANCE else str(number)


def _merged(one: ProcessRow, other: ProcessRow) -> ProcessRow:
    """A process that stands in several lists: each tells the whole of its memory."""
    memory = max((m for m in (one.memory, other.memory) if m is not None), default=None)
    return one._replace(type=f"{one.type}+{other.type}", memory=memory)


class _Use:
    """What each process used of the GPU lately; processes that used nothing are not told."""

    def __init__(self, library: Library, device: Handle) -> None:
        self.refused = ""
        self._seen = 0
        self._last: dict[int, tuple[float, ...]] = {}
        self._last_at = 0.0
        try:
            self._array = _Array(library, device, _UTILIZATION, _Sample)
            self.read(lambda call: None)
        except NvmlError as error:
            raise_if_fatal(error)
            if error.code in PERMANENT:
                self.refused = error.reason

    def read(self, enter: Enter) -> dict[int, tuple[float, ...]] | None:
        """By pid the shares of SM, memory, encoder and decoder; ``None`` where there is no telling.

        Raises:
            NvmlError: The driver answered with an error.
        """
        if self.refused:
            return None
        enter(_UTILIZATION)
        since = ctypes.c_ulonglong(self._seen)
        try:
            samples = self._array.read(lambda count, entries: (entries, count, since))
        except NvmlError as error:
            if error.code != pynvml.NVML_ERROR_NOT_FOUND:
                raise
            samples = []
        now = time.monotonic()
        if samples:
            self._seen = max(sample.timeStamp for sample in samples)
            self._last, self._last_at = _means(samples), now
        elif now - self._last_at > _SAMPLE_SECONDS:
            self._last = {}
        return self._last


def _means(samples: list[Any]) -> dict[int, tuple[float, ...]]:
    by_pid: dict[int, list[tuple[int, ...]]] = {}
    for sample in samples:
        use = (sample.smUtil, sample.memUtil, sample.encUtil, sample.decUtil)
        # Drivers have told of shares of thousands of percent.
        if max(use) <= 100:
            by_pid.setdefault(sample.pid, []).append(use)
    return {
        pid: tuple(sum(column) / len(uses) / 100 for column in zip(*uses, strict=True))
        for pid, uses in by_pid.items()
    }
