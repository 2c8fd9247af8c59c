"""Counters outlive every probe, and never fall."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.devices import (
    BUSY,
    DOWN,
    ENERGY,
    IDLE,
    PCIE,
    PCIE_RATE,
    POWER,
    SM_ACTIVE,
    THERMAL,
    UTILIZATION,
    WIDTH,
    Series,
    announce,
    driver,
    names,
    reading,
    series,
    sources,
    told,
    value,
)

from gpuglass.catalogue import activity, gpu
from gpuglass.catalogue import device as metrics
from gpuglass.catalogue.model import Type
from gpuglass.probe import frames
from gpuglass.probe.frames import Column


def test_a_step_that_no_card_can_make_is_not_counted() -> None:
    devices = told(driver(), announce(ENERGY), reading(10, 5e6))
    for moment, shown, counted in (
        (11, 5e6 + 500, 500),
        (12, 1e12, 500),
        (13, 1e12 + 400, 900),
        (14, 5e6 + 1500, 900),
        (15, 5e6 + 2100, 1500),
        # A little back is no driver that was loaded anew, which would start from 0.
        (16, 5e6 + 2000, 1500),
        (17, 5e6 + 2600, 2100),
        # This is.
        (18, 300, 2400),
        # As much as this in one second cannot be, but in an hour it can.
        (19, 1e6, 2400),
        (3619, 3e6, 2400 + 2e6),
    ):
        devices.take(reading(moment, shown))
        assert value(devices, moment, metrics.ENERGY) == pytest.approx(5e6 + counted)


def test_the_drivers_counter_is_published_as_it_is_and_outlives_the_driver() -> None:
    devices = told(driver(), announce(ENERGY), reading(10, 5000.25))
    assert value(devices, 10, metrics.ENERGY) == 5000.25
    devices.end("probe_crashed")
    devices.take(driver())
    devices.take(announce(ENERGY))
    assert value(devices, 10, metrics.ENERGY) is None
    devices.take(reading(11, 5001.25))
    assert value(devices, 11, metrics.ENERGY) == 5001.25
    devices.take(reading(12, 1.0))
    assert value(devices, 12, metrics.ENERGY) == 5002.25


def test_busy_seconds_are_integrated_and_named_as_sampled() -> None:
    devices = told(driver(), announce(UTILIZATION), reading(10, 0.5), reading(12, 0.25))
    assert value(devices, 12, metrics.BUSY_SECONDS) == 0.5
    source = metrics.SOURCE.name, ("0", "GPU-0", metrics.BUSY_SECONDS.name, "sampled", "")
    assert series(devices, 12)[source] == 1


def test_energy_is_sampled_only_where_the_driver_has_none() -> None:
    absent = (ENERGY.metric, (), "not_supported")
    devices = told(driver(), announce(POWER, missing=[absent]), reading(1, 100.0), reading(2, 50.0))
    assert value(devices, 2, metrics.ENERGY) == 50
    sources = {labels[2:] for name, labels in series(devices, 2) if name == metrics.SOURCE.name}
    assert sources == {(ENERGY.metric, "sampled", "")}
    both = told(driver(), announce(POWER, ENERGY), reading(1, 100.0, 7.0), reading(2, 50.0, 7.5))
    assert value(both, 2, metrics.ENERGY) == 7.5
    sources = {labels[2:] for name, labels in series(both, 2) if name == metrics.SOURCE.name}
    assert sources == set()  # the driver's own


def test_a_counter_from_nowhere_says_why() -> None:
    absent = (PCIE.metric, PCIE.labels, "may_wrap_between_readings")
    devices = told(driver(), announce(POWER, missing=[absent]), reading(1, 100.0))
    sources = {labels[2:] for name, labels in series(devices, 1) if name == metrics.SOURCE.name}
    assert (PCIE.metric, "absent", "may_wrap_between_readings") in sources
    assert value(devices, 1, metrics.PCIE_BYTES, "transmit") is None


def test_a_counter_of_which_the_card_has_a_part_is_not_absent() -> None:
    absent = (PCIE.metric, ("receive",), "not_supported")
    devices = told(driver(), announce(PCIE, missing=[absent]), reading(1, 100.0))
    sources = {labels[2:] for name, labels in series(devices, 1) if name == metrics.SOURCE.name}
    assert sources == set()


def test_the_best_link_that_was_seen_is_kept() -> None:
    devices = told(driver(), announce(WIDTH), reading(1, None))
    assert value(devices, 1, metrics.PCIE_WIDTH_BEST) is None
    for at, width, best in ((2, 8, 8), (3, 16, 16), (4, None, 16), (5, 8, 16)):
        devices.take(reading(at, width))
        assert value(devices, at, metrics.PCIE_WIDTH) == width
        assert value(devices, at, metrics.PCIE_WIDTH_BEST) == best
    devices.end("probe_crashed")
    for frame in (driver(), announce(WIDTH), reading(6, 4)):
        devices.take(frame)
    assert value(devices, 6, metrics.PCIE_WIDTH_BEST) == 16


def test_time_throttled_is_counted_by_reason_but_idling_is_no_loss() -> None:
    devices = told(driver(), announce(THERMAL, IDLE), reading(1, 1, 1), reading(3, 1, 1))
    assert value(devices, 3, metrics.THROTTLE_SECONDS, "hw_thermal") == 2
    assert value(devices, 3, metrics.THROTTLE_SECONDS, "gpu_idle") is None


def test_a_wrapping_counter_starts_anew_with_each_probe() -> None:
    narrow = PCIE._replace(wraps=2**32)
    devices = told(driver(), announce(narrow), reading(1, 2**32 - 5.0), reading(2, 10.0))
    assert value(devices, 2, metrics.PCIE_BYTES, "transmit") == 2**32 + 10
    devices.end("probe_crashed")
    devices.take(announce(narrow))
    devices.take(reading(3, 3.0))
    assert value(devices, 3, metrics.PCIE_BYTES, "transmit") == 2**32 + 10
    devices.take(reading(4, 7.0))
    assert value(devices, 4, metrics.PCIE_BYTES, "transmit") == 2**32 + 14


def test_busy_seconds_of_the_buffers_go_on_with_each_probe_and_without_them() -> None:
    """The probe counts from 0 on, whenever it starts."""
    devices = told(driver(), announce(UTILIZATION, BUSY), reading(1, 0.5, 0.0))
    devices.take(reading(2, 1.0, 0.75))
    assert value(devices, 2, metrics.BUSY_SECONDS) == 0.75
    assert sources(devices, 2) == {(BUSY.metric, "buffers", "")}
    devices.end("probe_crashed")
    devices.take(announce(UTILIZATION, BUSY))
    devices.take(reading(3, 1.0, 0.0))
    assert value(devices, 3, metrics.BUSY_SECONDS) == 0.75
    devices.take(reading(4, 1.0, 1.0))
    assert value(devices, 4, metrics.BUSY_SECONDS) == 1.75
    # A driver without buffers: from now on it is our sampling that counts.
    devices.end("probe_renewed")
    devices.take(announce(UTILIZATION))
    devices.take(reading(5, 0.5))
    devices.take(reading(6, 0.5))
    assert value(devices, 6, metrics.BUSY_SECONDS) == 2.25
    assert sources(devices, 6) == {(BUSY.metric, "sampled", "")}


def test_what_the_performance_monitor_tells_is_integrated() -> None:
    devices = told(driver(), announce(SM_ACTIVE), reading(1, 0.5), reading(2, 0.25))
    assert value(devices, 2, activity.SM_ACTIVE_SECONDS) == 0.25
    assert sources(devices, 2) == {(activity.SM_ACTIVE_SECONDS.name, "gpm", "")}


def test_pcie_bytes_have_one_source_at_a_time() -> None:
    """The monitor's until the driver's counter is trusted, which goes on from there."""
    absent = (PCIE.metric, PCIE.labels, "may_wrap_between_readings")
    devices = told(driver(), announce(PCIE_RATE, missing=[absent]))
    devices.take(reading(1, 1e9))
    devices.take(reading(3, 2e9))
    assert value(devices, 3, metrics.PCIE_BYTES, "transmit") == 4e9
    assert sources(devices, 3) == {(PCIE.metric, "gpm", "")}
    devices.take(announce(PCIE_RATE, PCIE))
    devices.take(reading(4, 2e9, 7e9))
    devices.take(reading(5, 2e9, 8e9))
    assert value(devices, 5, metrics.PCIE_BYTES, "transmit") == 5e9
    assert sources(devices, 5) == set()


amounts = st.none() | st.floats(0, 1e12)


plans = st.lists(
    st.sampled_from(
        [
            *(UTILIZATION, POWER, ENERGY, PCIE, PCIE._replace(wraps=2**32), THERMAL),
            *(BUSY, SM_ACTIVE, PCIE_RATE),
        ]
    ),
    unique_by=lambda column: (column.metric, column.labels),
)


happenings = st.lists(
    st.one_of(
        st.tuples(st.just("announce"), plans),
        st.tuples(st.just("read"), st.lists(amounts, min_size=9, max_size=9)),
        st.tuples(st.just("lose"), st.none()),
        st.tuples(st.just("end"), st.none()),
        st.tuples(st.just("sleep"), st.floats(0, 20)),
    ),
    max_size=30,
)


COUNTERS = {metric.name for metric in gpu.METRICS if metric.type is Type.COUNTER}


@given(happenings)
def test_no_counter_ever_falls(happenings: list[tuple[str, object]]) -> None:
    """Whatever the order of plans, readings, losses and new probes."""
    devices = told(driver(), announce())
    columns: list[Column] = []
    now = 100.0
    last: Series = {}
    for what, detail in happenings:
        now += 0.7
        if what == "announce":
            assert isinstance(detail, list)
            columns = detail
            devices.take(announce(*columns))
        elif what == "read":
            assert isinstance(detail, list)
            devices.take(reading(now, *detail[: len(columns)]))
        elif what == "lose":
            devices.take(frames.Down("GPU-0", 0, "gpu_is_lost"))
        elif what == "end":
            devices.end("probe_crashed")
        else:
            assert isinstance(detail, float)
            now += detail
        found = series(devices, now)
        for key, number in found.items():
            if key[0] in COUNTERS:
                assert number >= last.get(key, 0.0)
                last[key] = number
        if found["gpu_up", ("0", "GPU-0")] == 0:
            assert names(found) <= DOWN
