"""The NVLinks: state, version, other end, speed, traffic and errors of each."""

import ctypes
from functools import partial

from tests.hardware import fieldvalues
from tests.hardware.fieldvalues import EVERY_LINK
from tests.hardware.job import Card, Job, Json, Steps
from tests.hardware.timing import measure, reason

_LINK_COUNT = 91
_MOST_LINKS = 72
_STATE_FIELDS = {164: "speed_mbps", 165: "state", 166: "version", 167: "power_state"}
_TRAFFIC = {
    138: "data_tx_kib",
    139: "data_rx_kib",
    140: "raw_tx_kib",
    141: "raw_rx_kib",
    201: "packets_tx",
    202: "bytes_tx",
    203: "packets_rx",
    204: "bytes_rx",
}
_SUMS = {38: "crc_flit", 45: "crc_data", 52: "replay", 59: "recovery", 160: "ecc_data"}
_ERRORS = (161, 162, 163, *range(205, 223), *range(235, 251), *range(289, 297))
_CALLS = {
    "state": "nvmlDeviceGetNvLinkState",
    "version": "nvmlDeviceGetNvLinkVersion",
    "remote": "nvmlDeviceGetNvLinkRemoteDeviceType",
}
_COUNTERS = 5


def steps(job: Job) -> Steps:
    """For each model of card its links, and their traffic in two readings."""
    for card in job.kinds:
        yield f"{card.label} links", partial(_links, job, card)
        yield f"{card.label} traffic", partial(_traffic, job, card)
        yield f"{card.label} errors", partial(_errors, job, card)


def _fields(job: Job, card: Card, fields: dict[int, str], scope: int) -> dict[str, Json]:
    values = fieldvalues.read(job, card, [(number, scope) for number in fields])
    return {
        name: reason(value.code) if value.code else value.value
        for name, value in zip(fields.values(), values, strict=True)
    }


def _count(job: Job, card: Card) -> int:
    (count,) = fieldvalues.read(job, card, [(_LINK_COUNT, 0)])
    return 0 if count.code else min(int(count.value), _MOST_LINKS)


def _links(job: Job, card: Card) -> Json:
    (count,) = fieldvalues.read(job, card, [(_LINK_COUNT, 0)])
    links = {}
    # A card that does not tell how many it has is asked for the first.
    for link in range(_count(job, card) or 1):
        told: dict[str, Json] = {}
        for name, symbol in _CALLS.items():
            value = ctypes.c_uint()
            asked = (card.handle, ctypes.c_uint(link), ctypes.byref(value))
            code, cost = measure(job, symbol, *asked, budget=job.pace.budget / 10)
            told[name] = {"error": reason(code)} if code else {"value": value.value}
            told[name]["cost"] = cost
        links[str(link)] = told | {"fields": _fields(job, card, _STATE_FIELDS, link)}
    return {"count": reason(count.code) if count.code else count.value, "links": links}


def _traffic(job: Job, card: Card) -> Json:
    """Two readings, of all links together and of each."""
    scopes = [EVERY_LINK, *range(_count(job, card))]
    readings = []
    for turn in range(2):
        if turn:
            job.sleep(job.pace.apart)
        readings.append(
            {_scope_name(scope): _fields(job, card, _TRAFFIC, scope) for scope in scopes}
        )
    return {"seconds": job.pace.apart, "first": readings[0], "second": readings[1]}


def _scope_name(scope: int) -> str:
    return "all" if scope == EVERY_LINK else str(scope)


def _errors(job: Job, card: Card) -> Json:
    names = {number: str(number) for number in _ERRORS}
    links = {}
    for link in range(_count(job, card)):
        counters = []
        for counter in range(_COUNTERS):
            value = ctypes.c_ulonglong()
            code = job.library.function("nvmlDeviceGetNvLinkErrorCounter")(
                card.handle, ctypes.c_uint(link), ctypes.c_uint(counter), ctypes.byref(value)
            )
            counters.append(reason(code) if code else value.value)
        fields = _fields(job, card, names, link)
        links[str(link)] = {
            "counters": counters,
            "fields": {name: value for name, value in fields.items() if value != "not_supported"},
        }
    return {"sums": _fields(job, card, _SUMS, 0), "links": links}
