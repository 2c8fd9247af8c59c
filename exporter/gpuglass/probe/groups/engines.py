"""How busy the media engines are, and how fast they run."""

from gpuglass.catalogue import device as metrics
from gpuglass.probe import calls
from gpuglass.probe.group import Group, column
from gpuglass.probe.groups.clocks import DOMAINS, clock

_ENGINES = {
    "encoder": "nvmlDeviceGetEncoderUtilization",
    "decoder": "nvmlDeviceGetDecoderUtilization",
    "jpeg": "nvmlDeviceGetJpgUtilization",
    "ofa": "nvmlDeviceGetOfaUtilization",
}

GROUP = Group(
    facts=[
        # The second number is the sampling period, in microseconds.
        (calls.numbers(symbol, [column(metrics.ENGINE_UTILIZATION, engine), None], divide=100),)
        for engine, symbol in _ENGINES.items()
    ]
    + [(clock("nvmlDeviceGetClockInfo", column(metrics.CLOCK, "video"), DOMAINS["video"]),)],
)
