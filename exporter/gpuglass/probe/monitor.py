"""NVML's performance monitor (GPM): means over exactly the time between two samples of it."""

import ctypes
import struct
import weakref
from collections.abc import Sequence
from time import monotonic, sleep
from typing import Any, NamedTuple

import pynvml

from gpuglass.probe.calls import Call, Values
from gpuglass.probe.frames import Column
from gpuglass.probe.nvml import PERMANENT, Library, NvmlError

# The monitor looks at its counters every 100 ms: samples must be further apart.
_APART_SECONDS = 0.1
# A mean over a longer time would be passed off as the present.
_LONGEST_SECONDS = 600.0
_METRICS = "nvmlGpmMetricsGet"
# What rounding may add to the highest number that can be true.
_ROUNDED = 1.01
_MIB = 1024 * 1024


class Measure(NamedTuple):
    """A metric of the performance monitor.

    Attributes:
        id: ``NVML_GPM_METRIC_...``.
        column: What it is.
        divide: What to divide it by to get the metric's unit.
        most: The highest number that can be true.
    """

    id: int
    column: Column
    divide: float = 100
    most: float = 100


def rate(id: int, column: Column) -> Measure:
    """A stream of bytes, which the monitor tells in MiB a second."""
    # No link comes near the highest number.
    return Measure(id, column, 1 / _MIB, 1e7)


class _Request(ctypes.Structure):
    """nvidia-ml-py's classes run Python on each access to a field; this one does not."""

    _fields_ = pynvml.c_nvmlGpmMetricsGet_t._fields_


_FIRST_METRIC = _Request.metrics.offset


class Monitor(Call):
    """Takes a sample at each reading; tells what was measured since the one before.

    Args:
        library: NVML.
        measures: What to tell.
        symbol: The function that takes a sample.
        arguments: What that function takes before the sample.

    Raises:
        NvmlError: This driver has no performance monitor, or no memory for it.
    """

    def __init__(
        self, library: Library, measures: Sequence[Measure], symbol: str, *arguments: Any
    ) -> None:
        super().__init__(symbol, None, (), (), list)
        self._measured: list[float | None] = []
        self._sample = library.function(symbol)
        self._measure = library.function(_METRICS)
        self._arguments = arguments
        self._older, self._newer = self._allocate(library), self._allocate(library)
        self._nothing: list[float | None] = []
        self._taken_at = float("-inf")
        self._request = _Request(version=pynvml.NVML_GPM_METRICS_GET_VERSION)
        self._ask(measures)

    def read(self) -> Values:
        """Take a sample.

        Returns:
            A value for each column; those of the last time where that was too short a time ago.

        Raises:
            NvmlError: The driver answered with an error.
        """
        now = monotonic()
        passed = now - self._taken_at
        if passed < _APART_SECONDS:
            return self._measured
        self._measured = self._nothing
        code = self._sample(*self._arguments, self._older)
        if code:
            raise NvmlError(code)
        self._older, self._newer = self._newer, self._older
        self._taken_at = now
        if passed <= _LONGEST_SECONDS:
            row = self._compare()
            self._measured = [
                min(value, most) / divide if not code and 0 <= value <= most * _ROUNDED else None
                for code, value, (most, divide) in zip(
                    row[0::2], row[1::2], self._scales, strict=True
                )
            ]
        return self._measured

    def learn(self, oldest: int) -> None:
        """Drop what the card does not measure; it takes two samples to know.

        Args:
            oldest: Measures of this number and above may be unknown to the driver as such.

        Raises:
            NvmlError: The driver answered with an error.
        """
        self.read()
        sleep(_APART_SECONDS * 1.1)
        try:
            self.read()
        except NvmlError as error:
            if error.code != pynvml.NVML_ERROR_INVALID_ARGUMENT:
                raise
            self._ask([measure for measure in self._measures if measure.id < oldest])
        codes = self._compare()[0::2]
        measured = self._measured
        known = [code not in PERMANENT for code in codes]
        self._ask([m for m, is_known in zip(self._measures, known, strict=True) if is_known])
        self._measured = [v for v, is_known in zip(measured, known, strict=True) if is_known]

    def _ask(self, measures: Sequence[Measure]) -> None:
        self._measures = measures
        self.columns = tuple(measure.column for measure in measures)
        self._scales = tuple((measure.most, measure.divide) for measure in measures)
        self._layout = struct.Struct("=" + "4xid24x" * len(measures))
        self._nothing = [None] * len(measures)
        self._measured = self._nothing
        self._request.numMetrics = len(measures)
        for place, measure in enumerate(measures):
            self._request.metrics[place].metricId = measure.id

    def _compare(self) -> tuple[Any, ...]:
        """Of each measure the return code and the value between the two samples."""
        self._request.sample1, self._request.sample2 = self._older, self._newer
        code = self._measure(ctypes.byref(self._request))
        if code:
            raise NvmlError(code)
        return self._layout.unpack_from(self._request, _FIRST_METRIC)

    def _allocate(self, library: Library) -> Any:
        sample = pynvml.c_nvmlGpmSample_t()
        library.call("nvmlGpmSampleAlloc", ctypes.byref(sample))
        free = weakref.finalize(self, library.function("nvmlGpmSampleFree"), sample)
        free.atexit = False
        return sample


def supported(library: Library, device: Any) -> bool:
    """Whether the card has a performance monitor.

    Raises:
        NvmlError: The driver is too old to have one, or does not tell.
    """
    support = pynvml.c_nvmlGpmSupport_t()
    support.version = pynvml.NVML_GPM_SUPPORT_VERSION
    library.call("nvmlGpmQueryDeviceSupport", device, ctypes.byref(support))
    return bool(support.isSupportedDevice)
