"""Prepared NVML calls: function, arguments and buffers are looked up once and used for ever.

A call that is made every second for years must cost little more than the call itself.
"""

import ctypes
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import pynvml

from gpuglass.probe.frames import Column
from gpuglass.probe.nvml import PERMANENT, Handle, Library, NvmlError

Values = Sequence[float | None]


class Call:
    """An NVML function with all of its arguments, and what its answer means.

    Attributes:
        symbol: The function's name.
        columns: What ``read`` returns, in this order.
    """

    def __init__(
        self,
        symbol: str,
        function: Any,
        arguments: tuple[Any, ...],
        columns: tuple[Column, ...],
        values: Callable[[], Values],
    ) -> None:
        self.symbol = symbol
        self.columns = columns
        self._function = function
        self._arguments = arguments
        self._values = values

    def read(self) -> Values:
        """Ask the driver.

        Returns:
            A value for each column, in the base unit of its metric.

        Raises:
            NvmlError: The driver answered with an error.
        """
        code = self._function(*self._arguments)
        if code:
            raise NvmlError(code)
        return self._values()


Make = Callable[[Library, Handle], Call]


def numbers(
    symbol: str,
    columns: Sequence[Column | None],
    *arguments: int,
    divide: int = 1,
    multiply: int = 1,
    unknown: int | None = None,
    type: Any = ctypes.c_uint,
) -> Make:
    """A function that writes numbers into its last parameters.

    Args:
        symbol: The function's name.
        columns: What each number is; ``None`` leaves it out.
        arguments: What the function takes between the device and the numbers.
        divide: What to divide by. A percentage divided by 100 prints as 0.37; one multiplied by
            0.01 as 0.37000000000000005.
        multiply: What to multiply by, where ``divide`` is 1.
        unknown: The number that stands for "not known", besides all bits set.
        type: The C type of the numbers.
    """

    def make(library: Library, device: Handle) -> Call:
        outputs = [type() for _ in columns]
        wanted = [out for out, column in zip(outputs, columns, strict=True) if column]
        all_bits = type(-1).value

        def values() -> Values:
            return [
                None
                if out.value == unknown or out.value == all_bits
                else out.value * multiply
                if divide == 1
                else out.value / divide
                for out in wanted
            ]

        inputs = tuple(ctypes.c_uint(argument) for argument in arguments)
        references = tuple(ctypes.byref(out) for out in outputs)
        return Call(
            symbol,
            library.function(symbol),
            (device, *inputs, *references),
            tuple(column for column in columns if column),
            values,
        )

    return make


def structure(
    symbol: str,
    layout: Any,
    columns: dict[str, Column],
    divide: int = 1,
    multiply: int = 1,
    valid: Callable[[Any], bool] | None = None,
    **preset: int,
) -> Make:
    """A function that fills a structure.

    Args:
        symbol: The function's name.
        layout: The structure's class in nvidia-ml-py.
        columns: What each wanted field of the structure is.
        divide: What to divide the fields by.
        multiply: What to multiply them by, where ``divide`` is 1.
        valid: Whether what the structure holds can be true; if not, it is left out.
        preset: Fields to set before the call, such as ``version``.
    """
    names = tuple(columns)

    def decode(buffer: Any) -> Values:
        if valid is not None and not valid(buffer):
            return [None] * len(names)
        if divide == 1:
            return [getattr(buffer, name) * multiply for name in names]
        return [getattr(buffer, name) / divide for name in names]

    return decoded(symbol, layout, tuple(columns.values()), decode, **preset)


def plain(layout: Any) -> Any:
    """The layout alone: nvidia-ml-py's classes run Python on each access to a field."""

    class Plain(ctypes.Structure):
        _fields_ = layout._fields_

    return Plain


def decoded(
    symbol: str,
    layout: Any,
    columns: Sequence[Column],
    decode: Callable[[Any], Values],
    *arguments: int,
    **preset: int,
) -> Make:
    """A function that fills a structure which has to be interpreted.

    Args:
        symbol: The function's name.
        layout: The structure's class, in nvidia-ml-py or of our own.
        columns: What ``decode`` returns.
        decode: Makes values of the filled structure.
        arguments: What the function takes between the device and the structure.
        preset: Fields to set before the call, such as ``version``.
    """
    buffer_type = plain(layout)

    def make(library: Library, device: Handle) -> Call:
        buffer = buffer_type(**preset)
        inputs = tuple(ctypes.c_uint(argument) for argument in arguments)
        return Call(
            symbol,
            library.function(symbol),
            (device, *inputs, ctypes.byref(buffer)),
            tuple(columns),
            lambda: decode(buffer),
        )

    return make


def constant(columns: Mapping[Column, float]) -> Make:
    """What was asked when the card was planned and stays as it is, such as a text in a label."""
    values = list(columns.values())

    def make(library: Library, device: Handle) -> Call:
        return Call("plan", lambda: 0, (), tuple(columns), lambda: values)

    return make


def bits(symbol: str, columns: dict[int, Column]) -> Make:
    """A function that writes a mask of 64 bits, each of which is a column of 0 or 1."""

    def make(library: Library, device: Handle) -> Call:
        mask = ctypes.c_ulonglong()
        masks = tuple(columns)
        return Call(
            symbol,
            library.function(symbol),
            (device, ctypes.byref(mask)),
            tuple(columns.values()),
            lambda: [1 if mask.value & bit else 0 for bit in masks],
        )

    return make


