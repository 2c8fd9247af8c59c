"""The driver's buffers of samples: it looks far more often than anybody asks."""

import ctypes
from operator import mul, sub
from time import monotonic_ns
from typing import Any, NamedTuple

import pynvml

from gpuglass.probe.calls import Call, Make, Values
from gpuglass.probe.frames import Column
from gpuglass.probe.nvml import Handle, Library, NvmlError
from gpuglass.probe.track import Track

_SYMBOL = "nvmlDeviceGetSamples"
_SECOND = 1_000_000
# The slowest buffers get a sample each second. One with nothing new for longer has run dry, as
# those of an idle card do.
_DRY = 3 * _SECOND
# The smallest buffers hold the last 2.4 s: asked at every other second they lose nothing.
_SPARE = 3 * _SECOND // 2
# How much more time samples may cover than has passed: they can come late, several at once.
_LATE = _SECOND
# Buffers have some 100 places; one that has more says so.
_PLACES, _MOST_PLACES = 128, 1 << 16
# What a number is, how many of that size a sample takes, and which of them is the number.
_UNSIGNED = ("Q", 2, 1)
_FORMATS = {
    pynvml.NVML_VALUE_TYPE_DOUBLE: ("d", 2, 1),
    pynvml.NVML_VALUE_TYPE_UNSIGNED_INT: ("I", 4, 2),
    pynvml.NVML_VALUE_TYPE_SIGNED_LONG_LONG: ("q", 2, 1),
    pynvml.NVML_VALUE_TYPE_SIGNED_INT: ("i", 4, 2),
    pynvml.NVML_VALUE_TYPE_UNSIGNED_SHORT: ("H", 8, 4),
}


class Taken(NamedTuple):
    """Samples of a buffer.

    Attributes:
        area: Each of them times the time that it stood for, which is since the one before it.
        length: The time that they stood for, in microseconds.
        peak: The highest of them.
    """

    area: int
    length: int
    peak: int


class Buffer:
    """One of the driver's buffers of a GPU, of which each sample is taken once.

    Args:
        library: NVML.
        device: The GPU.
        type: ``NVML_..._SAMPLES``.
        most: The highest number that can be true.
        longest: A gap between two samples of more microseconds than that was seen by nobody.
    """

    def __init__(
        self, library: Library, device: Handle, type: int, most: int, longest: int
    ) -> None:
        self._function = library.function(_SYMBOL)
        self._device = device
        self._kind = ctypes.c_uint(type)
        self._most, self._longest = most, longest
        self._since = ctypes.c_ulonglong()
        self._type = ctypes.c_uint()
        self._count = ctypes.c_uint()
        self._newest = 0
        self._allocate(_PLACES)

    def take(self, whole: bool = False) -> Taken | None:
        """Take the samples that are new.

        Args:
            whole: Whether to look at the whole buffer. That finds samples that are dated before
                the last one because the clock was set back: the next ones then follow on them.

        Returns:
            Those that can be true; ``None`` if there are none.

        Raises:
            NvmlError: The driver does not give them.
        """
        last = self._newest
        self._since.value = 0 if whole else last
        count = self._fetch()
        if not count:
            return None
        format, size, place = _FORMATS.get(self._type.value, _UNSIGNED)
        numbers: Any = self._bytes.cast(format)  # type: ignore[call-overload]
        values = numbers[place : size * count : size].tolist()
        lowest, peak = min(values), max(values)
        first, newest = self._words[0], self._words[2 * count - 2]
        length = newest - last
        if (
            0 < last < first <= newest
            and length <= self._longest
            and 0 <= lowest <= peak <= self._most
        ):
            if lowest == peak:
                area = peak * length
            else:
                times = self._words[0 : 2 * count : 2].tolist()
                area = sum(map(mul, values, map(sub, times, [last, *times])))
            if 0 <= area <= peak * length:
                self._newest = newest
                return Taken(int(area), length, int(peak))
        return self._sift(self._words[0 : 2 * count : 2].tolist(), values)

    def _sift(self, times: list[int], values: list[float]) -> Taken | None:
        """Take what is good of samples that may be in disorder, old, far apart or impossible."""
        samples = sorted(zip(times, values, strict=True))
        last, self._newest = self._newest, samples[-1][0]
        samples = [sample for sample in samples if sample[0] > last]
        if not samples:
            return None
        last = last or samples[0][0]
        area, length, peak = 0, 0, -1
        for moment, value in samples:
            gap = moment - last
            last = moment
            if 0 <= value <= self._most:
                peak = max(peak, int(value))
                if gap <= self._longest:
                    area += int(value) * gap
                    length += gap
        return Taken(area, length, peak) if peak >= 0 else None

    def _allocate(self, places: int) -> None:
        self._places = places
        self._memory = (ctypes.c_ulonglong * (2 * places))()
        self._bytes = memoryview(self._memory).cast("B")
        self._words = self._bytes.cast("Q")
        self._arguments = (
            self._device,
            self._kind,
            self._since,
            ctypes.byref(self._type),
            ctypes.byref(self._count),
            self._memory,
        )

    def _fetch(self) -> int:
        """Have the samples after ``_since`` written into the memory; tell how many."""
        while True:
            self._count.value = self._places
            code = self._function(*self._arguments)
            if code != pynvml.NVML_ERROR_INSUFFICIENT_SIZE or self._places == _MOST_PLACES:
                break
            self._allocate(min(max(2 * self._places, self._count.value), _MOST_PLACES))
        if code == pynvml.NVML_ERROR_NOT_FOUND:
            return 0
        if code:
            raise NvmlError(code)
        return min(self._count.value, self._places)


