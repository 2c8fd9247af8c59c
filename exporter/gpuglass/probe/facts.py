"""What there is to read of a GPU: for each fact the calls that can give it, the best one first."""

import ctypes

import pynvml

from gpuglass.catalogue import device as metrics
from gpuglass.catalogue.model import Metric
from gpuglass.probe import calls
from gpuglass.probe.calls import Field, Make
from gpuglass.probe.frames import Column

FAST, SLOW = "fast", "slow"
GROUPS = (FAST, SLOW)


def _column(metric: Metric, *labels: str) -> Column:
    return Column(metric.name, labels)


def _milliwatts(symbol: str, limit: str) -> Make:
    return calls.numbers(symbol, [_column(metrics.POWER_LIMIT, limit)], divide=1000)


def fan_speed(fan: int) -> Make:
    """The speed of one of a card's fans, of which there are ``nvmlDeviceGetNumFans``."""
    column = _column(metrics.FAN_SPEED, str(fan))
    return calls.numbers("nvmlDeviceGetFanSpeed_v2", [column], fan, divide=100)


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
REASONS = {
    bit: _column(metrics.CLOCK_EVENT_REASON, reason) for bit, reason in _REASON_NAMES.items()
}
_ENGINES = {
    "encoder": "nvmlDeviceGetEncoderUtilization",
    "decoder": "nvmlDeviceGetDecoderUtilization",
    "jpeg": "nvmlDeviceGetJpgUtilization",
    "ofa": "nvmlDeviceGetOfaUtilization",
}
_DOMAINS = {
    "graphics": pynvml.NVML_CLOCK_GRAPHICS,
    "sm": pynvml.NVML_CLOCK_SM,
    "memory": pynvml.NVML_CLOCK_MEM,
    "video": pynvml.NVML_CLOCK_VIDEO,
}
_THRESHOLDS = {
    "shutdown": pynvml.NVML_TEMPERATURE_THRESHOLD_SHUTDOWN,
    "slowdown": pynvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN,
    "memory_max": pynvml.NVML_TEMPERATURE_THRESHOLD_MEM_MAX,
    "gpu_max": pynvml.NVML_TEMPERATURE_THRESHOLD_GPU_MAX,
}

FACTS: dict[str, list[tuple[Make, ...]]] = {
    FAST: [
        (
            calls.structure(
                "nvmlDeviceGetUtilizationRates",
                pynvml.c_nvmlUtilization_t,
                {
                    "gpu": _column(metrics.UTILIZATION),
                    "memory": _column(metrics.MEMORY_ACTIVITY),
                },
                divide=100,
            ),
        ),
        *(
            (
                calls.numbers(
                    symbol, [_column(metrics.ENGINE_UTILIZATION, engine), None], divide=100
                ),
            )
            for engine, symbol in _ENGINES.items()
        ),
        (
            calls.structure(
                "nvmlDeviceGetMemoryInfo_v2",
                pynvml.c_nvmlMemory_v2_t,
                {
                    "total": _column(metrics.MEMORY_TOTAL),
                    "used": _column(metrics.MEMORY_USED),
                    "free": _column(metrics.MEMORY_FREE),
                    "reserved": _column(metrics.MEMORY_RESERVED),
                },
                version=pynvml.nvmlMemory_v2,
            ),
            calls.structure(
                "nvmlDeviceGetMemoryInfo",
                pynvml.c_nvmlMemory_t,
                {
                    "total": _column(metrics.MEMORY_TOTAL),
                    "used": _column(metrics.MEMORY_USED),
                    "free": _column(metrics.MEMORY_FREE),
                },
            ),
        ),
        (
            calls.structure(
                "nvmlDeviceGetTemperatureV",
                pynvml.c_nvmlTemperature_v1_t,
                {"temperature": _column(metrics.TEMPERATURE, "core")},
                version=pynvml.nvmlTemperature_v1,
                sensorType=pynvml.NVML_TEMPERATURE_GPU,
            ),
            calls.numbers(
                "nvmlDeviceGetTemperature",
                [_column(metrics.TEMPERATURE, "core")],
                pynvml.NVML_TEMPERATURE_GPU,
            ),
        ),
        *(
            (
                calls.numbers(
                    "nvmlDeviceGetClockInfo",
                    [_column(metrics.CLOCK, domain)],
                    number,
                    multiply=1_000_000,
                ),
            )
            for domain, number in _DOMAINS.items()
        ),
        (
            calls.numbers(
                "nvmlDeviceGetPerformanceState",
                [_column(metrics.PERFORMANCE_STATE)],
                unknown=pynvml.NVML_PSTATE_UNKNOWN,
            ),
        ),
    ],
    SLOW: [
        (
            calls.structure(
                "nvmlDeviceGetBAR1MemoryInfo",
                pynvml.c_nvmlBAR1Memory_t,
                {
                    "bar1Total": _column(metrics.BAR1_TOTAL),
                    "bar1Used": _column(metrics.BAR1_USED),
                },
            ),
        ),
        (
            calls.structure(
                "nvmlDeviceGetMarginTemperature",
                pynvml.c_nvmlMarginTemperature_v1_t,
                {"marginTemperature": _column(metrics.TEMPERATURE_MARGIN)},
                version=pynvml.nvmlMarginTemperature_v1,
            ),
        ),
        *(
            (
                calls.numbers(
                    "nvmlDeviceGetTemperatureThreshold",
                    [_column(metrics.TEMPERATURE_LIMIT, limit)],
                    number,
                ),
            )
            for limit, number in _THRESHOLDS.items()
        ),
        *(
            (
                calls.numbers(
                    "nvmlDeviceGetMaxClockInfo",
                    [_column(metrics.CLOCK_MAX, domain)],
                    number,
                    multiply=1_000_000,
                ),
            )
            for domain, number in _DOMAINS.items()
        ),
        (calls.numbers("nvmlDeviceGetNumGpuCores", [_column(metrics.CORES)]),),
        (calls.numbers("nvmlDeviceGetCurrPcieLinkGeneration", [_column(metrics.PCIE_GENERATION)]),),
        (calls.numbers("nvmlDeviceGetCurrPcieLinkWidth", [_column(metrics.PCIE_WIDTH)]),),
        (
            calls.numbers(
                "nvmlDeviceGetMaxPcieLinkGeneration", [_column(metrics.PCIE_GENERATION_MAX)]
            ),
        ),
        (calls.numbers("nvmlDeviceGetMaxPcieLinkWidth", [_column(metrics.PCIE_WIDTH_MAX)]),),
    ],
}

