"""Which events a GPU can be watched for, and what waiting costs."""

import ctypes
from functools import partial

import pynvml
from tests.hardware.job import Card, Job, Json, Steps
from tests.hardware.timing import measure, reason

from gpuglass.probe.nvml import NvmlError

TYPES = {
    name.removeprefix("nvmlEventType"): bit
    for name, bit in vars(pynvml).items()
    if name.startswith("nvmlEventType") and isinstance(bit, int) and bit.bit_count() == 1
}
_XID = "XidCriticalError"
_WAIT_MILLISECONDS = 20


class _Event(ctypes.Structure):
    _fields_ = pynvml.c_nvmlEventData_t._fields_


def steps(job: Job) -> Steps:
    """For each model of card the types; then a wait for XIDs of all GPUs."""
    for card in job.kinds:
        yield f"{card.label} types", partial(_types, job, card)
    yield "wait", partial(_wait, job)


def _types(job: Job, card: Card) -> Json:
    mask = ctypes.c_ulonglong()
    asked = (card.handle, ctypes.byref(mask))
    code, cost = measure(job, "nvmlDeviceGetSupportedEventTypes", *asked)
    supported = [name for name, bit in TYPES.items() if mask.value & bit]
    return {
        "error": reason(code),
        "mask": hex(mask.value),
        "supported": supported,
        "cost": cost,
        "registration": {name: _register(job, card, bit) for name, bit in TYPES.items()},
        "registration of all supported": _register(job, card, mask.value) if mask.value else None,
        "registration of all": _register(job, card, sum(TYPES.values())),
    }


def _register(job: Job, card: Card, types: int) -> str:
    """The answer; empty for success. The set is thrown away, so nothing stays registered."""
    events = ctypes.c_void_p()
    try:
        job.library.call("nvmlEventSetCreate", ctypes.byref(events))
        try:
            job.library.call(
                "nvmlDeviceRegisterEvents", card.handle, ctypes.c_ulonglong(types), events
            )
        finally:
            job.library.call("nvmlEventSetFree", events)
    except NvmlError as error:
        return reason(error.code)
    return ""


def _wait(job: Job) -> Json:
    events, event = ctypes.c_void_p(), _Event()
    job.library.call("nvmlEventSetCreate", ctypes.byref(events))
    registered = {}
    for card in job.cards:
        code = job.library.function("nvmlDeviceRegisterEvents")(
            card.handle, ctypes.c_ulonglong(TYPES[_XID]), events
        )
        registered[card.label] = reason(code)
    asked = (events, ctypes.byref(event), ctypes.c_uint(_WAIT_MILLISECONDS))
    code, cost = measure(job, "nvmlEventSetWait_v2", *asked)
    job.library.call("nvmlEventSetFree", events)
    return {
        "registered": registered,
        "milliseconds": _WAIT_MILLISECONDS,
        "answer": reason(code),
        "xid": event.eventData if not code else None,
        "cost": cost,
    }
