"""What is read of one card: the table of facts, tried on it, and what is left.

A call that this card, driver or permission refuses for good is dropped when the plan is built.
"""

import ctypes
from collections.abc import Callable, Sequence

from gpuglass.probe import calls
from gpuglass.probe.calls import Call, Field, FieldBatch, Make
from gpuglass.probe.facts import (
    FACTS,
    FAST,
    FIELDS,
    GROUPS,
    PCIE_FIELDS,
    REASONS,
    SLOW,
    WITHOUT_FIELD,
    fan_speed,
)
from gpuglass.probe.frames import Column
from gpuglass.probe.nvml import GPU_GONE, PERMANENT, PROCESS_STALE, Handle, Library, NvmlError

_WRAP_32 = 2**32
_MAY_WRAP = "may_wrap_between_readings"
# One lane's payload in bytes a second by PCIe generation, after line encoding (PCI-SIG).
_LANE_BYTES = {1: 250e6, 2: 500e6, 3: 985e6, 4: 1969e6, 5: 3938e6, 6: 7563e6, 7: 15125e6}


class Plan:
    """The calls that this card answers, by group.

    Args:
        library: NVML.
        device: The GPU.
        interval: Seconds between two readings of the fast group, which decide whether a PCIe
            counter of 32 bits could wrap unseen.

    Attributes:
        missing: For each counter that the card does not give, the reason.

    Raises:
        NvmlError: The GPU is gone, or NVML has to be started again.
    """

    def __init__(self, library: Library, device: Handle, interval: float) -> None:
        self._library, self._device, self._interval = library, device, interval
        self.missing: dict[Column, str] = {}
        self._calls: dict[str, list[Call]] = {
            group: [call for fact in FACTS[group] if (call := self._first(fact))]
            for group in GROUPS
        }
        self._calls[FAST] += self._reasons()
        self._calls[SLOW] += self._fans()
        for group in GROUPS:
            self._calls[group] += self._batch(group)

    def columns(self, group: str) -> list[Column]:
        """What ``read`` returns for a group."""
        return [column for call in self._calls[group] for column in call.columns]

    def read(self, group: str, enter: Callable[[str], None]) -> list[float | None]:
        """Read a group.

        Args:
            group: One of ``GROUPS``.
            enter: Told the name of each function before it is called.

        Returns:
            A value for each of ``columns(group)``; ``None`` where the driver gave none this time.

        Raises:
            NvmlError: The GPU is gone, or NVML has to be started again.
        """
        values: list[float | None] = []
        for call in self._calls[group]:
            enter(call.symbol)
            try:
                values += call.read()
            except NvmlError as error:
                if error.code in GPU_GONE or error.code in PROCESS_STALE:
                    raise
                values += [None] * len(call.columns)
        return values

    def outdated(self) -> bool:
        """Whether a new plan would hold more: a PCIe counter has shown more than 32 bits."""
        waiting = _MAY_WRAP in (self.missing.get(field.column) for field in PCIE_FIELDS)
        return waiting and bool(self._trusted_pcie_fields())

    def _first(self, fact: Sequence[Make]) -> Call | None:
        for make in fact:
            try:
                call = make(self._library, self._device)
                call.read()
            except NvmlError as error:
                if error.code in GPU_GONE or error.code in PROCESS_STALE:
                    raise
                if error.code in PERMANENT:
                    continue
            return call
        return None

    def _reasons(self) -> list[Call]:
        supported = ~0
        for symbol in (
            "nvmlDeviceGetSupportedClocksEventReasons",
            "nvmlDeviceGetSupportedClocksThrottleReasons",
        ):
            mask = ctypes.c_ulonglong()
            try:
                self._library.call(symbol, self._device, ctypes.byref(mask))
            except NvmlError:
                continue
            supported = mask.value
            break
        columns = {bit: column for bit, column in REASONS.items() if bit & supported}
        call = self._first(
            (
                calls.bits("nvmlDeviceGetCurrentClocksEventReasons", columns),
                calls.bits("nvmlDeviceGetCurrentClocksThrottleReasons", columns),
            )
        )
        return [call] if call else []

    def _fans(self) -> list[Call]:
        try:
            count = self._library.number("nvmlDeviceGetNumFans", self._device)
        except NvmlError as error:
            if error.code in GPU_GONE or error.code in PROCESS_STALE:
                raise
            return []
        return [call for fan in range(count) if (call := self._first((fan_speed(fan),)))]

    def _batch(self, group: str) -> list[Call]:
        missing: dict[Column, str]
        try:
            fields, missing = calls.supported_fields(self._library, self._device, FIELDS[group])
        except NvmlError as error:
            if error.code in GPU_GONE or error.code in PROCESS_STALE:
                raise
            if error.code in PERMANENT:
                fields, missing = [], {field.column: error.reason for field in FIELDS[group]}
            else:
                fields, missing = list(FIELDS[group]), {}
        others = [
            call
            for column, make in WITHOUT_FIELD.items()
            if column in missing and (call := self._first((make,)))
        ]
        self.missing |= missing
        for call in others:
            for column in call.columns:
                self.missing.pop(column, None)
        if group == FAST:
            fields += self._trusted_pcie_fields()
        return [*others, FieldBatch(self._library, self._device, fields)] if fields else others

    def _trusted_pcie_fields(self) -> list[Field]:
        """The PCIe byte counters, if they cannot wrap between two readings without being seen.

        NVML says of them that they "can be wrapped", not where (nvml.h). One that has passed 2^32
        is wider than 32 bits. One that has not may be of 32 bits, and a fast link fills those
        several times between two readings.
        """
        try:
            fields, missing = calls.supported_fields(self._library, self._device, PCIE_FIELDS)
            self.missing |= missing
            if not fields:
                return []
            values = FieldBatch(self._library, self._device, fields).read()
        except NvmlError as error:
            if error.code in GPU_GONE or error.code in PROCESS_STALE:
                raise
            self.missing |= {field.column: error.reason for field in PCIE_FIELDS}
            return []
        for field in fields:
            self.missing.pop(field.column, None)
        if any(value is not None and value > _WRAP_32 for value in values):
            return fields
        if self._link_bytes_per_interval() < _WRAP_32:
            return [f._replace(column=f.column._replace(wraps=_WRAP_32)) for f in fields]
        self.missing |= {field.column: _MAY_WRAP for field in fields}
        return []

    def _link_bytes_per_interval(self) -> float:
        """The most that the link can carry between two readings, one of which may be late."""
        try:
            generation = self._library.number("nvmlDeviceGetMaxPcieLinkGeneration", self._device)
            width = self._library.number("nvmlDeviceGetMaxPcieLinkWidth", self._device)
        except NvmlError:
            return float("inf")
        return 2 * self._interval * width * _LANE_BYTES.get(generation, float("inf"))
