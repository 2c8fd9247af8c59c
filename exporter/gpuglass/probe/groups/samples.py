"""What happens between two readings: from the driver's own buffers, which miss nothing of it."""

import pynvml

from gpuglass.catalogue import activity
from gpuglass.catalogue import device as metrics
from gpuglass.catalogue.groups import patience
from gpuglass.catalogue.model import Metric
from gpuglass.probe import calls
from gpuglass.probe.buffers import Buffer, Followed, Stream
from gpuglass.probe.calls import Call, Make
from gpuglass.probe.frames import Column
from gpuglass.probe.group import Card, Fact, Found, Group, column
from gpuglass.probe.groups.clocks import DOMAINS
from gpuglass.probe.nvml import Handle, Library

# What is read here is only followed.
_VALUE = Column("")
_MILLIWATTS, _MEGAHERTZ = 10_000_000, 100_000


def _seconds(metric: Metric, *labels: str) -> Column:
    return column(metric, *labels)._replace(source="buffers")


def _rate(field: str) -> Make:
    return calls.structure(
        "nvmlDeviceGetUtilizationRates", pynvml.c_nvmlUtilization_t, {field: _VALUE}
    )


def _clock(type: int, domain: str) -> Stream:
    return Stream(
        type,
        calls.numbers("nvmlDeviceGetClockInfo", [_VALUE], DOMAINS[domain]),
        _MEGAHERTZ,
        mean=column(activity.CLOCK_MEAN, domain),
        peak=column(activity.CLOCK_PEAK, domain),
        multiply=1_000_000,
    )


def _engine(type: int, symbol: str, engine: str) -> Stream:
    return Stream(
        type,
        calls.numbers(symbol, [_VALUE, None]),
        100,
        seconds=_seconds(metrics.ENGINE_BUSY_SECONDS, engine),
        divide=100,
    )


_STREAMS = (
    Stream(
        pynvml.NVML_TOTAL_POWER_SAMPLES,
        calls.numbers("nvmlDeviceGetPowerUsage", [_VALUE]),
        _MILLIWATTS,
        mean=column(activity.POWER_MEAN),
        peak=column(activity.POWER_PEAK),
        divide=1000,
    ),
    Stream(
        pynvml.NVML_GPU_UTILIZATION_SAMPLES,
        _rate("gpu"),
        100,
        mean=column(activity.UTILIZATION_MEAN),
        peak=column(activity.UTILIZATION_PEAK),
        seconds=_seconds(metrics.BUSY_SECONDS),
        divide=100,
        eager=True,
    ),
    Stream(
        pynvml.NVML_MEMORY_UTILIZATION_SAMPLES,
        _rate("memory"),
        100,
        mean=column(activity.MEMORY_ACTIVITY_MEAN),
        peak=column(activity.MEMORY_ACTIVITY_PEAK),
        seconds=_seconds(metrics.MEMORY_ACTIVITY_SECONDS),
        divide=100,
        eager=True,
    ),
    _clock(pynvml.NVML_PROCESSOR_CLK_SAMPLES, "sm"),
    _clock(pynvml.NVML_MEMORY_CLK_SAMPLES, "memory"),
    _engine(pynvml.NVML_ENC_UTILIZATION_SAMPLES, "nvmlDeviceGetEncoderUtilization", "encoder"),
    _engine(pynvml.NVML_DEC_UTILIZATION_SAMPLES, "nvmlDeviceGetDecoderUtilization", "decoder"),
    _engine(pynvml.NVML_JPG_UTILIZATION_SAMPLES, "nvmlDeviceGetJpgUtilization", "jpeg"),
    _engine(pynvml.NVML_OFA_UTILIZATION_SAMPLES, "nvmlDeviceGetOfaUtilization", "ofa"),
)


def _fact(stream: Stream, interval: float) -> Fact:
    longest = round(patience(interval) * 1_000_000)

    def buffered(library: Library, device: Handle) -> Call:
        buffer = Buffer(library, device, stream.type, stream.most, longest)
        return follow(library, device, buffer)

    def follow(library: Library, device: Handle, buffer: Buffer | None = None) -> Call:
        present = stream.present(library, device)
        return Followed(stream, present, buffer, longest, activity.WINDOW_SECONDS)

    # Time that is not in a buffer is counted from what other groups read.
    return (buffered, follow) if stream.mean else (buffered,)


def _streams(card: Card) -> Found:
    return Found(facts=[_fact(stream, card.interval) for stream in _STREAMS])


GROUP = Group(discover=_streams)
