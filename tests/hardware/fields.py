"""Which fields answer: those that the exporter reads, and all others, in every scope."""

import math
import re
import time
from collections import Counter
from functools import partial

import pynvml
from tests.hardware import fieldvalues
from tests.hardware.fieldvalues import EVERY_LINK, FieldValue
from tests.hardware.job import Card, Job, Json, Steps
from tests.hardware.pace import ROOT
from tests.hardware.timing import measure, reason

NAMES = {
    number: name
    for name, number in vars(pynvml).items()
    if name.startswith("NVML_FI_") and name != "NVML_FI_MAX"
}
# A little beyond what this nvidia-ml-py knows: the driver may be newer.
_LAST = max(NAMES) + 12
_CHUNK = 16
_SCOPES = (*range(1, 72), EVERY_LINK)


def used() -> list[int]:
    """The fields that the exporter's source names."""
    code = "".join(path.read_text() for path in (ROOT / "exporter").rglob("*.py"))
    names = set(re.findall(r"NVML_FI_\w+", code))
    return sorted(number for number, name in NAMES.items() if name in names)


def steps(job: Job) -> Steps:
    """For each model of card the exporter's fields at once, and then each field."""
    for card in job.kinds:
        yield f"{card.label} used", partial(_used, job, card)
        for first in range(1, _LAST + 1, _CHUNK):
            numbers = range(first, min(first + _CHUNK, _LAST + 1))
            name = f"{card.label} {numbers[0]}-{numbers[-1]}"
            yield name, partial(_each, job, card, numbers)


def _used(job: Job, card: Card) -> Json:
    """The exporter's fields in one call, as it asks for them."""
    entries = fieldvalues.request([(number, 0) for number in used()])
    code, cost = measure(job, fieldvalues.FUNCTION, *fieldvalues.arguments(card, entries))
    if code:
        return {"error": reason(code), "cost": cost}
    values = fieldvalues.decoded(entries)
    good = [entry for entry in values if not entry.code]
    entries = fieldvalues.request([(entry.field, 0) for entry in good])
    cost_of_good = (
        measure(job, fieldvalues.FUNCTION, *fieldvalues.arguments(card, entries))[1]
        if good
        else None
    )
    return {
        "asked": len(values),
        "cost": cost,
        "answered": [entry.field for entry in good],
        "cost_of_answered": cost_of_good,
        "refused": _refused(values),
    }


def _refused(values: list[FieldValue]) -> Json:
    by_reason: dict[str, list[int]] = {}
    for entry in values:
        if entry.code:
            by_reason.setdefault(reason(entry.code), []).append(entry.field)
    return by_reason


def _each(job: Job, card: Card, numbers: range) -> Json:
    return {str(number): _one(job, card, number) for number in numbers}


def _one(job: Job, card: Card, number: int) -> Json:
    """A field alone, and then in all scopes at once."""
    entries = fieldvalues.request([(number, 0)])
    # There are hundreds of them.
    short = job.pace.budget / 5
    asked = fieldvalues.arguments(card, entries)
    code, cost = measure(job, fieldvalues.FUNCTION, *asked, budget=short)
    found: dict[str, Json] = {"name": NAMES.get(number, ""), "cost": cost}
    if code:
        return found | {"error": reason(code)}
    found |= _told(fieldvalues.decoded(entries)[0])
    scopes = fieldvalues.read(job, card, [(number, scope) for scope in _SCOPES])
    refusals = Counter(reason(entry.code) for entry in scopes if entry.code)
    # Where the scope means nothing all of them give the same.
    answers = [[entry.scope, entry.value] for entry in scopes if not entry.code]
    return found | {"scopes": answers, "scopes_refused": dict(refusals)}


def _told(entry: FieldValue) -> dict[str, Json]:
    if entry.code:
        return {"error": reason(entry.code)}
    return {
        "value": entry.value if math.isfinite(entry.value) else str(entry.value),
        "type": entry.type,
        "age_us": round(time.time() * 1e6) - entry.timestamp if entry.timestamp else None,
        "driver_latency_us": entry.latency,
    }
