"""Memory errors, by kind, time and place."""

import ctypes
from itertools import product

import pynvml

from gpuglass.catalogue import errors as metrics
from gpuglass.probe import calls
from gpuglass.probe.calls import Field, Make
from gpuglass.probe.frames import Column
from gpuglass.probe.group import Card, Found, Group, column, raise_if_fatal
from gpuglass.probe.nvml import PERMANENT, NvmlError

_KINDS = {
    "corrected": pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED,
    "uncorrected": pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
}
_SCOPES = {"volatile": pynvml.NVML_VOLATILE_ECC, "aggregate": pynvml.NVML_AGGREGATE_ECC}
_LOCATIONS = {
    "dram": pynvml.NVML_MEMORY_LOCATION_DRAM,
    "sram": pynvml.NVML_MEMORY_LOCATION_SRAM,
    "l1_cache": pynvml.NVML_MEMORY_LOCATION_L1_CACHE,
    "l2_cache": pynvml.NVML_MEMORY_LOCATION_L2_CACHE,
    "register_file": pynvml.NVML_MEMORY_LOCATION_REGISTER_FILE,
    "texture": pynvml.NVML_MEMORY_LOCATION_TEXTURE_MEMORY,
    "texture_shared": pynvml.NVML_MEMORY_LOCATION_TEXTURE_SHM,
    "cbu": pynvml.NVML_MEMORY_LOCATION_CBU,
}
# Where the card counts all SRAM together, its parts would count twice.
_WHOLE = ("dram", "sram")
_TOTALS = {
    ("corrected", "volatile"): pynvml.NVML_FI_DEV_ECC_SBE_VOL_TOTAL,
    ("uncorrected", "volatile"): pynvml.NVML_FI_DEV_ECC_DBE_VOL_TOTAL,
    ("corrected", "aggregate"): pynvml.NVML_FI_DEV_ECC_SBE_AGG_TOTAL,
    ("uncorrected", "aggregate"): pynvml.NVML_FI_DEV_ECC_DBE_AGG_TOTAL,
}


def _column(kind: str, scope: str, location: str = "all") -> Column:
    return column(metrics.ECC_ERRORS, kind, scope, location)


def _counter(kind: str, scope: str, location: str) -> Make:
    return calls.numbers(
        "nvmlDeviceGetMemoryErrorCounter",
        [_column(kind, scope, location)],
        _KINDS[kind],
        _SCOPES[scope],
        _LOCATIONS[location],
        type=ctypes.c_ulonglong,
    )


def _total(kind: str, scope: str) -> Make:
    return calls.numbers(
        "nvmlDeviceGetTotalEccErrors",
        [_column(kind, scope)],
        _KINDS[kind],
        _SCOPES[scope],
        type=ctypes.c_ulonglong,
    )


def _answers(make: Make, card: Card) -> bool:
    try:
        make(card.library, card.device).read()
    except NvmlError as error:
        raise_if_fatal(error)
        return error.code not in PERMANENT
    return True


def _counters(card: Card) -> Found:
    found = Found()
    for kind, scope in product(_KINDS, _SCOPES):
        given = [name for name in _LOCATIONS if _answers(_counter(kind, scope, name), card)]
        if "sram" in given:
            given = [name for name in given if name in _WHOLE]
        found.facts += [(_counter(kind, scope, name),) for name in given]
        if not given:
            found.fields.append(Field(_TOTALS[kind, scope], _column(kind, scope)))
    return found


def _sram(scope: str, type: str) -> Column:
    return column(metrics.ECC_SRAM_ERRORS, scope, type)


def _unit(unit: str) -> Column:
    return column(metrics.ECC_SRAM_UNIT_ERRORS, unit)


GROUP = Group(
    facts=[
        (
            calls.structure(
                "nvmlDeviceGetSramEccErrorStatus",
                pynvml.c_nvmlEccSramErrorStatus_v1_t,
                {
                    "aggregateUncParity": _sram("aggregate", "parity"),
                    "aggregateUncSecDed": _sram("aggregate", "secded"),
                    "aggregateCor": _sram("aggregate", "corrected"),
                    "volatileUncParity": _sram("volatile", "parity"),
                    "volatileUncSecDed": _sram("volatile", "secded"),
                    "volatileCor": _sram("volatile", "corrected"),
                    "aggregateUncBucketL2": _unit("l2"),
                    "aggregateUncBucketSm": _unit("sm"),
                    "aggregateUncBucketPcie": _unit("pcie"),
                    "aggregateUncBucketMcu": _unit("mcu"),
                    "aggregateUncBucketOther": _unit("other"),
                    "bThresholdExceeded": column(metrics.ECC_SRAM_THRESHOLD),
                },
                version=pynvml.nvmlEccSramErrorStatus_v1,
            ),
        ),
    ],
    instead={_column(*total): _total(*total) for total in _TOTALS},
    discover=_counters,
)
