"""From frames to series: absent where the card is silent, counters that outlive every probe."""

import re
import time
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.devices import new_devices

from gpuglass.catalogue import activity, gpu
from gpuglass.catalogue import device as metrics
from gpuglass.catalogue.model import Metric, Type
from gpuglass.pipeline.devices import Devices
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


DOWN = {"gpu_info", "gpu_up", "gpu_data_age_seconds"}


def test_a_value_that_is_not_given_is_absent() -> None:
    devices = told(driver(), announce(UTILIZATION, POWER, slow=[LIMIT]), reading(10, 0.0, None))
    assert value(devices, 10, metrics.UTILIZATION) == 0
    assert value(devices, 10, metrics.POWER) is None
    assert value(devices, 10, metrics.POWER_LIMIT, "max") is None
    devices.take(reading(10.5, None, 80.0))
    assert value(devices, 10.5, metrics.UTILIZATION) is None
    assert value(devices, 10.5, metrics.POWER) == 80


def test_a_gpu_that_is_down_shows_nothing_but_that() -> None:
    devices = told(
        driver(2),
        announce(UTILIZATION, ENERGY, slow=[LIMIT]),
        announce(UTILIZATION, uuid="GPU-1", index=1),
        reading(10, 0.5, 7.0),
        reading(10, 700.0, group="limits"),
        reading(10, 0.5, uuid="GPU-1"),
    )
    assert value(devices, 11, metrics.UP) == 1
    devices.take(frames.Down("GPU-0", 0, "gpu_is_lost"))
    found = series(devices, 11)
    assert names(found) == DOWN
    assert found["gpu_up", ("0", "GPU-0")] == 0
    assert found["gpu_up", ("1", "GPU-1")] == 1
    assert "gpu_utilization_ratio" in names(found, "1")
    assert devices.status(11).failure == "gpu_is_lost"
    devices.take(announce(UTILIZATION, ENERGY))
    assert value(devices, 11, metrics.UP) == 0
    devices.take(reading(12, 0.5, 9.0))
    assert value(devices, 12, metrics.UP) == 1
    assert value(devices, 12, metrics.ENERGY) == 9
    assert value(devices, 12, metrics.POWER_LIMIT, "max") is None
    assert devices.status(12).failure == ""


def test_a_gpu_that_is_silent_is_down_until_it_is_read() -> None:
    devices = told(driver(), announce(UTILIZATION), reading(10, 0.5))
    assert value(devices, 15, metrics.UP) == 1
    assert value(devices, 15.1, metrics.UP) == 0
    assert names(series(devices, 15.1)) == DOWN
    assert value(devices, 15.1, metrics.DATA_AGE) == pytest.approx(5.1)
    assert devices.status(15.1).failure == "silent"
    devices.take(reading(16, 0.5))
    assert value(devices, 16, metrics.UP) == 1


def test_patience_follows_the_interval() -> None:
    devices = told(driver(), announce(UTILIZATION), reading(100, 0.5), interval=10)
    assert value(devices, 130, metrics.UP) == 1
    assert value(devices, 130.1, metrics.UP) == 0


def test_slow_readings_do_not_make_a_gpu_fresh() -> None:
    devices = told(driver(), announce(UTILIZATION, slow=[LIMIT]), reading(1, 700.0, group="limits"))
    assert value(devices, 2, metrics.UP) == 0
    assert not devices.complete()
    devices.take(reading(2, 0.5))
    assert value(devices, 2, metrics.UP) == 1
    assert devices.complete()


def test_when_the_probe_ends_nothing_is_current() -> None:
    devices = told(driver(), announce(UTILIZATION), reading(10, 0.5))
    devices.end("probe_crashed")
    assert names(series(devices, 10)) == DOWN
    assert "gpu_devices" not in {name for name, _ in series(devices, 10)}
    assert devices.status(10).failure == "probe_crashed"
    devices.take(driver())
    assert value(devices, 10, metrics.UP) == 0
    assert devices.status(10).failure == "probe_crashed"
    devices.take(announce(UTILIZATION))
    devices.take(reading(11, 0.5))
    assert devices.status(11).failure == ""


def test_why_nvml_fails_is_kept_when_the_probe_ends_for_it() -> None:
    devices = told(frames.Failure("lib_rm_version_mismatch", ""))
    devices.end("probe_renewed")
    assert devices.status(0).failure == "lib_rm_version_mismatch"
    assert devices.complete()


def test_a_gpu_that_was_lost_before_it_was_announced() -> None:
    devices = told(driver(2), announce(UTILIZATION), reading(10, 0.5), reading(10, group="limits"))
    assert devices.status(10).failure == "starting"
    assert not devices.complete()
    devices.take(frames.Down("", 1, "gpu_is_lost"))
    assert devices.status(10).failure == "gpu_is_lost"
    assert devices.complete()
    devices.take(announce(UTILIZATION, uuid="GPU-1", index=1))
    assert not devices.complete()
    devices.take(reading(11, 0.5, uuid="GPU-1"))
    devices.take(reading(11, group="limits", uuid="GPU-1"))
    assert devices.complete()
    assert devices.status(11).failure == ""


