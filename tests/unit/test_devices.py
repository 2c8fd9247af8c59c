"""From frames to series: absent where the card is silent, and only then."""

import re
import time

import pytest
from tests.unit.devices import (
    DOWN,
    ENERGY,
    LIMIT,
    PCIE,
    POWER,
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


def waiting(*calls: tuple[int, str, float]) -> frames.Alive:
    return frames.Alive([frames.Waiting(*call) for call in calls])


def test_calls_that_are_late_are_named() -> None:
    devices = told(*TWO, *both_read(10))
    devices.take(waiting((1, "f", 0.9), (0, "g", 3.25), (-1, "h", 8.0)))
    late = {labels: v for (name, labels), v in series(devices, 10).items() if "waiting" in name}
    assert late == {("0", "GPU-0", "g"): 3.25, ("", "", "h"): 8.0}
    assert devices.suspect(1) == 0
    assert devices.suspect(3.5) is None
    assert devices.troubled(10)
    devices.take(waiting())
    assert not any("waiting" in name for name, _ in series(devices, 10))
    assert devices.suspect(0) is None
    assert not devices.troubled(10)
    devices.take(waiting((0, "g", 3.25)))
    devices.end("probe_silent")
    assert devices.suspect(0) is None


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


def test_reasons_are_tokens() -> None:
    devices = told(frames.Failure("driver_not_loaded", "the NVIDIA kernel module is not loaded"))
    assert re.fullmatch(r"[a-z_]+", devices.status(0).failure)


def test_planning_anew_does_not_wait_for_processes_again() -> None:
    devices = told(driver(), announce(UTILIZATION, processes=True), reading(10, 0.5))
    devices.take(reading(10, group="limits"))
    assert not devices.complete()
    devices.take(frames.Processes("GPU-0", []))
    assert not devices.complete()
    devices.take(reading(10, group="processes"))
    assert devices.complete()
    devices.take(announce(UTILIZATION, PCIE, processes=True))
    assert not devices.complete()
    devices.take(reading(11, 0.5, 7.0))
    assert devices.complete()
