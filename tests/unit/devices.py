"""The parent's view of the GPUs, with nothing around it, and what a probe tells it."""

from collections.abc import Iterable

from gpuglass.catalogue import activity
from gpuglass.catalogue import device as metrics
from gpuglass.catalogue.model import Metric
from gpuglass.owners import OwnerPaths, Resolver
from gpuglass.pipeline.devices import Devices
from gpuglass.pipeline.usage import Usage
from gpuglass.pipeline.xids import Xids
from gpuglass.probe import frames
from gpuglass.probe.frames import Column

INFO = dict.fromkeys(metrics.INFO_.labels[2:], "x")
UTILIZATION = Column(metrics.UTILIZATION.name)
POWER = Column(metrics.POWER.name)
ENERGY = Column(metrics.ENERGY.name)
PCIE = Column(metrics.PCIE_BYTES.name, ("transmit",))
WIDTH = Column(metrics.PCIE_WIDTH.name)
LIMIT = Column(metrics.POWER_LIMIT.name, ("max",))
THERMAL = Column(metrics.CLOCK_EVENT_REASON.name, ("hw_thermal",))
BUSY = Column(metrics.BUSY_SECONDS.name, source="buffers")
SM_ACTIVE = Column(activity.SM_ACTIVE.name)
PCIE_RATE = Column(activity.PCIE_RATE.name, ("transmit",))
IDLE = Column(metrics.CLOCK_EVENT_REASON.name, ("gpu_idle",))


Series = dict[tuple[str, tuple[str, ...]], float]
DOWN = {"gpu_info", "gpu_up", "gpu_data_age_seconds"}


def new_devices(intervals: dict[str, float]) -> Devices:
    """No GPUs yet, and nobody who looks up owners."""
    resolver = Resolver(OwnerPaths())
    return Devices(intervals, Xids(), lambda uuid: Usage(uuid, resolver, 32))


def driver(devices: int = 1) -> frames.Driver:
    return frames.Driver("580.1", "13.580.1", "13.0", devices)


def announce(
    *fast: Column,
    uuid: str = "GPU-0",
    index: int = 0,
    slow: Iterable[Column] = (),
    missing: Iterable[tuple[str, tuple[str, ...], str]] = (),
    processes: bool = False,
) -> frames.Device:
    columns = {"core": list(fast), "limits": list(slow)} | ({"processes": []} if processes else {})
    return frames.Device(uuid, index, INFO, columns, list(missing), {})


def reading(
    time: float, *values: float | None, group: str = "core", uuid: str = "GPU-0"
) -> frames.Reading:
    return frames.Reading(uuid, time, 0.001, {group: list(values)})


def told(*sent: frames.Frame, interval: float = 1.0) -> Devices:
    devices = new_devices({"core": interval, "limits": interval})
    for frame in sent:
        devices.take(frame)
    return devices


def series(devices: Devices, now: float) -> Series:
    found: Series = {}
    for block in devices.blocks(now):
        for (metric, labels), value in zip(block.series, block.values, strict=True):
            if value is not None:
                assert (metric.name, labels) not in found
                found[metric.name, labels] = value
    return found


def value(devices: Devices, now: float, metric: Metric, *labels: str) -> float | None:
    return series(devices, now).get((metric.name, ("0", "GPU-0", *labels)))


def names(found: Series, index: str = "0") -> set[str]:
    return {name for name, labels in found if labels and labels[0] == index}


def sources(devices: Devices, now: float) -> set[tuple[str, ...]]:
    return {labels[2:] for name, labels in series(devices, now) if name == metrics.SOURCE.name}


TWO: tuple[frames.Frame, ...] = (
    driver(2),
    announce(UTILIZATION, ENERGY),
    announce(UTILIZATION, ENERGY, uuid="GPU-1", index=1),
)


def both_read(time: float, energy: float = 100.0) -> list[frames.Reading]:
    return [reading(time, 0.5, energy), reading(time, 0.25, 2 * energy, uuid="GPU-1")]