def test_a_reading_of_an_unknown_gpu_is_refused() -> None:
    with pytest.raises(ValueError, match="GPU-7"):
        told(reading(1, 0.5, uuid="GPU-7"))


def test_all_silent_and_none_reported_means_stuck() -> None:
    devices = told(
        driver(2),
        announce(UTILIZATION),
        announce(UTILIZATION, uuid="GPU-1", index=1),
        reading(10, 0.5),
        reading(10, 0.5, uuid="GPU-1"),
    )
    assert not devices.stuck(20, 15)
    assert devices.stuck(25.1, 15)
    devices.take(reading(20, 0.5, uuid="GPU-1"))
    assert not devices.stuck(25.1, 15)
    devices.take(frames.Down("GPU-1", 1, "gpu_is_lost"))
    assert devices.stuck(25.1, 15)
    devices.take(frames.Down("GPU-0", 0, "gpu_is_lost"))
    assert not devices.stuck(25.1, 15)


TWO: tuple[frames.Frame, ...] = (
    driver(2),
    announce(UTILIZATION, ENERGY),
    announce(UTILIZATION, ENERGY, uuid="GPU-1", index=1),
)


def both_read(time: float, energy: float = 100.0) -> list[frames.Reading]:
    return [reading(time, 0.5, energy), reading(time, 0.25, 2 * energy, uuid="GPU-1")]


def test_a_gpu_that_is_listed_no_longer_stays_for_an_hour_and_is_not_forgotten() -> None:
    devices = told(*TWO, *both_read(10))
    devices.end("probe_renewed", renewed=True)
    devices.take(driver(1))
    left = time.monotonic()
    devices.take(announce(UTILIZATION, ENERGY))
    devices.take(reading(left, 0.5, 100.0))
    found = series(devices, left + 3)
    assert found["gpu_devices", ()] == 1
    assert found["gpu_up", ("0", "GPU-0")] == 1
    assert found["gpu_up", ("1", "GPU-1")] == 0
    assert names(found, "1") == DOWN
    assert devices.status(left + 3).failure == "not_listed"
    assert devices.all_well(left + 3)
    assert not devices.troubled(left + 3)
    assert ("gpu_up", ("1", "GPU-1")) in series(devices, left + 3500)
    assert names(series(devices, left + 3700), "1") == set()
    devices.take(reading(left + 3700, 0.5, 100.0))
    assert devices.status(left + 3700).failure == ""
    # The driver was loaded anew meanwhile.
    devices.end("probe_renewed", renewed=True)
    for frame in (*TWO, *both_read(left + 3800, energy=5.0)):
        devices.take(frame)
    assert series(devices, left + 3800)["gpu_energy_joules_total", ("1", "GPU-1")] == 210


def test_all_gpus_are_taken_out() -> None:
    devices = told(*TWO, *both_read(10))
    devices.end("probe_renewed", renewed=True)
    devices.take(driver(0))
    assert names(series(devices, 11)) == DOWN
    assert devices.complete()


def test_a_probe_that_is_renewed_takes_nothing_away() -> None:
    devices = told(*TWO, *both_read(10))
    before = series(devices, 10)
    devices.end("probe_retried", renewed=True)
    assert series(devices, 10) == before
    assert devices.complete()
    assert devices.status(10).failure == ""
    assert not devices.stuck(60, 15)
    for frame in TWO:
        devices.take(frame)
        assert series(devices, 10) == before
    # Unless there is no other.
    assert names(series(devices, 15.1)) == DOWN


def test_after_a_failure_nothing_is_current_though_the_probe_is_renewed() -> None:
    devices = told(*TWO, *both_read(10), frames.Failure("driver_not_loaded", ""))
    devices.end("probe_renewed", renewed=True)
    assert names(series(devices, 10)) == names(series(devices, 10), "1") == DOWN


def test_a_renewed_probe_counts_wrapping_counters_from_a_new_start() -> None:
    narrow = PCIE._replace(wraps=2**32)
    devices = told(driver(), announce(narrow), reading(1, 1000.0))
    devices.end("probe_renewed", renewed=True)
    devices.take(driver())
    devices.take(announce(narrow))
    devices.take(reading(2, 10.0))
    assert value(devices, 2, metrics.PCIE_BYTES, "transmit") == 1000


def test_indexes_that_change_are_at_no_moment_of_two_cards() -> None:
    devices = told(*TWO, *both_read(10))
    devices.end("probe_renewed", renewed=True)
    swapped: list[frames.Frame] = [
        driver(2),
        announce(UTILIZATION, ENERGY, uuid="GPU-1", index=0),
        announce(UTILIZATION, ENERGY, index=1),
        *both_read(10.5, energy=101.0),
    ]
    for frame in swapped:
        devices.take(frame)
        found = series(devices, 10.5)
        shown = [labels for name, labels in found if name == "gpu_utilization_ratio"]
        assert len({index for index, _ in shown}) == len(shown)
    assert found["gpu_energy_joules_total", ("1", "GPU-0")] == 101
    assert found["gpu_energy_joules_total", ("0", "GPU-1")] == 202
    assert not [key for key in found if key[1][:2] in (("0", "GPU-0"), ("1", "GPU-1"))]


