"""Prepared calls: every type of value, in the unit of its metric."""

import ctypes
from collections.abc import Callable
from typing import Any

import pynvml
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuglass.probe import calls
from gpuglass.probe.calls import Field, FieldBatch
from gpuglass.probe.frames import Column
from gpuglass.probe.nvml import Handle, Library, NvmlError

COLUMN = Column("a")
DEVICE = Handle()


class FakeLibrary(Library):
    """Functions in Python, for answers that no stand-in driver gives on request."""

    def __init__(self, **functions: Callable[..., int]) -> None:
        self._functions = functions

    def function(self, symbol: str) -> Any:
        if symbol not in self._functions:
            raise NvmlError(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)
        return self._functions[symbol]


U32, U64, I32, I64 = 2**32 - 1, 2**64 - 1, 2**31, 2**63
TYPES: dict[str, tuple[int, str, st.SearchStrategy[float]]] = {
    "double": (pynvml.NVML_VALUE_TYPE_DOUBLE, "dVal", st.floats(allow_nan=False)),
    "unsigned int": (pynvml.NVML_VALUE_TYPE_UNSIGNED_INT, "uiVal", st.integers(0, U32)),
    "unsigned long": (pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG, "ulVal", st.integers(0, U64)),
    "unsigned long long": (
        pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG,
        "ullVal",
        st.integers(0, U64),
    ),
    "long long": (pynvml.NVML_VALUE_TYPE_SIGNED_LONG_LONG, "sllVal", st.integers(-I64, I64 - 1)),
    "int": (pynvml.NVML_VALUE_TYPE_SIGNED_INT, "siVal", st.integers(-I32, I32 - 1)),
    "unsigned short": (pynvml.NVML_VALUE_TYPE_UNSIGNED_SHORT, "usVal", st.integers(0, 2**16 - 1)),
}
# "Not available", where a type has no other way to say so.
ALL_BITS = {
    pynvml.NVML_VALUE_TYPE_UNSIGNED_INT: U32,
    pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG: U64,
    pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG: U64,
    pynvml.NVML_VALUE_TYPE_UNSIGNED_SHORT: 2**16 - 1,
}
answers = st.one_of(
    [
        st.tuples(st.just(type), st.just(member), number, st.sampled_from([0, 0, 0, 3, 999]))
        for type, member, number in TYPES.values()
    ]
)


@given(st.lists(st.lists(answers, min_size=3, max_size=3), min_size=1, max_size=4))
def test_a_batch_of_every_type(
    readings: list[list[tuple[int, str, float, int]]],
) -> None:
    """Also when a field's type or result is another one than last time."""
    now: list[tuple[int, str, float, int]] = []

    def get(device: Any, count: ctypes.c_int, buffer: Any) -> int:
        assert count.value == 3
        assert [entry.fieldId for entry in buffer] == [11, 12, 13]
        for entry, (type, member, number, code) in zip(buffer, now, strict=True):
            ctypes.memset(ctypes.byref(entry.value), 0xFF, 8)
            entry.valueType, entry.nvmlReturn = type, code
            setattr(entry.value, member, number)
        return 0

    library = FakeLibrary(nvmlDeviceGetFieldValues=get)
    fields = [Field(11, Column("a")), Field(12, Column("b"), 1000), Field(13, Column("c"))]
    batch = FieldBatch(library, DEVICE, fields)
    for now in readings:
        expected = [
            None if code or number == ALL_BITS.get(type) else number
            for type, _, number, code in now
        ]
        if expected[1] is not None:
            expected[1] /= 1000
        assert list(batch.read()) == expected


@pytest.mark.parametrize("type", [name for name, (type, *_) in TYPES.items() if type in ALL_BITS])
def test_all_bits_of_an_unsigned_field_are_no_value(type: str) -> None:
    code, member, _ = TYPES[type]

    def get(device: Any, count: ctypes.c_int, buffer: Any) -> int:
        buffer[0].valueType, buffer[0].nvmlReturn = code, 0
        setattr(buffer[0].value, member, ALL_BITS[code])
        return 0

    library = FakeLibrary(nvmlDeviceGetFieldValues=get)
    assert list(FieldBatch(library, DEVICE, [Field(11, COLUMN)]).read()) == [None]