FIELDS: dict[str, list[Field]] = {
    FAST: [
        Field(pynvml.NVML_FI_DEV_POWER_AVERAGE, _column(metrics.POWER), 1000),
        Field(pynvml.NVML_FI_DEV_POWER_INSTANT, _column(metrics.POWER_INSTANT), 1000),
        Field(pynvml.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION, _column(metrics.ENERGY), 1000),
        Field(pynvml.NVML_FI_DEV_MEMORY_TEMP, _column(metrics.TEMPERATURE, "memory")),
        *(
            Field(number, _column(metrics.THROTTLE_SECONDS, reason), 1_000_000_000)
            for number, reason in {
                pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_POWER_CAP: "sw_power_cap",
                pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_SYNC_BOOST: "sync_boost",
                pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN: "sw_thermal",
                pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN: "hw_thermal",
                pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN: "hw_power_brake",
            }.items()
        ),
    ],
    SLOW: [
        Field(number, _column(metrics.POWER_LIMIT, limit), 1000)
        for number, limit in {
            pynvml.NVML_FI_DEV_POWER_CURRENT_LIMIT: "enforced",
            pynvml.NVML_FI_DEV_POWER_REQUESTED_LIMIT: "requested",
            pynvml.NVML_FI_DEV_POWER_DEFAULT_LIMIT: "default",
            pynvml.NVML_FI_DEV_POWER_MIN_LIMIT: "min",
            pynvml.NVML_FI_DEV_POWER_MAX_LIMIT: "max",
        }.items()
    ]
    + [
        Field(number, _column(metrics.TEMPERATURE_TLIMIT, limit))
        for number, limit in {
            pynvml.NVML_FI_DEV_TEMPERATURE_SHUTDOWN_TLIMIT: "shutdown",
            pynvml.NVML_FI_DEV_TEMPERATURE_SLOWDOWN_TLIMIT: "slowdown",
            pynvml.NVML_FI_DEV_TEMPERATURE_MEM_MAX_TLIMIT: "memory_max",
            pynvml.NVML_FI_DEV_TEMPERATURE_GPU_MAX_TLIMIT: "gpu_max",
        }.items()
    ],
}
PCIE_FIELDS = [
    Field(pynvml.NVML_FI_DEV_PCIE_COUNT_TX_BYTES, _column(metrics.PCIE_BYTES, "transmit")),
    Field(pynvml.NVML_FI_DEV_PCIE_COUNT_RX_BYTES, _column(metrics.PCIE_BYTES, "receive")),
]

# Where a driver or card lacks the field.
WITHOUT_FIELD: dict[Column, Make] = {
    _column(metrics.POWER): calls.numbers(
        "nvmlDeviceGetPowerUsage", [_column(metrics.POWER)], divide=1000
    ),
    _column(metrics.ENERGY): calls.numbers(
        "nvmlDeviceGetTotalEnergyConsumption",
        [_column(metrics.ENERGY)],
        divide=1000,
        type=ctypes.c_ulonglong,
    ),
    _column(metrics.POWER_LIMIT, "enforced"): _milliwatts(
        "nvmlDeviceGetEnforcedPowerLimit", "enforced"
    ),
    _column(metrics.POWER_LIMIT, "requested"): _milliwatts(
        "nvmlDeviceGetPowerManagementLimit", "requested"
    ),
    _column(metrics.POWER_LIMIT, "default"): _milliwatts(
        "nvmlDeviceGetPowerManagementDefaultLimit", "default"
    ),
    _column(metrics.POWER_LIMIT, "min"): calls.numbers(
        "nvmlDeviceGetPowerManagementLimitConstraints",
        [_column(metrics.POWER_LIMIT, "min"), _column(metrics.POWER_LIMIT, "max")],
        divide=1000,
    ),
}
