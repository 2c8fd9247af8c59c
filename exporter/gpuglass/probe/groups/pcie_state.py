"""How the PCIe link is, and what goes wrong on it."""

from typing import Any

import pynvml

from gpuglass.catalogue import device
from gpuglass.catalogue import links as metrics
from gpuglass.probe import calls
from gpuglass.probe.calls import Field, Values
from gpuglass.probe.group import Group, column

_ERRORS = {
    pynvml.NVML_FI_DEV_PCIE_L0_TO_RECOVERY_COUNTER: "recovery",
    pynvml.NVML_FI_DEV_PCIE_COUNT_CORRECTABLE_ERRORS: "correctable",
    pynvml.NVML_FI_DEV_PCIE_COUNT_NAKS_RECEIVED: "nak_received",
    pynvml.NVML_FI_DEV_PCIE_COUNT_RECEIVER_ERROR: "receiver",
    pynvml.NVML_FI_DEV_PCIE_COUNT_BAD_TLP: "bad_tlp",
    pynvml.NVML_FI_DEV_PCIE_COUNT_NAKS_SENT: "nak_sent",
    pynvml.NVML_FI_DEV_PCIE_COUNT_BAD_DLLP: "bad_dllp",
    pynvml.NVML_FI_DEV_PCIE_COUNT_NON_FATAL_ERROR: "non_fatal",
    pynvml.NVML_FI_DEV_PCIE_COUNT_FATAL_ERROR: "fatal",
    pynvml.NVML_FI_DEV_PCIE_COUNT_UNSUPPORTED_REQ: "unsupported_request",
    pynvml.NVML_FI_DEV_PCIE_COUNT_LCRC_ERROR: "lcrc",
}
_LANES = 16


def _bus(info: Any) -> Values:
    domain = info.utilization[pynvml.NVML_GPU_UTILIZATION_DOMAIN_BUS]
    return [domain.percentage / 100 if domain.bIsPresent else None]


GROUP = Group(
    facts=[
        (calls.numbers("nvmlDeviceGetCurrPcieLinkGeneration", [column(device.PCIE_GENERATION)]),),
        (calls.numbers("nvmlDeviceGetCurrPcieLinkWidth", [column(device.PCIE_WIDTH)]),),
        (
            calls.numbers(
                "nvmlDeviceGetMaxPcieLinkGeneration", [column(device.PCIE_GENERATION_MAX)]
            ),
        ),
        (
            calls.numbers(
                "nvmlDeviceGetGpuMaxPcieLinkGeneration", [column(device.PCIE_GENERATION_GPU_MAX)]
            ),
        ),
        (calls.numbers("nvmlDeviceGetMaxPcieLinkWidth", [column(device.PCIE_WIDTH_MAX)]),),
        (
            calls.decoded(
                "nvmlDeviceGetDynamicPstatesInfo",
                pynvml.c_nvmlGpuDynamicPstatesInfo_t,
                [column(metrics.PCIE_UTILIZATION)],
                _bus,
            ),
        ),
    ],
    fields=[
        Field(pynvml.NVML_FI_DEV_PCIE_REPLAY_COUNTER, column(metrics.PCIE_REPLAYS)),
        Field(
            pynvml.NVML_FI_DEV_PCIE_REPLAY_ROLLOVER_COUNTER, column(metrics.PCIE_REPLAY_ROLLOVERS)
        ),
        *(Field(number, column(metrics.PCIE_ERRORS, type)) for number, type in _ERRORS.items()),
        *(
            Field(
                pynvml.NVML_FI_DEV_PCIE_COUNT_LANE_ERROR,
                column(metrics.PCIE_ERRORS, "lane"),
                scope=lane,
            )
            for lane in range(_LANES)
        ),
    ],
    instead={
        column(metrics.PCIE_REPLAYS): calls.numbers(
            "nvmlDeviceGetPcieReplayCounter", [column(metrics.PCIE_REPLAYS)]
        ),
    },
)