class Field(NamedTuple):
    """A value of ``nvmlDeviceGetFieldValues``.

    Attributes:
        id: ``NVML_FI_DEV_...``.
        column: What it is.
        divide: What to divide it by to get the metric's unit.
        multiply: What to multiply it by, where ``divide`` is 1.
        scope: ``scopeId``, such as the number of a link.
        convert: Makes a value of what the driver gives, where that takes more than a factor.
    """

    id: int
    column: Column
    divide: int = 1
    multiply: int = 1
    scope: int = 0
    convert: Callable[[float], float] | None = None


_VALUE_FORMATS = {
    pynvml.NVML_VALUE_TYPE_DOUBLE: "d",
    pynvml.NVML_VALUE_TYPE_UNSIGNED_INT: "I4x",
    pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG: "Q",
    pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG: "Q",
    pynvml.NVML_VALUE_TYPE_SIGNED_LONG_LONG: "q",
    pynvml.NVML_VALUE_TYPE_SIGNED_INT: "i4x",
    pynvml.NVML_VALUE_TYPE_UNSIGNED_SHORT: "H6x",
}
# All bits set: "not available".
_UNKNOWN = {
    pynvml.NVML_VALUE_TYPE_UNSIGNED_INT: 2**32 - 1,
    pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG: 2**64 - 1,
    pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG: 2**64 - 1,
    pynvml.NVML_VALUE_TYPE_UNSIGNED_SHORT: 2**16 - 1,
}
_SYMBOL = "nvmlDeviceGetFieldValues"


class FieldBatch(Call):
    """Many fields in one call. Each has its own return code, so one may fail alone.

    Fields of the same column are added up, such as those of all links.
    """

    def __init__(self, library: Library, device: Handle, fields: Sequence[Field]) -> None:
        self._buffer = _field_buffer(fields)
        super().__init__(
            _SYMBOL,
            library.function(_SYMBOL),
            (device, ctypes.c_int(len(fields)), self._buffer),
            tuple(dict.fromkeys(field.column for field in fields)),
            self._decode,
        )
        self._convert = [
            (place, field.convert) for place, field in enumerate(fields) if field.convert
        ]
        self._parts = [
            [place for place, field in enumerate(fields) if field.column == column]
            for column in self.columns
        ]
        self._adds_up = len(self.columns) < len(fields)
        self._scales = tuple((field.divide, field.multiply) for field in fields)
        self._types: tuple[int, ...] = ()
        self._unknown: tuple[int | None, ...] = ()
        self._layout = struct.Struct("")

    def _decode(self) -> Values:
        """One unpacking for the whole batch, by the types that it had last time."""
        row = self._layout.unpack_from(self._buffer) if self._types else ()
        if not self._types or row[0::3] != self._types:
            self._types = tuple(entry.valueType for entry in self._buffer)
            self._unknown = tuple(_UNKNOWN.get(type) for type in self._types)
            self._layout = struct.Struct(
                "=" + "".join(f"24xii{_VALUE_FORMATS.get(type, 'Q')}" for type in self._types)
            )
            row = self._layout.unpack_from(self._buffer)
        values = [
            None
            if code or value == unknown
            else value * multiply
            if divide == 1
            else value / divide
            for code, value, unknown, (divide, multiply) in zip(
                row[1::3], row[2::3], self._unknown, self._scales, strict=True
            )
        ]
        for place, convert in self._convert:
            value = values[place]
            values[place] = None if value is None else convert(value)
        return [_sum(values, parts) for parts in self._parts] if self._adds_up else values


def _sum(values: Sequence[float | None], parts: Sequence[int]) -> float | None:
    """The sum of some of the values; ``None`` if one of them is not known."""
    total: float = 0
    for part in parts:
        value = values[part]
        if value is None:
            return None
        total += value
    return total


def supported_fields(
    library: Library, device: Handle, fields: Sequence[Field]
) -> tuple[list[Field], dict[Column, str]]:
    """Ask for each field once.

    Returns:
        The fields that this card and driver have, and the reason for each column without any.

    Raises:
        NvmlError: The driver cannot answer fields at all.
    """
    buffer = _field_buffer(fields)
    library.call(_SYMBOL, device, ctypes.c_int(len(fields)), buffer)
    good: list[Field] = []
    missing: dict[Column, str] = {}
    for field, entry in zip(fields, buffer, strict=True):
        if entry.nvmlReturn in PERMANENT:
            missing[field.column] = NvmlError(entry.nvmlReturn).reason
        else:
            good.append(field)
    given = {field.column for field in good}
    return good, {column: why for column, why in missing.items() if column not in given}


def field_value(library: Library, device: Handle, id: int, scope: int = 0) -> float | None:
    """One field, asked once; ``None`` where this card or driver has none.

    Raises:
        NvmlError: The driver cannot answer fields at all.
    """
    return FieldBatch(library, device, [Field(id, Column(""), scope=scope)]).read()[0]


def _field_buffer(fields: Sequence[Field]) -> Any:
    buffer = (pynvml.c_nvmlFieldValue_t * len(fields))()
    for entry, field in zip(buffer, fields, strict=True):
        entry.fieldId = field.id
        entry.scopeId = field.scope
    return buffer
