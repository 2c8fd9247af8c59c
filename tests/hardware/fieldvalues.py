"""``nvmlDeviceGetFieldValues``, with all that it tells of each field."""

import ctypes
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.hardware.job import Card, Job

FUNCTION = "nvmlDeviceGetFieldValues"
EVERY_LINK = 0xFFFFFFFF

# What NVML_VALUE_TYPE_... is called, and how it lies in memory.
VALUE_TYPES = {
    0: ("double", "d"),
    1: ("unsigned int", "I4x"),
    2: ("unsigned long", "Q"),
    3: ("unsigned long long", "Q"),
    4: ("signed long long", "q"),
    5: ("signed int", "i4x"),
    6: ("unsigned short", "H6x"),
}


class _Entry(ctypes.Structure):
    """nvmlFieldValue_t; its union as bytes."""

    _fields_ = (
        ("field", ctypes.c_uint),
        ("scope", ctypes.c_uint),
        ("timestamp", ctypes.c_longlong),
        ("latency", ctypes.c_longlong),
        ("type", ctypes.c_uint),
        ("code", ctypes.c_uint),
        ("value", ctypes.c_ubyte * 8),
    )


class FieldValue(NamedTuple):
    """The answer to a field.

    Attributes:
        field: Its number.
        scope: Of what it was asked, such as a link.
        code: NVML's answer for it alone.
        type: The C type of its value.
        value: Its value, whatever ``code`` is.
        timestamp: When it was read, in microseconds since 1970, as the driver says.
        latency: How long the driver took for it, in microseconds, as it says.
    """

    field: int
    scope: int
    code: int
    type: str
    value: float
    timestamp: int
    latency: int


def request(wanted: Sequence[tuple[int, int]]) -> Any:
    """The array that the function takes and fills, for pairs of field and scope."""
    entries = (_Entry * len(wanted))()
    for entry, (field, scope) in zip(entries, wanted, strict=True):
        entry.field, entry.scope = field, scope
    return entries


def arguments(card: Card, entries: Any) -> tuple[Any, ...]:
    """What the function takes."""
    return card.handle, ctypes.c_int(len(entries)), entries


def read(job: Job, card: Card, wanted: Sequence[tuple[int, int]]) -> list[FieldValue]:
    """Ask for fields, all in one call.

    Raises:
        NvmlError: The driver answers none at all.
        StoppedError: The process has to end.
    """
    entries = request(wanted)
    job.library.call(FUNCTION, *arguments(card, entries))
    job.where.leave()
    return decoded(entries)


def decoded(entries: Any) -> list[FieldValue]:
    """What the function has written."""
    return [_decoded(entry) for entry in entries]


def _decoded(entry: Any) -> FieldValue:
    name, format = VALUE_TYPES.get(entry.type, (f"type {entry.type}", "Q"))
    (value,) = struct.unpack(f"={format}", bytes(entry.value))
    return FieldValue(
        entry.field, entry.scope, entry.code, name, value, entry.timestamp, entry.latency
    )
