"""The driver's buffers of samples: how deep, how dense, and whether new ones can be told."""

import ctypes
import itertools
import statistics
import struct
import time
from functools import partial
from typing import Any, NamedTuple

import pynvml
from tests.hardware.fieldvalues import VALUE_TYPES
from tests.hardware.job import Card, Job, Json, Steps
from tests.hardware.timing import measure, reason

_FUNCTION = "nvmlDeviceGetSamples"
TYPES = {
    name.removesuffix("_SAMPLES").removeprefix("NVML_").lower(): number
    for name, number in vars(pynvml).items()
    if name.startswith("NVML_") and name.endswith("_SAMPLES") and isinstance(number, int)
}
_PLACES = 1 << 14


class _Sample(ctypes.Structure):
    """nvmlSample_t; its union as bytes."""

    _fields_ = (("timestamp", ctypes.c_ulonglong), ("value", ctypes.c_ubyte * 8))


class Taken(NamedTuple):
    """What a call gave: NVML's answer, the values' type, and pairs of microseconds and value."""

    code: int
    type: str
    samples: list[tuple[int, float]]


def steps(job: Job) -> Steps:
    """For each model of card all buffers, and after a while what is new in them."""
    for card in job.kinds:
        newest: dict[int, int] = {}
        for name, type in TYPES.items():
            yield (
                f"{card.label} {name}",
                partial(_whole, job, card, type, newest),
            )
        yield f"{card.label} wait", partial(job.sleep, job.pace.apart)
        for name, type in TYPES.items():
            yield (
                f"{card.label} {name} later",
                partial(_later, job, card, type, newest),
            )


def take(job: Job, card: Card, type: int, since: int) -> Taken:
    """The samples that are newer than a time."""
    kind, count = ctypes.c_uint(), ctypes.c_uint(_PLACES)
    buffer = (_Sample * _PLACES)()
    code = job.library.function(_FUNCTION)(
        card.handle,
        ctypes.c_uint(type),
        ctypes.c_ulonglong(since),
        ctypes.byref(kind),
        ctypes.byref(count),
        buffer,
    )
    job.where.leave()
    name, format = VALUE_TYPES.get(kind.value, (f"type {kind.value}", "Q"))
    given = buffer[: min(count.value, _PLACES)] if not code else []
    return Taken(code, name, [(s.timestamp, _value(s, format)) for s in given])


def _value(sample: Any, format: str) -> float:
    value: float = struct.unpack(f"={format}", bytes(sample.value))[0]
    return value


def _whole(job: Job, card: Card, type: int, newest: dict[int, int]) -> Json:
    size, cost_of_size = _size(job, card, type)
    taken = take(job, card, type, 0)
    now, since_boot = time.time() * 1e6, time.clock_gettime(time.CLOCK_BOOTTIME) * 1e6
    found: dict[str, Json] = {"size_query": size, "cost_of_size_query": cost_of_size}
    if taken.code or not taken.samples:
        return found | {"error": reason(taken.code)}
    newest[type] = taken.samples[-1][0]
    return found | {
        "type": taken.type,
        "cost": _cost(job, card, type, 0),
        **described(taken.samples),
        "newest_age_us": {
            "if since 1970": round(now - newest[type]),
            "if since boot": round(since_boot - newest[type]),
        },
        "samples": taken.samples[-8:],
    }


def described(samples: list[tuple[int, float]]) -> dict[str, Json]:
    """How many there are, how far apart, and between what they lie."""
    times, values = zip(*samples, strict=True)
    gaps = [after - before for before, after in itertools.pairwise(times)]
    found: dict[str, Json] = {
        "count": len(samples),
        "in_order": all(gap > 0 for gap in gaps),
        "values": {"min": min(values), "mean": statistics.fmean(values), "max": max(values)},
    }
    if gaps:
        found["span_us"] = times[-1] - times[0]
        found["spacing_us"] = {
            "min": min(gaps),
            "median": statistics.median(gaps),
            "max": max(gaps),
        }
    return found


def _later(job: Job, card: Card, type: int, seen: dict[int, int]) -> Json:
    """Whether the driver gives those alone that are newer than the time that it is told."""
    newest = seen.get(type)
    if newest is None:
        return None
    taken = take(job, card, type, newest)
    if taken.code:
        return {"error": reason(taken.code)}
    times = [moment for moment, _ in taken.samples]
    again = take(job, card, type, times[-1])
    return {
        "count": len(times),
        "all_newer": all(moment > newest for moment in times),
        "at_once_again": {"error": reason(again.code), "count": len(again.samples)},
        "cost": _cost(job, card, type, times[-1]),
    }


def _size(job: Job, card: Card, type: int) -> tuple[Json, Json]:
    """How much room the driver asks for."""
    kind, count = ctypes.c_uint(), ctypes.c_uint()
    code, cost = measure(
        job,
        _FUNCTION,
        card.handle,
        ctypes.c_uint(type),
        ctypes.c_ulonglong(0),
        ctypes.byref(kind),
        ctypes.byref(count),
        None,
    )
    return (reason(code) if code else count.value), cost


def _cost(job: Job, card: Card, type: int, since: int) -> Json:
    kind, count = ctypes.c_uint(), ctypes.c_uint()
    buffer = (_Sample * _PLACES)()

    def prepare() -> None:
        count.value = _PLACES

    return measure(
        job,
        _FUNCTION,
        card.handle,
        ctypes.c_uint(type),
        ctypes.c_ulonglong(since),
        ctypes.byref(kind),
        ctypes.byref(count),
        buffer,
        prepare=prepare,
    )[1]
