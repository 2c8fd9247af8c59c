"""Memory that was taken out of use after errors."""

import pynvml

from gpuglass.catalogue import errors as metrics
from gpuglass.probe import calls
from gpuglass.probe.calls import Field
from gpuglass.probe.group import Group, column

_REMAPPED = [
    column(metrics.REMAPPED_ROWS, "corrected"),
    column(metrics.REMAPPED_ROWS, "uncorrected"),
    column(metrics.ROW_REMAP_PENDING),
    column(metrics.ROW_REMAP_FAILURE),
]
_RETIRED_PENDING = column(metrics.RETIRED_PAGES_PENDING)

GROUP = Group(
    facts=[
        (
            calls.structure(
                "nvmlDeviceGetRowRemapperHistogram",
                pynvml.c_nvmlRowRemapperHistogramValues,
                {
                    availability: column(metrics.ROW_REMAP_BANKS, availability)
                    for availability in ("max", "high", "partial", "low", "none")
                },
            ),
        ),
    ],
    fields=[
        Field(pynvml.NVML_FI_DEV_REMAPPED_COR, _REMAPPED[0]),
        Field(pynvml.NVML_FI_DEV_REMAPPED_UNC, _REMAPPED[1]),
        Field(pynvml.NVML_FI_DEV_REMAPPED_PENDING, _REMAPPED[2]),
        Field(pynvml.NVML_FI_DEV_REMAPPED_FAILURE, _REMAPPED[3]),
        Field(
            pynvml.NVML_FI_DEV_REMAPPED_ROWS_COR_INACTIVE,
            column(metrics.REMAPPED_ROWS_INACTIVE, "corrected"),
        ),
        Field(
            pynvml.NVML_FI_DEV_REMAPPED_ROWS_UNC_INACTIVE,
            column(metrics.REMAPPED_ROWS_INACTIVE, "uncorrected"),
        ),
        Field(pynvml.NVML_FI_DEV_ACTIVE_BANK_REMAPPINGS, column(metrics.BANK_REMAPPINGS, "active")),
        Field(
            pynvml.NVML_FI_DEV_INACTIVE_BANK_REMAPPINGS, column(metrics.BANK_REMAPPINGS, "inactive")
        ),
        Field(
            pynvml.NVML_FI_DEV_BANK_REMAPPER_HISTOGRAM_MAX, column(metrics.BANK_REMAP_GROUPS, "max")
        ),
        Field(
            pynvml.NVML_FI_DEV_BANK_REMAPPER_HISTOGRAM_NONE,
            column(metrics.BANK_REMAP_GROUPS, "none"),
        ),
        Field(pynvml.NVML_FI_DEV_PENDING_BANK_REMAPPING, column(metrics.BANK_REMAP_PENDING)),
        Field(pynvml.NVML_FI_DEV_RETIRED_SBE, column(metrics.RETIRED_PAGES, "corrected")),
        Field(pynvml.NVML_FI_DEV_RETIRED_DBE, column(metrics.RETIRED_PAGES, "uncorrected")),
        Field(pynvml.NVML_FI_DEV_RETIRED_PENDING, _RETIRED_PENDING),
    ],
    instead={
        _REMAPPED[0]: calls.numbers("nvmlDeviceGetRemappedRows", _REMAPPED),
        _RETIRED_PENDING: calls.numbers(
            "nvmlDeviceGetRetiredPagesPendingStatus", [_RETIRED_PENDING]
        ),
    },
)
