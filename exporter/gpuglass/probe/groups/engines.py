"""How busy the media engines are."""

from gpuglass.catalogue import device as metrics
from gpuglass.probe import calls
from gpuglass.probe.group import Group, column

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
    ],
)
