"""What nvidia-ml-py returns, as JSON can hold it."""

import ctypes
import math
import re
from typing import Any

from tests.hardware.job import Json, private

_PRIVATE = re.compile("serial|uuid|guid|hostname", re.IGNORECASE)
_LONG = 72
_SHOWN = 8


def plain(value: Any, name: str = "") -> Json:
    """Make JSON of a value.

    Args:
        value: A number, a text, a structure, or several of them.
        name: What it is called; what names a card or a machine is marked as private.
    """
    if _PRIVATE.search(name):
        return private(_kind(name), _text(value))
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, bytes):
        return _decoded(value)
    if isinstance(value, ctypes.Structure):
        return _structure(value)
    if isinstance(value, ctypes.Union):
        return bytes(value).hex()
    if isinstance(value, ctypes.Array | list | tuple):
        return _list(list(value))
    if isinstance(value, ctypes._SimpleCData):
        return plain(value.value)
    return type(value).__name__


def _kind(name: str) -> str:
    return "serial" if "serial" in name.lower() else "uuid" if "uuid" in name.lower() else "id"


def _text(value: Any) -> str:
    """One text for a secret, whatever its type; empty where nothing is set."""
    if isinstance(value, ctypes.Array):
        value = bytes(value) if ctypes.sizeof(value._type_) == 1 else list(value)
    if isinstance(value, bytes):
        stripped = value.rstrip(b"\0")
        return stripped.decode() if stripped.isascii() else stripped.hex()
    return str(value) if value else ""


def _decoded(value: bytes) -> str:
    stripped = value.rstrip(b"\0")
    return stripped.decode() if stripped.isascii() else stripped.hex()


def _structure(value: ctypes.Structure) -> Json:
    # nvidia-ml-py's classes decode what is not text, and fail at it.
    fields = type(value)._fields_
    layout: Any = type("Bare", (ctypes.Structure,), {"_fields_": fields})
    bare = layout.from_buffer_copy(value)
    return {field[0]: plain(getattr(bare, field[0]), field[0]) for field in fields}


def _list(values: list[Any]) -> Json:
    if len(values) <= _LONG:
        return [plain(value) for value in values]
    shown = [plain(value) for value in values[:_SHOWN]]
    return {"count": len(values), "first": shown, "last": plain(values[-1])}
