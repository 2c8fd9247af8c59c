"""What the card may draw, how hot it may get and how fast it may run, as it is set up now.

Also what its memory draws, a part of what is read often: few ask for it.
"""

import pynvml

from gpuglass.catalogue import device as metrics
from gpuglass.probe import calls
from gpuglass.probe.calls import Field, Make
from gpuglass.probe.group import Group, column
from gpuglass.probe.groups.clocks import DOMAINS, application_clock

_POWER_LIMITS = {
    pynvml.NVML_FI_DEV_POWER_CURRENT_LIMIT: "enforced",
    pynvml.NVML_FI_DEV_POWER_REQUESTED_LIMIT: "requested",
    pynvml.NVML_FI_DEV_POWER_DEFAULT_LIMIT: "default",
    pynvml.NVML_FI_DEV_POWER_MIN_LIMIT: "min",
    pynvml.NVML_FI_DEV_POWER_MAX_LIMIT: "max",
}
# What power fields are of: nvml.h, NVML_POWER_SCOPE_*.
_MODULE, _MEMORY = pynvml.NVML_POWER_SCOPE_MODULE, pynvml.NVML_POWER_SCOPE_MEMORY
_TLIMITS = {
    pynvml.NVML_FI_DEV_TEMPERATURE_SHUTDOWN_TLIMIT: "shutdown",
    pynvml.NVML_FI_DEV_TEMPERATURE_SLOWDOWN_TLIMIT: "slowdown",
    pynvml.NVML_FI_DEV_TEMPERATURE_MEM_MAX_TLIMIT: "memory_max",
    pynvml.NVML_FI_DEV_TEMPERATURE_GPU_MAX_TLIMIT: "gpu_max",
}


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
            application_clock(
                column(metrics.CLOCK_APPLICATION, domain),
                "nvmlDeviceGetApplicationsClock",
                number,
                pynvml.NVML_CLOCK_ID_APP_CLOCK_TARGET,
            )
            for domain, number in DOMAINS.items()
        ),
    ],
    fields=[
        *(
            Field(number, column(metrics.POWER_LIMIT, limit), 1000)
            for number, limit in _POWER_LIMITS.items()
        ),
        *(
            Field(number, column(metrics.MODULE_POWER_LIMIT, limit), 1000, scope=_MODULE)
            for number, limit in _POWER_LIMITS.items()
        ),
        Field(pynvml.NVML_FI_DEV_POWER_AVERAGE, column(metrics.MEMORY_POWER), 1000, scope=_MEMORY),
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
