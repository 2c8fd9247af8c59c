"""The performance monitor: for whom, which metrics, and what it costs."""

import ctypes
import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import pynvml
from tests.hardware.job import Card, Job, Json, Steps
from tests.hardware.timing import measure, reason

from gpuglass.probe.nvml import NvmlError

NAMES = {
    number: name.removeprefix("NVML_GPM_METRIC_").lower()
    for name, number in vars(pynvml).items()
    if name.startswith("NVML_GPM_METRIC_") and name != "NVML_GPM_METRIC_MAX"
}
# Drivers refuse a whole call with one number that they do not know.
_CHUNKS = [range(first, min(first + 32, max(NAMES) + 1)) for first in range(1, max(NAMES) + 1, 32)]
_CLOSE_SECONDS = 0.02


class Metric(NamedTuple):
    """A metric between two samples."""

    number: int
    code: int
    value: float
    unit: str


class _Request(ctypes.Structure):
    """nvidia-ml-py's classes run Python on each access to a field; this one does not."""

    _fields_ = pynvml.c_nvmlGpmMetricsGet_t._fields_


class Samples:
    """Two samples of a GPU, the older of which is overwritten by the next one.

    Raises:
        NvmlError: This driver has no performance monitor.
    """

    def __init__(self, job: Job, card: Card) -> None:
        self._job, self._card = job, card
        self.older, self.newer = self._allocate(), self._allocate()

    def take(self) -> None:
        """Take a sample.

        Raises:
            NvmlError: It is refused.
        """
        self._job.library.call("nvmlGpmSampleGet", self._card.handle, self.older)
        self._job.where.leave()
        self.older, self.newer = self.newer, self.older

    def request(self, numbers: Sequence[int]) -> Any:
        """What ``nvmlGpmMetricsGet`` takes and fills."""
        request = _Request(version=pynvml.NVML_GPM_METRICS_GET_VERSION, numMetrics=len(numbers))
        request.sample1, request.sample2 = self.older, self.newer
        for place, number in enumerate(numbers):
            request.metrics[place].metricId = number
        return request

    def metrics(self, numbers: Sequence[int]) -> list[Metric]:
        """The metrics between the last two samples.

        Raises:
            NvmlError: They are refused, all of them.
        """
        request = self.request(numbers)
        self._job.library.call("nvmlGpmMetricsGet", ctypes.byref(request))
        self._job.where.leave()
        return [
            Metric(entry.metricId, entry.nvmlReturn, entry.value, _unit(entry))
            for entry in request.metrics[: len(numbers)]
        ]

    def free(self) -> None:
        """Give the samples back."""
        for sample in (self.older, self.newer):
            self._job.library.call("nvmlGpmSampleFree", sample)
        self._job.where.leave()

    def _allocate(self) -> Any:
        sample = pynvml.c_nvmlGpmSample_t()
        self._job.library.call("nvmlGpmSampleAlloc", ctypes.byref(sample))
        return sample


def _unit(entry: Any) -> str:
    unit = entry.metricInfo.unit
    return (unit if isinstance(unit, str) else (unit or b"").decode()) or ""


def steps(job: Job) -> Steps:
    """For each model of card support, all metrics, samples that are close, and the cost."""
    for card in job.kinds:
        prefix = card.label
        yield f"{prefix} support", partial(_support, job, card)
        yield f"{prefix} metrics", partial(_metrics, job, card)
        yield f"{prefix} close", partial(_close, job, card)
        yield f"{prefix} cost", partial(_cost, job, card)


def _support(job: Job, card: Card) -> Json:
    support = pynvml.c_nvmlGpmSupport_t()
    support.version = pynvml.NVML_GPM_SUPPORT_VERSION
    asked = (card.handle, ctypes.byref(support))
    try:
        code, cost = measure(job, "nvmlGpmQueryDeviceSupport", *asked)
    except NvmlError as error:
        return {"error": error.reason}
    return {"error": reason(code), "supported": bool(support.isSupportedDevice), "cost": cost}


def _metrics(job: Job, card: Card) -> Json:
    """Every metric between two samples that are ``pace.apart`` seconds apart."""
    try:
        samples = Samples(job, card)
        samples.take()
        job.sleep(max(job.pace.apart, 0.2))
        samples.take()
    except NvmlError as error:
        return {"error": error.reason}
    answered: dict[str, Json] = {}
    refused: dict[str, list[int]] = {}
    for numbers in _CHUNKS:
        for metric in _chunk(samples, numbers):
            if metric.code:
                refused.setdefault(reason(metric.code), []).append(metric.number)
            else:
                name = f"{metric.number} {NAMES.get(metric.number, '')}"
                value = metric.value if math.isfinite(metric.value) else str(metric.value)
                answered[name] = [value, metric.unit]
    samples.free()
    return {"answered": answered, "refused": refused}


def _chunk(samples: Samples, numbers: Sequence[int]) -> list[Metric]:
    try:
        return samples.metrics(numbers)
    except NvmlError as error:
        if len(numbers) == 1:
            return [Metric(numbers[0], error.code, 0.0, "")]
        return [metric for number in numbers for metric in _chunk(samples, [number])]


def _close(job: Job, card: Card) -> Json:
    """Samples that are closer than the monitor looks at its counters."""
    try:
        samples = Samples(job, card)
        samples.take()
        job.sleep(_CLOSE_SECONDS)
        samples.take()
        (metric,) = samples.metrics([1])
        samples.free()
    except NvmlError as error:
        return {"error": error.reason}
    return {"seconds": _CLOSE_SECONDS, "error": reason(metric.code), "value": metric.value}


def _cost(job: Job, card: Card) -> Json:
    try:
        samples = Samples(job, card)
        samples.take()
        job.sleep(0.2)
        code, sample = measure(job, "nvmlGpmSampleGet", card.handle, samples.older)
        samples.older, samples.newer = samples.newer, samples.older
        # The metrics of the exporter's group that every driver with a monitor knows.
        request = samples.request([*range(1, 14), 20, 21, 60, 61])
        answer, metrics = measure(job, "nvmlGpmMetricsGet", ctypes.byref(request))
        samples.free()
    except NvmlError as error:
        return {"error": error.reason}
    return {
        "nvmlGpmSampleGet": {"error": reason(code), "cost": sample},
        "nvmlGpmMetricsGet": {"error": reason(answer), "cost": metrics},
    }