def test_a_card_in_the_place_of_another_is_another() -> None:
    """Changed without a change of their number."""
    devices = told(*TWO, *both_read(10))
    devices.take(announce(UTILIZATION, ENERGY, uuid="GPU-9", index=1))
    devices.take(reading(11, 0.5, 7.0, uuid="GPU-9"))
    found = series(devices, 11)
    assert found["gpu_energy_joules_total", ("1", "GPU-9")] == 7
    assert found["gpu_up", ("1", "GPU-1")] == 0
    assert devices.status(11).failure == "not_listed"


def test_what_is_told_of_an_index_is_told_of_the_card_that_was_there() -> None:
    devices = told(*TWO, *both_read(10))
    devices.end("probe_silent")
    for frame in (driver(2), TWO[1], frames.Down("", 1, "skipped"), reading(11, 0.5, 100.0)):
        devices.take(frame)
    found = series(devices, 11)
    assert found["gpu_up", ("0", "GPU-0")] == 1
    assert found["gpu_up", ("1", "GPU-1")] == 0
    assert devices.status(11).failure == "skipped"
    assert devices.well(11) == {0}
    # It is left alone on purpose: no trouble to do anything about.
    assert not devices.troubled(11)
    assert not devices.all_well(11)
    devices.take(frames.Down("GPU-0", 0, "gpu_is_lost"))
    assert devices.troubled(11)


def waiting(*calls: tuple[int, str, float]) -> frames.Alive:
    return frames.Alive([frames.Waiting(*call) for call in calls])


def test_calls_that_are_late_are_named() -> None:
    devices = told(*TWO, *both_read(10))
    devices.take(waiting((1, "f", 0.9), (0, "g", 3.25), (-1, "h", 8.0)))
    late = {labels: v for (name, labels), v in series(devices, 10).items() if "waiting" in name}
    assert late == {("0", "g"): 3.25, ("", "h"): 8.0}
    assert devices.suspect() == 0
    assert devices.troubled(10)
    devices.take(waiting())
    assert not any("waiting" in name for name, _ in series(devices, 10))
    assert devices.suspect() is None
    assert not devices.troubled(10)
    devices.take(waiting((0, "g", 3.25)))
    devices.end("probe_silent")
    assert devices.suspect() is None


def test_a_gpu_that_hangs_before_it_has_a_name_is_not_waited_for() -> None:
    devices = told(*TWO[:2], reading(10, 0.5, 1.0), reading(10, group="limits"))
    devices.take(waiting((1, "nvmlDeviceGetUUID", 4.0)))
    assert not devices.complete()
    devices.take(waiting((1, "nvmlDeviceGetUUID", 6.0)))
    assert devices.complete()
    assert not devices.answered()
    assert devices.status(10).failure == "silent"


def test_a_clock_that_is_set_back_changes_no_age(monkeypatch: pytest.MonkeyPatch) -> None:
    wall = 1_700_000_000.5
    monkeypatch.setattr(time, "time", lambda: wall)
    devices = told(driver(), announce(UTILIZATION, ENERGY), reading(10, 0.5, 100.0))
    assert devices.status(10).last_success == 1_700_000_000
    wall -= 3600
    found = series(devices, 11)
    assert found["gpu_up", ("0", "GPU-0")] == 1
    assert found["gpu_data_age_seconds", ("0", "GPU-0")] == 1
    devices.take(reading(11, 0.5, 101.0))
    assert devices.status(11) == ("nvml", "", 0.001, 1_700_000_000 - 3600, 0)
    assert value(devices, 11, metrics.BUSY_SECONDS) == 0.5
    assert value(devices, 11, metrics.ENERGY) == 101


# Counters


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


def sources(devices: Devices, now: float) -> set[tuple[str, ...]]:
    return {labels[2:] for name, labels in series(devices, now) if name == metrics.SOURCE.name}


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


def test_reasons_are_tokens() -> None:
    devices = told(frames.Failure("driver_not_loaded", "the NVIDIA kernel module is not loaded"))
    assert re.fullmatch(r"[a-z_]+", devices.status(0).failure)


def test_planning_anew_does_not_wait_for_processes_again() -> None:
    devices = told(driver(), announce(UTILIZATION, processes=True), reading(10, 0.5))
    devices.take(reading(10, group="limits"))
    assert not devices.complete()
    devices.take(frames.Processes("GPU-0", []))
    assert devices.complete()
    devices.take(announce(UTILIZATION, PCIE, processes=True))
    assert not devices.complete()
    devices.take(reading(11, 0.5, 7.0))
    assert devices.complete()
