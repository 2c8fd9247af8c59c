"""How the functions of NVML that only read are called: what follows the device.

Nothing here sets, clears or resets. Functions that take the device alone need no entry.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import pynvml

# What is called at all; the rest is listed in the tables below.
READS = re.compile(
    r"nvml(DeviceGet|SystemGet|GetExcludedDeviceCount|GetVgpuVersion|UnitGetCount|DeviceIsMig"
    r"|GpmQueryIfStreaming)"
)


def _each(*columns: Sequence[int]) -> list[tuple[int, ...]]:
    """Every combination."""
    rows: list[tuple[int, ...]] = [()]
    for column in columns:
        rows = [(*row, value) for row in rows for value in column]
    return rows


_CLOCKS, _ECC_KINDS, _ECC_SCOPES = range(4), range(2), range(2)
MORE: dict[str, list[tuple[int, ...]]] = {
    "nvmlDeviceGetAPIRestriction": _each(range(2)),
    "nvmlDeviceGetAccountingStats": [(1,)],
    "nvmlDeviceGetAccountingStats_v2": [(1,)],
    "nvmlDeviceGetApplicationsClock": _each(_CLOCKS),
    "nvmlDeviceGetClock": _each(_CLOCKS, range(4)),
    "nvmlDeviceGetClockInfo": _each(_CLOCKS),
    "nvmlDeviceGetCpuAffinity": [(4,)],
    "nvmlDeviceGetCpuAffinityWithinScope": _each([4], range(2)),
    "nvmlDeviceGetDefaultApplicationsClock": _each(_CLOCKS),
    "nvmlDeviceGetDetailedEccErrors": _each(_ECC_KINDS, _ECC_SCOPES),
    "nvmlDeviceGetEncoderCapacity": _each(range(3)),
    "nvmlDeviceGetFanControlPolicy_v2": [(0,)],
    "nvmlDeviceGetFanSpeed_v2": [(0,), (1,)],
    "nvmlDeviceGetGpuInstanceProfileInfo": _each(range(10)),
    "nvmlDeviceGetGpuInstanceProfileInfoById": _each([0, 5, 9, 14, 19]),
    "nvmlDeviceGetGpuInstanceRemainingCapacity": _each([0, 5, 9, 14, 19]),
    "nvmlDeviceGetInforomVersion": _each(range(3)),
    "nvmlDeviceGetMaxClockInfo": _each(_CLOCKS),
    "nvmlDeviceGetMaxCustomerBoostClock": _each(_CLOCKS),
    "nvmlDeviceGetMemoryAffinity": _each([4], range(2)),
    "nvmlDeviceGetMemoryErrorCounter": _each(_ECC_KINDS, _ECC_SCOPES, range(8)),
    "nvmlDeviceGetMemoryInfo": [(), (2 << 24 | 40,)],
    "nvmlDeviceGetMigDeviceHandleByIndex": [(0,)],
    "nvmlDeviceGetMinMaxClockOfPState": _each(_CLOCKS, [0]),
    "nvmlDeviceGetNvLinkCapability": _each([0], range(6)),
    "nvmlDeviceGetNvLinkErrorCounter": _each([0], range(5)),
    "nvmlDeviceGetNvLinkRemoteDeviceType": [(0,)],
    "nvmlDeviceGetNvLinkRemotePciInfo": [(0,)],
    "nvmlDeviceGetNvLinkState": [(0,)],
    "nvmlDeviceGetNvLinkUtilizationControl": _each([0], range(2)),
    "nvmlDeviceGetNvLinkUtilizationCounter": _each([0], range(2)),
    "nvmlDeviceGetNvLinkVersion": [(0,)],
    "nvmlDeviceGetPcieThroughput": _each(range(2)),
    "nvmlDeviceGetProcessesUtilizationInfo": [(0,)],
    "nvmlDeviceGetRetiredPages": _each(range(2)),
    "nvmlDeviceGetRetiredPages_v2": _each(range(2)),
    "nvmlDeviceGetRunningProcessDetailList": _each([1 << 24 | 24], range(2)),
    "nvmlDeviceGetSupportedGraphicsClocks": [(9999,)],
    "nvmlDeviceGetTargetFanSpeed": [(0,), (1,)],
    "nvmlDeviceGetTemperature": [(0,)],
    "nvmlDeviceGetTemperatureThreshold": _each(range(8)),
    "nvmlDeviceGetTemperatureV": _each(range(2)),
    "nvmlDeviceGetTemperatureV1": _each(range(2)),
    "nvmlDeviceGetThermalSettings": [(0,), (15,)],
    "nvmlDeviceGetTopologyNearestGpus": [(50,)],
    "nvmlDeviceGetTotalEccErrors": _each(_ECC_KINDS, _ECC_SCOPES),
    "nvmlDeviceGetVgpuCapabilities": _each(range(3)),
    "nvmlDeviceGetVgpuInstancesUtilizationInfo": [(0,)],
    "nvmlDeviceGetVgpuProcessUtilization": [(0,)],
    "nvmlDeviceGetVgpuProcessesUtilizationInfo": [(0,)],
    "nvmlDeviceGetVgpuUtilization": [(0,)],
    "nvmlDeviceGetViolationStatus": _each([0, 1, 2, 3, 4, 5, 10, 11]),
    "nvmlSystemGetProcessName": [(1,)],
    "nvmlSystemGetTopologyGpuSet": [(0,)],
}


class Layout(NamedTuple):
    """A structure that the caller makes.

    Attributes:
        name: Its class in nvidia-ml-py.
        version: Number of its version; 0 for one without.
        preset: Fields to set besides.
    """

    name: str
    version: int = 1
    preset: tuple[tuple[str, int], ...] = ()


STRUCTURES: dict[str, list[Layout]] = {
    "nvmlDeviceGetAdaptiveTgpModeInfo_v1": [Layout("c_nvmlAdaptiveTgpModeInfo_v1_t", 0)],
    "nvmlDeviceGetBankRemapperStatus_v1": [Layout("c_nvmlEccBankRemapperStatus_v1_t", 0)],
    "nvmlDeviceGetCapabilities": [Layout("c_nvmlDeviceCapabilities_v1_t")],
    "nvmlDeviceGetClockOffsets": [
        Layout("c_nvmlClockOffset_t", 1, (("type", type), ("pstate", 0))) for type in _CLOCKS
    ],
    "nvmlDeviceGetGpuFabricInfo": [Layout("c_nvmlGpuFabricInfo_t", 0)],
    "nvmlDeviceGetGpuFabricInfoV": [
        Layout("c_nvmlGpuFabricInfo_v2_t", 2),
        Layout("c_nvmlGpuFabricInfo_v3_t", 3),
    ],
    "nvmlDeviceGetGpuFabricInfo_v4": [Layout("c_nvmlGpuFabricInfo_v4_t", 0)],
    "nvmlDeviceGetMemoryLimits_v1": [Layout("c_nvmlGetMemoryLimits_v1_t", 0)],
    "nvmlDeviceGetNvLinkInfo": [
        Layout("c_nvmlNvLinkInfo_v1_t"),
        Layout("c_nvmlNvLinkInfo_v2_t", 2),
    ],
    "nvmlDeviceGetNvlinkBwMode": [Layout("c_nvmlNvlinkGetBwMode_v1_t")],
    "nvmlDeviceGetNvlinkSupportedBwModes": [Layout("c_nvmlNvlinkSupportedBwModes_v1_t")],
    "nvmlDeviceGetPciInfoExt": [Layout("nvmlPciInfoExt_v1_t")],
    "nvmlDeviceGetPlatformInfo": [
        Layout("c_nvmlPlatformInfo_v1_t"),
        Layout("c_nvmlPlatformInfo_v2_t", 2),
    ],
    "nvmlDeviceGetPowerMizerMode_v1": [Layout("c_nvmlDevicePowerMizerModes_v1_t", 0)],
    "nvmlDeviceGetRemappedRows_v2": [Layout("c_nvmlRemappedRowsInfo_v2_t", 0)],
    "nvmlDeviceGetSramEccErrorStatus": [Layout("c_nvmlEccSramErrorStatus_v1_t")],
    "nvmlDeviceGetVgpuSchedulerState_v2": [Layout("c_nvmlVgpuSchedulerStateInfo_v2_t", 0)],
    "nvmlSystemGetConfComputeSettings": [Layout("c_nvmlSystemConfComputeSettings_v1_t")],
}

LEFT_OUT: dict[str, str] = {
    "nvmlDeviceGetConfComputeGpuAttestationReport": "signs; for attestation",
    "nvmlDeviceGetConfComputeGpuCertificate": "names the card; for attestation",
    "nvmlDeviceGetDeviceHandleFromMigDeviceHandle": "needs a MIG device",
    "nvmlDeviceGetFieldValues": "the part fields",
    "nvmlDeviceGetGpuInstanceById": "needs a MIG instance",
    "nvmlDeviceGetGpuInstancePossiblePlacements": "how a GPU could be cut",
    "nvmlDeviceGetGpuInstanceProfileInfoByIdV": "the same as without V",
    "nvmlDeviceGetGpuInstanceProfileInfoV": "the same as without V",
    "nvmlDeviceGetGpuInstances": "needs a MIG profile; instances are found by their devices",
    "nvmlDeviceGetHandleByIndex": "takes no device; how all devices are had",
    "nvmlDeviceGetHandleByPciBusId": "another way to the same handle",
    "nvmlDeviceGetHandleBySerial": "another way to the same handle",
    "nvmlDeviceGetHandleByUUID": "another way to the same handle",
    "nvmlDeviceGetHandleByUUIDV": "another way to the same handle",
    "nvmlDeviceGetNvLinkTelemetrySamples_v1": "raw bytes; layout not documented",
    "nvmlDeviceGetP2PStatus": "needs two GPUs; fixed",
    "nvmlDeviceGetProcessUtilization": "the part processes",
    "nvmlDeviceGetSamples": "the part samples",
    "nvmlDeviceGetSramUniqueUncorrectedEccErrorCounts": "needs room for a list of addresses",
    "nvmlDeviceGetTopologyCommonAncestor": "needs two GPUs; fixed",
    "nvmlDeviceGetVgpuSchedulerLog_v2": "a log of events",
    "nvmlDeviceGetVgpuTypeCreatablePlacements": "needs a type of vGPU",
    "nvmlDeviceGetVgpuTypeSupportedPlacements": "needs a type of vGPU",
    "nvmlSystemGetCPER_v1": "takes records that others may wait for",
}


def functions() -> dict[str, Callable[..., Any]]:
    """What nvidia-ml-py has of the functions that only read, and that this part calls."""
    return {
        name: function
        for name, function in inspect.getmembers(pynvml, inspect.isfunction)
        if READS.match(name) and name not in LEFT_OUT and name not in STRUCTURES
    }


def is_of_device(function: Callable[..., Any]) -> bool:
    """Whether a function's first argument is a GPU."""
    first = next(iter(inspect.signature(function).parameters), "")
    return first in ("handle", "device")


def needs_more(function: Callable[..., Any]) -> bool:
    """Whether a function takes more than a GPU, or anything where it takes none."""
    needed = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is inspect.Parameter.empty
    ]
    return len(needed) > is_of_device(function)


def calls(of_device: bool) -> Iterator[tuple[str, Callable[..., Any], tuple[int, ...]]]:
    """Every call: how it is written down, the function, and what follows the device."""
    for name, function in functions().items():
        if is_of_device(function) != of_device:
            continue
        if needs_more(function) and name not in MORE:
            continue  # a newer nvidia-ml-py has it
        for arguments in MORE.get(name, [()]):
            yield f"{name}({', '.join(map(str, arguments))})", function, arguments
