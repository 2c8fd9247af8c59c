"""The PCIe byte counters: their width and unit, beside what else NVML tells of the link."""

import ctypes
import itertools
import time
from typing import Any

from tests.hardware import fieldvalues
from tests.hardware.gpm import Samples
from tests.hardware.job import Card, Job, Json, Steps
from tests.hardware.timing import measure, reason

from gpuglass.probe.nvml import NvmlError

TX, RX = 197, 198  # NVML_FI_DEV_PCIE_COUNT_TX_BYTES, ..._RX_BYTES
_GPM_TX, _GPM_RX = 20, 21  # NVML_GPM_METRIC_PCIE_TX_PER_SEC, ..._RX_PER_SEC, MiB/s
_THROUGHPUT = "nvmlDeviceGetPcieThroughput"
_STEP_SECONDS = 0.1
# It blocks some 20 ms for each direction.
_THROUGHPUT_EVERY = 10


def steps(job: Job) -> Steps:
    """Watch the counters of the first GPU, which is the one that gets work."""
    card = job.cards[0]
    yield "throughput", lambda: [_throughput(job, card, direction) for direction in (0, 1)]
    yield "watch", lambda: _watch(job, card)


def _throughput(job: Job, card: Card, direction: int) -> Json:
    value = ctypes.c_uint()
    asked = (card.handle, ctypes.c_uint(direction), ctypes.byref(value))
    code, cost = measure(job, _THROUGHPUT, *asked)
    return {"error": reason(code), "cost": cost} if code else {"value": value.value, "cost": cost}


def _watch(job: Job, card: Card) -> Json:
    values = fieldvalues.read(job, card, [(TX, 0), (RX, 0)])
    refused = [reason(value.code) for value in values if value.code]
    if refused:
        return {"refused": refused[0]}
    samples = _samples(job, card)
    rows: list[list[float]] = []
    throughput: list[list[float]] = []
    end = time.monotonic() + job.pace.traffic
    while time.monotonic() < end:
        row = [value.value for value in fieldvalues.read(job, card, [(TX, 0), (RX, 0)])]
        rows.append([round(time.monotonic(), 4), *row])
        if len(rows) % _THROUGHPUT_EVERY == 1:
            rates = [_rate(job, card, direction) for direction in (0, 1)]
            throughput.append([round(time.monotonic(), 4), *rates])
        job.sleep(_STEP_SECONDS)
    found = {
        "type": values[0].type,
        "transmit": counted([(row[0], row[1]) for row in rows]),
        "receive": counted([(row[0], row[2]) for row in rows]),
        "gpm_mib_per_second": _monitored(samples),
        "throughput": throughput,
        "rows": rows,
    }
    if samples:
        samples.free()
    return found


def counted(rows: list[tuple[float, float]]) -> Json:
    """What a counter did, from pairs of seconds and value."""
    gains = [after[1] - before[1] for before, after in itertools.pairwise(rows)]
    return {
        "first": rows[0][1],
        "last": rows[-1][1],
        "seconds": round(rows[-1][0] - rows[0][0], 3),
        "beyond_32_bits": any(value >= 2**32 for _, value in rows),
        "falls": sum(gain < 0 for gain in gains),
        "most_in_a_step": max(gains, default=0),
        "steps_without_gain": sum(gain == 0 for gain in gains),
        "steps": len(gains),
    }


def _rate(job: Job, card: Card, direction: int) -> int:
    """The present throughput in KB/s; -1 if there is none."""
    try:
        return job.library.number(_THROUGHPUT, card.handle, ctypes.c_uint(direction))
    except NvmlError:
        return -1


def _samples(job: Job, card: Card) -> Samples | None:
    """A pair of samples of the performance monitor, of which the first is taken."""
    try:
        samples = Samples(job, card)
        samples.take()
        return samples
    except NvmlError:
        return None


def _monitored(samples: Samples | None) -> Any:
    """Transmitted and received, the means over the whole time."""
    if samples is None:
        return None
    try:
        samples.take()
        found = samples.metrics([_GPM_TX, _GPM_RX])
    except NvmlError as error:
        return error.reason
    return [metric.value if not metric.code else reason(metric.code) for metric in found]