class Stream(NamedTuple):
    """Something that changes faster than it is read.

    Attributes:
        type: ``NVML_..._SAMPLES``, the driver's buffer of it.
        present: What it is now, in the buffer's unit.
        most: The highest number that can be true.
        mean: Its mean over the window.
        peak: Its peak over the window.
        seconds: Its integral over time, from 0 on.
        divide: What to divide it by to get the metrics' unit.
        multiply: What to multiply it by, where ``divide`` is 1.
        eager: Whether the buffer is asked at each reading, so that ``seconds`` is up to date, not
            only before it could run over.
    """

    type: int
    present: Make
    most: int
    mean: Column | None = None
    peak: Column | None = None
    seconds: Column | None = None
    divide: int = 1
    multiply: int = 1
    eager: bool = False


class Followed(Call):
    """A stream, by the driver's buffer of it, and by its present value where that has nothing.

    Args:
        stream: What is followed.
        present: What it is now.
        buffer: The driver's buffer, where there is one; ``stream.seconds`` is told only then.
        longest: A gap between two values of more microseconds than that was seen by nobody.
        window: The seconds that mean and peak look back.
    """

    def __init__(
        self, stream: Stream, present: Call, buffer: Buffer | None, longest: int, window: int
    ) -> None:
        symbol = _SYMBOL if buffer else present.symbol
        wanted = (stream.mean, stream.peak, stream.seconds if buffer else None)
        columns = tuple(column for column in wanted if column)
        super().__init__(symbol, None, (), columns, self._numbers)
        self._stream, self._present, self._buffer = stream, present, buffer
        self._longest = longest
        self._track = Track(window * _SECOND)
        self._counts = bool(stream.seconds and buffer)
        self._spares = bool(buffer and not stream.eager)
        self._taken_at = self._asked_at = 0
        self._told: Values = ()

    def read(self) -> Values:
        """Take what is new.

        Returns:
            A value for each column; those of the last time where the buffer need not be asked.

        Raises:
            NvmlError: The driver answered with an error.
        """
        now = monotonic_ns() // 1000
        if self._spares and now - self._asked_at < _SPARE and self._told:
            return self._told
        self._asked_at = now
        passed = now - self._taken_at
        taken = self._look(passed) if self._buffer is None else self._drain(self._buffer, passed)
        if taken:
            self._track.take(now, *taken)
            if not self._taken_at:
                # What was before is the recent past, but was not seen by this counter.
                self._track.integral = 0
            self._taken_at = now
        self._track.forget(now)
        self._told = self._numbers()
        return self._told

    def _drain(self, buffer: Buffer, passed: int) -> Taken | None:
        """What is new in the buffer; the present value while it is dry."""
        dry = passed > _DRY
        taken = buffer.take(whole=dry)
        if taken is None:
            return self._look(passed) if dry else None
        return taken if taken.length <= passed + _LATE else taken._replace(area=0, length=0)

    def _look(self, passed: int) -> Taken | None:
        """The present value, for the time that has passed."""
        value = self._present.read()[0]
        if value is None or not 0 <= value <= self._stream.most:
            return None
        length = passed if passed <= self._longest else 0
        return Taken(int(value) * length, length, int(value))

    def _numbers(self) -> Values:
        stream, track = self._stream, self._track
        values: list[float | None] = []
        if stream.mean:
            values.append(self._scaled(track.mean))
        if stream.peak:
            values.append(self._scaled(track.peak))
        if self._counts:
            values.append(track.integral / (stream.divide * _SECOND))
        return values

    def _scaled(self, number: float | None) -> float | None:
        if number is None:
            return None
        stream = self._stream
        return number * stream.multiply if stream.divide == 1 else number / stream.divide
