"""What a GPU needs to work on, or to work again."""

import pynvml

from gpuglass.catalogue import errors as metrics
from gpuglass.probe import calls
from gpuglass.probe.calls import Field
from gpuglass.probe.group import Group, column

GROUP = Group(
    facts=[
        (
            calls.structure(
                "nvmlDeviceGetRepairStatus",
                pynvml.c_nvmlRepairStatus_t,
                {
                    "bChannelRepairPending": column(metrics.REPAIR_PENDING, "channel"),
                    "bTpcRepairPending": column(metrics.REPAIR_PENDING, "tpc"),
                },
                version=pynvml.nvmlRepairStatus_v1,
            ),
        ),
        (
            calls.structure(
                "nvmlDeviceGetUnrepairableMemoryFlag_v1",
                pynvml.c_nvmlUnrepairableMemory_v1_t,
                {"unrepairableMemory": column(metrics.MEMORY_UNREPAIRABLE)},
                version=pynvml.nvmlUnrepairableMemory_v1,
            ),
        ),
    ],
    fields=[
        Field(pynvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION, column(metrics.RECOVERY_ACTION)),
    ],
)
