"""What the card is built for: how hot it may get, how fast it can run, and how large it is."""

import pynvml

from gpuglass.catalogue import device as metrics
from gpuglass.probe import calls
from gpuglass.probe.group import Group, column
from gpuglass.probe.groups.clocks import DOMAINS, application_clock, clock

_THRESHOLDS = {
    "shutdown": pynvml.NVML_TEMPERATURE_THRESHOLD_SHUTDOWN,
    "slowdown": pynvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN,
    "memory_max": pynvml.NVML_TEMPERATURE_THRESHOLD_MEM_MAX,
    "gpu_max": pynvml.NVML_TEMPERATURE_THRESHOLD_GPU_MAX,
    "acoustic_min": pynvml.NVML_TEMPERATURE_THRESHOLD_ACOUSTIC_MIN,
    "acoustic": pynvml.NVML_TEMPERATURE_THRESHOLD_ACOUSTIC_CURR,
    "acoustic_max": pynvml.NVML_TEMPERATURE_THRESHOLD_ACOUSTIC_MAX,
}
_CLOCKS = {
    "nvmlDeviceGetMaxClockInfo": metrics.CLOCK_MAX,
    "nvmlDeviceGetMaxCustomerBoostClock": metrics.CLOCK_BOOST_MAX,
}

GROUP = Group(
    facts=[
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
            (clock(symbol, column(metric, domain), number),)
            for symbol, metric in _CLOCKS.items()
            for domain, number in DOMAINS.items()
        ),
        *(
            application_clock(
                column(metrics.CLOCK_APPLICATION_DEFAULT, domain),
                "nvmlDeviceGetDefaultApplicationsClock",
                number,
                pynvml.NVML_CLOCK_ID_APP_CLOCK_DEFAULT,
            )
            for domain, number in DOMAINS.items()
        ),
        (calls.numbers("nvmlDeviceGetNumGpuCores", [column(metrics.CORES)]),),
    ],
)
