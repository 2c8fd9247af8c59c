"""What the card may draw, how hot it may get, how fast it can run, and how large it is."""

import pynvml

from gpuglass.catalogue import device as metrics
from gpuglass.catalogue.model import Metric
from gpuglass.probe import calls
from gpuglass.probe.calls import Field, Make
from gpuglass.probe.group import Group, column
from gpuglass.probe.groups.core import DOMAINS

_THRESHOLDS = {
    "shutdown": pynvml.NVML_TEMPERATURE_THRESHOLD_SHUTDOWN,
    "slowdown": pynvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN,
    "memory_max": pynvml.NVML_TEMPERATURE_THRESHOLD_MEM_MAX,
    "gpu_max": pynvml.NVML_TEMPERATURE_THRESHOLD_GPU_MAX,
    "acoustic_min": pynvml.NVML_TEMPERATURE_THRESHOLD_ACOUSTIC_MIN,
    "acoustic": pynvml.NVML_TEMPERATURE_THRESHOLD_ACOUSTIC_CURR,
    "acoustic_max": pynvml.NVML_TEMPERATURE_THRESHOLD_ACOUSTIC_MAX,
}
_POWER_LIMITS = {
    pynvml.NVML_FI_DEV_POWER_CURRENT_LIMIT: "enforced",
    pynvml.NVML_FI_DEV_POWER_REQUESTED_LIMIT: "requested",
    pynvml.NVML_FI_DEV_POWER_DEFAULT_LIMIT: "default",
    pynvml.NVML_FI_DEV_POWER_MIN_LIMIT: "min",
    pynvml.NVML_FI_DEV_POWER_MAX_LIMIT: "max",
}
_TLIMITS = {
    pynvml.NVML_FI_DEV_TEMPERATURE_SHUTDOWN_TLIMIT: "shutdown",
    pynvml.NVML_FI_DEV_TEMPERATURE_SLOWDOWN_TLIMIT: "slowdown",
    pynvml.NVML_FI_DEV_TEMPERATURE_MEM_MAX_TLIMIT: "memory_max",
    pynvml.NVML_FI_DEV_TEMPERATURE_GPU_MAX_TLIMIT: "gpu_max",
}

_APPLICATION_CLOCKS = (
    (
        metrics.CLOCK_APPLICATION,
        pynvml.NVML_CLOCK_ID_APP_CLOCK_TARGET,
        "nvmlDeviceGetApplicationsClock",
    ),
    (
        metrics.CLOCK_APPLICATION_DEFAULT,
        pynvml.NVML_CLOCK_ID_APP_CLOCK_DEFAULT,
        "nvmlDeviceGetDefaultApplicationsClock",
    ),
)


def _megahertz(symbol: str, metric: Metric, domain: str, *arguments: int) -> Make:
    return calls.numbers(symbol, [column(metric, domain)], *arguments, multiply=1_000_000)


def _milliwatts(symbol: str, *limits: str) -> Make:
    return calls.numbers(
        symbol, [column(metrics.POWER_LIMIT, limit) for limit in limits], divide=1000
    )


GROUP = Group(
    facts=[
        (
            calls.structure(
                "nvmlDeviceGetBAR1MemoryInfo",
                pynvml.c_nvmlBAR1Memory_t,
                {"bar1Total": column(metrics.BAR1_TOTAL), "bar1Used": column(metrics.BAR1_USED)},
                valid=lambda memory: memory.bar1Used <= memory.bar1Total,
            ),
        ),
        (
            calls.structure(
                "nvmlDeviceGetMarginTemperature",
                pynvml.c_nvmlMarginTemperature_v1_t,
                {"marginTemperature": column(metrics.TEMPERATURE_MARGIN)},
                version=pynvml.nvmlMarginTemperature_v1,
            ),
        ),
        *(
            (
                calls.numbers(
                    "nvmlDeviceGetTemperatureThreshold",
                    [column(metrics.TEMPERATURE_LIMIT, limit)],
                    number,
                ),
            )
            for limit, number in _THRESHOLDS.items()
        ),
        *(
            (_megahertz("nvmlDeviceGetMaxClockInfo", metrics.CLOCK_MAX, domain, number),)
            for domain, number in DOMAINS.items()
        ),
        *(
            (
                _megahertz("nvmlDeviceGetClock", metric, domain, number, which),
                _megahertz(older, metric, domain, number),
            )
            for metric, which, older in _APPLICATION_CLOCKS
            for domain, number in DOMAINS.items()
        ),
        *(
            (
                _megahertz(
                    "nvmlDeviceGetMaxCustomerBoostClock", metrics.CLOCK_BOOST_MAX, domain, number
                ),
            )
            for domain, number in DOMAINS.items()
        ),
        (calls.numbers("nvmlDeviceGetNumGpuCores", [column(metrics.CORES)]),),
    ],
    fields=[
        *(
            Field(number, column(metrics.POWER_LIMIT, limit), 1000)
            for number, limit in _POWER_LIMITS.items()
        ),
        *(
            Field(number, column(metrics.TEMPERATURE_TLIMIT, limit))
            for number, limit in _TLIMITS.items()
        ),
        Field(pynvml.NVML_FI_DEV_EDPP_MULTIPLIER, column(metrics.EDPP_MULTIPLIER), 100),
    ],
    instead={
        column(metrics.POWER_LIMIT, "enforced"): _milliwatts(
            "nvmlDeviceGetEnforcedPowerLimit", "enforced"
        ),
        column(metrics.POWER_LIMIT, "requested"): _milliwatts(
            "nvmlDeviceGetPowerManagementLimit", "requested"
        ),
        column(metrics.POWER_LIMIT, "default"): _milliwatts(
            "nvmlDeviceGetPowerManagementDefaultLimit", "default"
        ),
        column(metrics.POWER_LIMIT, "min"): _milliwatts(
            "nvmlDeviceGetPowerManagementLimitConstraints", "min", "max"
        ),
    },
)
