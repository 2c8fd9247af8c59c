"""GPUs whose probe is another one, whose index changes, or that are listed no longer."""

import time

from tests.unit.devices import (
    DOWN,
    ENERGY,
    PCIE,
    TWO,
    UTILIZATION,
    announce,
    both_read,
    driver,
    names,
    reading,
    series,
    told,
    value,
)

from gpuglass.catalogue import device as metrics
from gpuglass.probe import frames


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
