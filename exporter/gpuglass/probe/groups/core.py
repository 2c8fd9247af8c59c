"""What a GPU is watched for: how busy, how full, how hot, and what holds it back."""

import ctypes

import pynvml

from gpuglass.catalogue import device as metrics
from gpuglass.probe import calls
from gpuglass.probe.calls import Field
from gpuglass.probe.group import Card, Found, Group, column
from gpuglass.probe.groups.clocks import DOMAINS, clock
from gpuglass.probe.nvml import NvmlError

_REASON_NAMES = {
    pynvml.nvmlClocksEventReasonGpuIdle: "gpu_idle",
    pynvml.nvmlClocksEventReasonApplicationsClocksSetting: "applications_clocks",
    pynvml.nvmlClocksEventReasonSwPowerCap: "sw_power_cap",
    pynvml.nvmlClocksEventReasonHwSlowdown: "hw_slowdown",
    pynvml.nvmlClocksEventReasonSyncBoost: "sync_boost",
    pynvml.nvmlClocksEventReasonSwThermalSlowdown: "sw_thermal",
    pynvml.nvmlClocksEventReasonHwThermalSlowdown: "hw_thermal",
    pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown: "hw_power_brake",
    pynvml.nvmlClocksEventReasonDisplayClockSetting: "display",
    # nvml.h of driver 615; not yet in nvidia-ml-py.
    0x200: "board_limit",
    0x400: "reliability",
}
_SUPPORTED = (
    "nvmlDeviceGetSupportedClocksEventReasons",
    "nvmlDeviceGetSupportedClocksThrottleReasons",
)
# The video clock is read with the engines that it drives.
_DOMAINS = ("graphics", "sm", "memory")
_THROTTLE_TIMES = {
    pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_POWER_CAP: "sw_power_cap",
    pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_SYNC_BOOST: "sync_boost",
    pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN: "sw_thermal",
    pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN: "hw_thermal",
    pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN: "hw_power_brake",
    pynvml.NVML_FI_DEV_PERF_POLICY_BOARD_LIMIT: "board_limit",
    pynvml.NVML_FI_DEV_PERF_POLICY_LOW_UTILIZATION: "low_utilization",
    pynvml.NVML_FI_DEV_PERF_POLICY_RELIABILITY: "reliability",
}
# The scope of power fields that means the module, not the GPU.
_MODULE = pynvml.NVML_POWER_SCOPE_MODULE


def _reasons(card: Card) -> Found:
    """The reasons that this card knows of."""
    supported = ~0
    for symbol in _SUPPORTED:
        mask = ctypes.c_ulonglong()
        try:
            card.library.call(symbol, card.device, ctypes.byref(mask))
        except NvmlError:
            continue
        supported = mask.value
        break
    columns = {
        bit: column(metrics.CLOCK_EVENT_REASON, reason)
        for bit, reason in _REASON_NAMES.items()
        if bit & supported
    }
    fact = (
        calls.bits("nvmlDeviceGetCurrentClocksEventReasons", columns),
        calls.bits("nvmlDeviceGetCurrentClocksThrottleReasons", columns),
    )
    return Found(facts=[fact])


GROUP = Group(
    facts=[
        (
            calls.structure(
                "nvmlDeviceGetUtilizationRates",
                pynvml.c_nvmlUtilization_t,
                {"gpu": column(metrics.UTILIZATION), "memory": column(metrics.MEMORY_ACTIVITY)},
                divide=100,
            ),
        ),
        (
            calls.structure(
                "nvmlDeviceGetMemoryInfo_v2",
                pynvml.c_nvmlMemory_v2_t,
                {
                    "total": column(metrics.MEMORY_TOTAL),
                    "used": column(metrics.MEMORY_USED),
                    "free": column(metrics.MEMORY_FREE),
                    "reserved": column(metrics.MEMORY_RESERVED),
                },
                valid=lambda memory: max(memory.used, memory.free, memory.reserved) <= memory.total,
                version=pynvml.nvmlMemory_v2,
            ),
            calls.structure(
                "nvmlDeviceGetMemoryInfo",
                pynvml.c_nvmlMemory_t,
                {
                    "total": column(metrics.MEMORY_TOTAL),
                    "used": column(metrics.MEMORY_USED),
                    "free": column(metrics.MEMORY_FREE),
                },
                valid=lambda memory: max(memory.used, memory.free) <= memory.total,
            ),
        ),
        (
            calls.structure(
                "nvmlDeviceGetTemperatureV",
                pynvml.c_nvmlTemperature_v1_t,
                {"temperature": column(metrics.TEMPERATURE, "core")},
                version=pynvml.nvmlTemperature_v1,
                sensorType=pynvml.NVML_TEMPERATURE_GPU,
            ),
            calls.numbers(
                "nvmlDeviceGetTemperature",
                [column(metrics.TEMPERATURE, "core")],
                pynvml.NVML_TEMPERATURE_GPU,
            ),
        ),
        (
            calls.structure(
                "nvmlDeviceGetTemperatureV",
                pynvml.c_nvmlTemperature_v1_t,
                {"temperature": column(metrics.TEMPERATURE, "hotspot")},
                version=pynvml.nvmlTemperature_v1,
                sensorType=pynvml.NVML_TEMPERATURE_GPU_MAX,
            ),
        ),
        *(
            (clock("nvmlDeviceGetClockInfo", column(metrics.CLOCK, domain), DOMAINS[domain]),)
            for domain in _DOMAINS
        ),
        (
            calls.numbers(
                "nvmlDeviceGetPerformanceState",
                [column(metrics.PERFORMANCE_STATE)],
                unknown=pynvml.NVML_PSTATE_UNKNOWN,
            ),
        ),
    ],
    fields=[
        Field(pynvml.NVML_FI_DEV_POWER_AVERAGE, column(metrics.POWER), 1000),
        Field(pynvml.NVML_FI_DEV_POWER_INSTANT, column(metrics.POWER_INSTANT), 1000),
        Field(pynvml.NVML_FI_DEV_POWER_AVERAGE, column(metrics.MODULE_POWER), 1000, scope=_MODULE),
        Field(
            pynvml.NVML_FI_DEV_POWER_INSTANT,
            column(metrics.MODULE_POWER_INSTANT),
            1000,
            scope=_MODULE,
        ),
        Field(pynvml.NVML_FI_DEV_MMA_STALL_PERCENT, column(metrics.MMA_STALL), 100),
        Field(pynvml.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION, column(metrics.ENERGY), 1000),
        Field(pynvml.NVML_FI_DEV_MEMORY_TEMP, column(metrics.TEMPERATURE, "memory")),
        *(
            Field(number, column(metrics.THROTTLE_SECONDS, reason), 1_000_000_000)
            for number, reason in _THROTTLE_TIMES.items()
        ),
    ],
    instead={
        column(metrics.POWER): calls.numbers(
            "nvmlDeviceGetPowerUsage", [column(metrics.POWER)], divide=1000
        ),
        column(metrics.ENERGY): calls.numbers(
            "nvmlDeviceGetTotalEnergyConsumption",
            [column(metrics.ENERGY)],
            divide=1000,
            type=ctypes.c_ulonglong,
        ),
    },
    discover=_reasons,
)
