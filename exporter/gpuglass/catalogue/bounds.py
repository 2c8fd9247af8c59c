"""What can be true of a GPU: drivers have told of shares of thousands of percent.

A value outside is left out, and a counter that steps further than it can goes on from there as if
it had not. All of it is wide on purpose: cards to come must fit, and only nonsense must not.
"""

import math

from gpuglass.catalogue import device, gpu
from gpuglass.catalogue.model import Type

_ANY = (-math.inf, math.inf)
# By the unit of a gauge, the lowest and the highest value.
_RANGES: dict[str, tuple[float, float]] = {
    "ratio": (0, 1),
    "celsius": (-50, 200),
    "watts": (0, 10_000),
    "hertz": (0, 100e9),
    "bytes": (0, 2**50),
    "bytes_per_second": (0, 10e12),
}
_OWN_RANGES: dict[str, tuple[float, float]] = {
    # nvml.h: may exceed 100 % in certain cases.
    device.FAN_SPEED.name: (0, 2),
    device.FAN_TARGET.name: (0, 2),
    device.EDPP_MULTIPLIER.name: (0, 10),
    device.PERFORMANCE_STATE.name: (0, 15),
    device.PCIE_GENERATION.name: (1, 32),
    device.PCIE_GENERATION_MAX.name: (1, 32),
    device.PCIE_WIDTH.name: (0, 128),
    device.PCIE_WIDTH_MAX.name: (0, 128),
    device.CORES.name: (1, 1e7),
    device.ENERGY.name: (0, 1e13),  # thirty years at the highest power
}
_UNITS = {metric.name: metric.unit for metric in gpu.METRICS if metric.type is Type.GAUGE}

# By the unit of a counter, by how much it can grow in a second.
_GROWTH = {"joules": _RANGES["watts"][1], "bytes": _RANGES["bytes_per_second"][1], "seconds": 2.0}
_COUNTED = {metric.name: metric.unit for metric in gpu.METRICS if metric.type is Type.COUNTER}


def possible(metric: str) -> tuple[float, float]:
    """The lowest and the highest value that a metric can have."""
    return _OWN_RANGES.get(metric, _RANGES.get(_UNITS.get(metric, ""), _ANY))


def growth(metric: str) -> float:
    """By how much a counter can grow in a second."""
    return _GROWTH.get(_COUNTED.get(metric, ""), math.inf)