def test_a_batch_that_fails_as_a_whole() -> None:
    library = FakeLibrary(nvmlDeviceGetFieldValues=lambda *_: pynvml.NVML_ERROR_GPU_IS_LOST)
    with pytest.raises(NvmlError) as caught:
        FieldBatch(library, DEVICE, [Field(11, COLUMN)]).read()
    assert caught.value.code == pynvml.NVML_ERROR_GPU_IS_LOST
    assert caught.value.reason == "gpu_is_lost"


def test_fields_that_a_card_has_not() -> None:
    codes = {1: 0, 2: pynvml.NVML_ERROR_NOT_SUPPORTED, 3: pynvml.NVML_ERROR_TIMEOUT}

    def get(device: Any, count: Any, buffer: Any) -> int:
        for entry in buffer:
            entry.nvmlReturn = codes[entry.fieldId]
        return 0

    fields = [Field(number, Column(f"m{number}")) for number in codes]
    library = FakeLibrary(nvmlDeviceGetFieldValues=get)
    good, missing = calls.supported_fields(library, DEVICE, fields)
    assert [field.id for field in good] == [1, 3]
    assert missing == {Column("m2"): "not_supported"}


def fields_of(*answers: tuple[int, int]) -> FakeLibrary:
    """A driver whose fields have these numbers and results."""

    def get(device: Any, count: Any, buffer: Any) -> int:
        for entry, (number, code) in zip(buffer, answers, strict=True):
            entry.valueType = pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG
            entry.value.ullVal, entry.nvmlReturn = number, code
        return 0

    return FakeLibrary(nvmlDeviceGetFieldValues=get)


@pytest.mark.parametrize(("code", "total"), [(0, 2 * 1024 + 40), (999, None)])
def test_fields_of_one_column_are_added_up(code: int, total: float | None) -> None:
    fields = [
        Field(1, Column("sum"), multiply=1024),
        Field(2, Column("other"), scope=7),
        Field(1, Column("sum"), scope=1),
    ]
    batch = FieldBatch(fields_of((2, 0), (5, 0), (40, code)), DEVICE, fields)
    assert batch.columns == (Column("sum"), Column("other"))
    assert list(batch.read()) == [total, 5]


def test_a_sum_is_of_the_parts_that_there_are() -> None:
    fields = [Field(1, COLUMN, scope=part) for part in range(3)]
    library = fields_of((1, 0), (0, pynvml.NVML_ERROR_INVALID_ARGUMENT), (1, 0))
    good, missing = calls.supported_fields(library, DEVICE, fields)
    assert ([field.scope for field in good], missing) == ([0, 2], {})


def test_a_field_that_takes_more_than_a_factor() -> None:
    fields = [Field(1, COLUMN, convert=lambda value: value * 10.0**-3), Field(2, Column("b"))]
    batch = FieldBatch(fields_of((4, 0), (5, 0)), DEVICE, fields)
    assert list(batch.read()) == [0.004, 5]
    batch = FieldBatch(fields_of((4, 999), (5, 0)), DEVICE, fields)
    assert list(batch.read()) == [None, 5]


def test_one_field() -> None:
    assert calls.field_value(fields_of((7, 0)), DEVICE, 91) == 7
    library = fields_of((7, pynvml.NVML_ERROR_NOT_SUPPORTED))
    assert calls.field_value(library, DEVICE, 91) is None


def writes(*numbers: int, code: int = 0) -> Callable[..., int]:
    """A function that writes numbers where its last arguments point."""

    def function(*arguments: Any) -> int:
        for argument, number in zip(arguments[-len(numbers) :], numbers, strict=True):
            argument._obj.value = number
        return code

    return function


