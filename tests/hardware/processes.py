"""Who is on the GPUs: what the lists and the use of processes tell, and whom."""

import ctypes
import time
from functools import partial
from pathlib import Path
from typing import Any

import pynvml
from tests.hardware.job import Card, Job, Json, Steps
from tests.hardware.timing import measure, reason

_KINDS = ("Compute", "Graphics", "MPSCompute")
_VERSIONS = ("_v3", "_v2", "")
_USE = "nvmlDeviceGetProcessUtilization"
_ROOM = 1024
_NO_MEMORY = 2**64 - 1
_NO_INSTANCE = 2**32 - 1


class _Info(ctypes.Structure):
    """nvmlProcessInfo_v2_t: what the calls _v2 and _v3 fill."""

    _fields_ = pynvml.c_nvmlProcessInfo_v2_t._fields_


class _OldInfo(ctypes.Structure):
    """nvmlProcessInfo_v1_t."""

    _fields_ = (("pid", ctypes.c_uint), ("usedGpuMemory", ctypes.c_ulonglong))


class _Use(ctypes.Structure):
    """nvmlProcessUtilizationSample_t."""

    _fields_ = pynvml.c_nvmlProcessUtilizationSample_t._fields_


def steps(job: Job) -> Steps:
    """For each model of card the lists in all versions, and the use of its processes."""
    for card in job.kinds:
        for kind in _KINDS:
            for version in _VERSIONS:
                symbol = f"nvmlDeviceGet{kind}RunningProcesses{version}"
                yield (
                    f"{card.label} {symbol}",
                    partial(_list, job, card, symbol),
                )
        yield f"{card.label} {_USE}", partial(_use, job, card)


def _list(job: Job, card: Card, symbol: str) -> Json:
    layout = _Info if symbol[-3:] in _VERSIONS else _OldInfo
    count, entries = ctypes.c_uint(), (layout * _ROOM)()

    def prepare() -> None:
        count.value = _ROOM

    asked = (card.handle, ctypes.byref(count), entries)
    code, cost = measure(job, symbol, *asked, prepare=prepare)
    if code:
        return {"error": reason(code), "cost": cost}
    return {"processes": [_process(entry) for entry in entries[: count.value]], "cost": cost}


def _process(entry: Any) -> Json:
    memory = entry.usedGpuMemory
    found = {
        "pid": entry.pid,
        "memory_bytes": None if memory == _NO_MEMORY else memory,
        # In a container without the machine's processes it is not.
        "pid_is_here": Path("/proc", str(entry.pid)).exists(),
    }
    for name in ("gpuInstanceId", "computeInstanceId"):
        number = getattr(entry, name, _NO_INSTANCE)
        if number != _NO_INSTANCE:
            found[name] = number
    return found


def _use(job: Job, card: Card) -> Json:
    """What is in the ring, and what of it is new after a while."""
    count = ctypes.c_uint()
    size_code = job.library.function(_USE)(
        card.handle, None, ctypes.byref(count), ctypes.c_ulonglong(0)
    )
    found: dict[str, Json] = {"size_query": [reason(size_code), count.value]}
    entries = (_Use * _ROOM)()
    since = ctypes.c_ulonglong()

    def prepare() -> None:
        count.value = _ROOM

    def read() -> tuple[int, Json, list[Any]]:
        asked = (card.handle, entries, ctypes.byref(count), since)
        code, cost = measure(job, _USE, *asked, prepare=prepare)
        return code, cost, [] if code else entries[: count.value]

    code, cost, all_samples = read()
    newest = max((sample.timeStamp for sample in all_samples), default=0)
    found |= {"error": reason(code), "cost": cost, "samples": [_sample(s) for s in all_samples]}
    if newest:
        found["newest_age_us"] = round(time.time() * 1e6) - newest
        since.value = newest
        job.sleep(max(1.2, job.pace.apart))
        code, cost, fresh = read()
        found["later"] = {
            "error": reason(code),
            "cost": cost,
            "count": len(fresh),
            "all_newer": all(sample.timeStamp > newest for sample in fresh),
        }
    return found


def _sample(sample: Any) -> Json:
    use = [sample.smUtil, sample.memUtil, sample.encUtil, sample.decUtil]
    return {"pid": sample.pid, "time_us": sample.timeStamp, "sm_mem_enc_dec": use}
