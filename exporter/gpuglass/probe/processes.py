"""The processes on a GPU: who holds memory, and whose kernels ran.

A GPU in MIG mode tells of its processes as a whole only to administrators; each of its instances
tells everybody of its own (NVML's text on nvmlDeviceGetComputeRunningProcesses). So the instances
are asked where there are some.
"""

import ctypes
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import pynvml

from gpuglass.catalogue import processes as metrics
from gpuglass.catalogue.bounds import possible
from gpuglass.probe.frames import PROCESS_VALUES, Process
from gpuglass.probe.group import raise_if_fatal
from gpuglass.probe.instances import EMPTY, OFF, Cut, Instance, changed, cut, describe
from gpuglass.probe.nvml import PERMANENT, Handle, Library, NvmlError

_COMPUTE = "compute"
_TYPES = {
    _COMPUTE: "nvmlDeviceGetComputeRunningProcesses",
    "graphics": "nvmlDeviceGetGraphicsRunningProcesses",
    "mps": "nvmlDeviceGetMPSComputeRunningProcesses",
}
_UTILIZATION = "nvmlDeviceGetProcessUtilization"
_NO_INSTANCE = 2**32 - 1
_MOST_MEMORY = possible(metrics.PROCESS_MEMORY.name)[1]
_FIRST_ROOM = 64
# A driver that asks for more room than this is mistaken.
_MOST_ROOM = 2**16
# Graphics and MPS are rare: whoever comes to an empty list of these is seen so much later.
_EMPTY_SECONDS = 3.0
# Instances may come and go; the mode does not change while anybody has the GPU open.
_LOOK_SECONDS = 10.0
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

    def read(self, last: Callable[[Any, Any], tuple[Any, ...]]) -> bytes:
        """Ask the driver.

        Args:
            last: Puts count and array into the order that the function takes.

        Returns:
            The entries as they are in memory; ``entries`` reads them.

        Raises:
            NvmlError: The driver answered with an error.
        """
        while True:
            self._count.value = len(self._entries)
            code = self._function(self._device, *last(ctypes.byref(self._count), self._entries))
            if code == 0:
                size = self._count.value * ctypes.sizeof(self._layout)
                return ctypes.string_at(self._entries, size)
            if code != pynvml.NVML_ERROR_INSUFFICIENT_SIZE or self._count.value > _MOST_ROOM:
                raise NvmlError(code)
            # By the next call there may be more than it asks for now.
            self._entries = (self._layout * max(2 * len(self._entries), self._count.value))()

    def entries(self, answer: bytes) -> Iterable[Any]:
        """The structures in an answer."""
        array = self._layout * (len(answer) // ctypes.sizeof(self._layout))
        entries: Iterable[Any] = array.from_buffer_copy(answer)
        return entries


def _in_order(count: Any, entries: Any) -> tuple[Any, ...]:
    return count, entries


class _List(NamedTuple):
    """A list of processes: of what type they are, and on which instance; ``None`` without MIG."""

    type: str
    instance: Instance | None
    array: _Array


class Processes:
    """Reads who is on one GPU.

    Args:
        library: NVML.
        device: The GPU.

    Attributes:
        refused: Why processes cannot be listed; empty where they can.
        without_use: Why their use cannot be told; empty where it can.
        listed: Who was there at the last reading; ``None`` where the driver does not tell. It is
            the same object for as long as nobody comes or goes.

    Raises:
        NvmlError: The GPU is gone, or NVML has to be started again.
    """

    def __init__(self, library: Library, device: Handle) -> None:
        self._library, self._device = library, device
        self.refused = ""
        self._cut = _cut(library, device)
        self._look_at = time.monotonic() + _LOOK_SECONDS
        there = [describe(library, place) for place in self._cut.places]
        self._lists = [found for instance in there if instance for found in self._of(instance)]
        self._of_instances = bool(self._lists)
        # Nobody can be on a GPU that is cut, but into no instances.
        if not self._lists and self._cut.why != EMPTY:
            self._lists = self._of(None)
        if self._lists:
            self.refused = ""
        self._use = _Use(library, device)
        self.without_use = self._use.refused
        self.listed: list[Process] | None = None
        self._memory: list[int | None] = []
        self._answers: list[bytes] | None = None
        self._all_at = 0.0
        self._failed = False

    def outdated(self) -> bool:
        """Whether a new reader would ask others: MIG instances came or went.

        Raises:
            NvmlError: The GPU is gone, or NVML has to be started again.
        """
        due = self._cut.why != OFF and time.monotonic() >= self._look_at
        if not due and not self._failed:
            return False
        self._look_at = time.monotonic() + _LOOK_SECONDS
        return changed(self._library, self._device, self._cut)

    def read(self, enter: Enter) -> list[float | None]:
        """Read who is there now, and what they use.

        Args:
            enter: Told the name of each function before it is called.

        Returns:
            The values of each process in ``listed``, as ``frames.Processes`` says.

        Raises:
            NvmlError: The GPU is gone, or NVML has to be started again.
        """
        try:
            answers = self._ask(enter)
            use = self._use.read(enter) if any(answers) else {}
        except NvmlError as error:
            # What a driver answers to the handle of an instance that is gone is not written down.
            if not self._of_instances:
                raise_if_fatal(error)
            self._failed = True
            self.listed = self._answers = None
            return []
        self._failed = False
        # Most of the time nothing has changed: not worth looking at each entry.
        if answers != self._answers:
            self._take(answers)
        values: list[float | None] = []
        for process, memory in zip(self.listed or (), self._memory, strict=True):
            values.append(memory)
            values += use.get(process.pid, _IDLE) if use is not None else _UNKNOWN
        return values

    def _ask(self, enter: Enter) -> list[bytes]:
        """The answers of all lists; those that are empty on most cards are not asked each time."""
        now = time.monotonic()
        all_due = self._answers is None or now >= self._all_at
        if all_due:
            self._all_at = now + _EMPTY_SECONDS
        answers = []
        for entry, last in zip(self._lists, self._answers or [b""] * len(self._lists), strict=True):
            if all_due or last or entry.type == _COMPUTE:
                enter(entry.array.symbol)
                last = entry.array.read(_in_order)
            answers.append(last)
        return answers

    def _take(self, answers: list[bytes]) -> None:
        self._answers = answers
        found: dict[tuple[int, str, str], tuple[Process, int | None]] = {}
        for (type, instance, array), answer in zip(self._lists, answers, strict=True):
            for info in array.entries(answer):
                process, memory = _process(type, instance, info)
                key = process.pid, process.gpu_instance, process.compute_instance
                if key in found:
                    process, memory = _merged(*found[key], process, memory)
                found[key] = process, memory
        # The driver's order is not always the same.
        ordered = sorted(found.values(), key=lambda one: one[0])
        self._memory = [memory for _, memory in ordered]
        listed = [process for process, _ in ordered]
        if listed != self.listed:
            self.listed = None if self.refused else listed

    def _of(self, instance: Instance | None) -> list[_List]:
        """The lists that an instance has, or the GPU as a whole."""
        return [
            _List(type, instance, found)
            for type, symbol in _TYPES.items()
            if (found := self._find(symbol, instance))
        ]

    def _find(self, symbol: str, instance: Instance | None) -> _Array | None:
        """The newest version of a call that this driver and card answer."""
        device = Handle(instance.place.handle) if instance else self._device
        for name, layout in ((f"{symbol}_v3", _Info), (f"{symbol}_v2", _Info), (symbol, _OldInfo)):
            try:
                lister = _Array(self._library, device, name, layout)
                lister.read(_in_order)
            except NvmlError as error:
                if not instance:
                    raise_if_fatal(error)
                if error.code in PERMANENT:
                    self.refused = self.refused or error.reason
                    continue
            return lister
        return None


def _cut(library: Library, device: Handle) -> Cut:
    """How the card is cut; in one piece where that cannot be told."""
    try:
        return cut(library, device)
    except NvmlError as error:
        raise_if_fatal(error)
        return Cut([], OFF)


_IDLE = (0.0,) * (PROCESS_VALUES - 1)
_UNKNOWN = (None,) * (PROCESS_VALUES - 1)


def _process(type: str, instance: Instance | None, info: Any) -> tuple[Process, int | None]:
    if instance:
        numbers = str(instance.gpu_instance), str(instance.compute_instance)
        process = Process(info.pid, type, *numbers, instance.place.uuid)
    else:
        numbers = _number(info, "gpuInstanceId"), _number(info, "computeInstanceId")
        process = Process(info.pid, type, *numbers)
    return process, info.usedGpuMemory if info.usedGpuMemory <= _MOST_MEMORY else None


def _number(info: Any, name: str) -> str:
    number = getattr(info, name, _NO_INSTANCE)
    return "" if number == _NO_INSTANCE else str(number)


def _merged(
    one: Process, memory: int | None, other: Process, more: int | None
) -> tuple[Process, int | None]:
    """A process that stands in several lists: each tells the whole of its memory."""
    known = [amount for amount in (memory, more) if amount is not None]
    return one._replace(type=f"{one.type}+{other.type}"), max(known, default=None)


class _Use:
    """What each process used of the GPU lately; processes that used nothing are not told."""

    def __init__(self, library: Library, device: Handle) -> None:
        self.refused = ""
        self._seen = 0
        # Samples of before, by which new ones are known where their times have gone back.
        self._old: frozenset[tuple[int, int]] | None = None
        self._look_at = 0.0
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
        samples = self._new()
        now = time.monotonic()
        if samples:
            self._seen = max(sample.timeStamp for sample in samples)
            self._last, self._last_at = _means(samples), now
            self._look_at = now + _SAMPLE_SECONDS
        elif now - self._last_at > _SAMPLE_SECONDS:
            self._last = {}
        return self._last

    def _new(self) -> list[Any]:
        old = self._old or frozenset()
        samples = [sample for sample in self._since(self._seen) if _key(sample) not in old]
        if samples or time.monotonic() < self._look_at:
            return samples
        # Nobody used the GPU; or the clock was set back, and new samples are older than the last.
        self._look_at = time.monotonic() + _SAMPLE_SECONDS
        samples = self._since(0)
        known, self._old = self._old, frozenset(map(_key, samples))
        return [] if known is None else [s for s in samples if _key(s) not in known]

    def _since(self, moment: int) -> list[Any]:
        since = ctypes.c_ulonglong(moment)
        try:
            answer = self._array.read(lambda count, entries: (entries, count, since))
        except NvmlError as error:
            if error.code != pynvml.NVML_ERROR_NOT_FOUND:
                raise
            return []
        return list(self._array.entries(answer))


def _key(sample: Any) -> tuple[int, int]:
    return sample.pid, sample.timeStamp


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
