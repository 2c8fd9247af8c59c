"""What can be true of a card: every fact has its bounds."""

import math

import pytest

from gpuglass.catalogue import device, gpu
from gpuglass.catalogue.bounds import growth, possible
from gpuglass.catalogue.model import Metric, Type


@pytest.mark.parametrize(
    "metric", [m for m in gpu.METRICS if m.type is Type.GAUGE and m.unit not in ("", "seconds")]
)
def test_every_gauge_with_a_unit_has_bounds(metric: Metric) -> None:
    low, high = possible(metric.name)
    assert -math.inf < low < high < math.inf


@pytest.mark.parametrize("metric", [m for m in gpu.METRICS if m.type is Type.COUNTER and m.unit])
def test_every_counter_with_a_unit_has_a_highest_rate(metric: Metric) -> None:
    assert 0 < growth(metric.name) < math.inf


@pytest.mark.parametrize(
    ("metric", "true", "absurd"),
    [
        (device.UTILIZATION, 1.0, 1.01),
        (device.FAN_SPEED, 1.2, 255 / 100),
        (device.TEMPERATURE, 110, 255),
        (device.TEMPERATURE_TLIMIT, -8, -100),
        (device.POWER, 2700, 4294967.295),
        (device.CLOCK, 14_001e6, 4294967295e6),
        (device.MEMORY_TOTAL, 2**40, 2**64 - 2**20),
        (device.ENERGY, 5e9, 2**64 / 1000),
        (device.PERFORMANCE_STATE, 15, 32),
    ],
)
def test_room_for_cards_to_come_but_not_for_nonsense(
    metric: Metric, true: float, absurd: float
) -> None:
    low, high = possible(metric.name)
    assert low <= true <= high
    assert not low <= absurd <= high


def test_numbers_without_a_unit_have_none() -> None:
    assert possible("gpu_xid_errors_total") == possible("unknown") == (-math.inf, math.inf)
    assert growth("gpu_xid_errors_total") == growth("unknown") == math.inf