def test_numbers_divided_multiplied_and_left_out() -> None:
    library = FakeLibrary(two=writes(37, 5), one=writes(1980))
    read = calls.numbers("two", [COLUMN, None], divide=100)(library, DEVICE)
    assert (read.columns, list(read.read())) == ((COLUMN,), [0.37])
    assert list(calls.numbers("one", [COLUMN], multiply=1_000_000)(library, DEVICE).read()) == [
        1_980_000_000
    ]


def test_arguments_stand_between_the_device_and_the_numbers() -> None:
    seen = []

    def function(device: Any, kind: ctypes.c_uint, out: Any) -> int:
        seen.append((device, kind.value))
        out._obj.value = 9
        return 0

    call = calls.numbers("f", [COLUMN], 3)(FakeLibrary(f=function), DEVICE)
    assert list(call.read()) == [9]
    assert seen == [(DEVICE, 3)]


def test_the_numbers_that_mean_unknown_are_no_values() -> None:
    library = FakeLibrary(f=writes(32), g=writes(U32))
    assert list(calls.numbers("f", [COLUMN], unknown=32)(library, DEVICE).read()) == [None]
    assert list(calls.numbers("g", [COLUMN], multiply=2)(library, DEVICE).read()) == [None]


@pytest.mark.parametrize("code", [pynvml.NVML_ERROR_TIMEOUT, 12345])
def test_a_call_that_fails_says_with_what(code: int) -> None:
    with pytest.raises(NvmlError) as caught:
        calls.numbers("f", [COLUMN])(FakeLibrary(f=writes(1, code=code)), DEVICE).read()
    assert caught.value.code == code
    assert str(caught.value) == caught.value.reason == ("timeout" if code == 10 else "error_12345")


def test_a_function_that_the_driver_lacks() -> None:
    with pytest.raises(NvmlError) as caught:
        calls.numbers("f", [COLUMN])(FakeLibrary(), DEVICE)
    assert caught.value.reason == "function_not_found"


def test_bits() -> None:
    columns = {bit: Column("reason", (str(bit),)) for bit in (1, 4, 1 << 63)}

    def function(device: Any, mask: Any) -> int:
        mask._obj.value = (1 << 63) | 2 | 1
        return 0

    call = calls.bits("f", columns)(FakeLibrary(f=function), DEVICE)
    assert call.columns == tuple(columns.values())
    assert list(call.read()) == [1, 0, 1]


def test_a_structure_is_preset_and_read_by_name() -> None:
    seen = []

    def function(device: Any, argument: Any) -> int:
        memory = argument._obj
        seen.append(memory.version)
        memory.total, memory.used = 2**40, 5
        return 0

    columns = {"used": Column("used"), "total": Column("total")}
    call = calls.structure("f", pynvml.c_nvmlMemory_v2_t, columns, version=pynvml.nvmlMemory_v2)(
        FakeLibrary(f=function), DEVICE
    )
    assert list(call.read()) == [5, 2**40]
    assert seen == [pynvml.nvmlMemory_v2]


def test_a_structure_that_has_to_be_interpreted() -> None:
    def function(device: Any, kind: ctypes.c_uint, argument: Any) -> int:
        argument._obj.used = 10 * kind.value
        return 0

    columns = [Column("used"), Column("full")]
    make = calls.decoded(
        *("f", pynvml.c_nvmlMemory_t, columns),
        lambda memory: [memory.used, memory.used > memory.total],
        3,
        total=20,
    )
    call = make(FakeLibrary(f=function), DEVICE)
    assert (list(call.columns), list(call.read())) == (columns, [30, True])


def test_what_stays_as_it_is() -> None:
    call = calls.constant({COLUMN: 1, Column("b"): 2})(FakeLibrary(), DEVICE)
    assert (list(call.columns), list(call.read())) == ([COLUMN, Column("b")], [1, 2])


def test_a_library_that_is_not_there() -> None:
    with pytest.raises(NvmlError) as caught:
        Library("/nonexistent/libnvidia-ml.so.1")
    assert caught.value.reason == "library_not_found"
