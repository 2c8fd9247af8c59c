"""GPUs that are lost, come, go, change places or tell nonsense; drivers that are replaced."""

import os
import pwd
import time
from pathlib import Path

import pytest
from tests.exporter.conftest import Start
from tests.exporter.process import Counters, Page, Serve, play, shown
from tests.simulator.model import Constant, Gpu, energy_joules
from tests.simulator.presets import PRESETS

OFTEN = ("--probe.interval", "100ms", "--probe.slow-interval", "100ms")
QUIET = ("--no-collector.filesystem", "--no-collector.disk", "--no-collector.network")
# The performance monitor tells nothing of a time that stands still.
FAST = (*OFTEN, *QUIET, "--path.kmsg", "/nonexistent", "--no-collector.gpm")
DOWN = {"gpu_info", "gpu_up", "gpu_data_age_seconds"}
LOADED = "gpus 2 preset=h200\nload gpu=* constant 0.5\n"
HALF = Gpu(PRESETS["h200"], Constant(0.5))
ME = pwd.getpwuid(os.getuid()).pw_name


def up(page: Page) -> list[float]:
    return page.values("gpu_up")


def restarts(page: Page) -> dict[str, float]:
    return {
        sample.labels["cause"]: sample.value
        for sample in page.samples
        if sample.name == "gpuglass_probe_restarts_total" and sample.value
    }


def energy(page: Page, **labels: str) -> float:
    return page.value("gpu_energy_joules_total", **labels)


def near(joules: float) -> object:
    return pytest.approx(joules, abs=2e-3)


class Watch:
    """Looks at every page until something is true: no counter falls, and a GPU stays up."""

    def __init__(self, serve: Serve, *healthy: str) -> None:
        self._serve, self._healthy = serve, healthy
        self._counters = Counters()
        self.page = serve.page()

    def __call__(self, condition: object) -> Page:
        assert callable(condition)

        def look() -> bool:
            self.page = self._counters.take(self._serve.page())
            for gpu in self._healthy:
                assert self.page.values("gpu_up", gpu=gpu) == [1]
                assert self.page.values("gpu_utilization_ratio", gpu=gpu) != []
            return bool(condition(self.page))

        self._serve.wait(look)
        return self.page


def test_a_gpu_that_is_lost_takes_nothing_with_it_and_comes_back(
    start: Start, scenario: Path
) -> None:
    play(scenario, f"freeze 1000\n{LOADED}")
    serve = start(*FAST)
    serve.wait_ready()
    watch = Watch(serve, "0")
    both = watch.page
    play(scenario, f"freeze 1001\n{LOADED}at 0s lost gpu=1\n")
    page = watch(lambda page: up(page) == [1, 0])
    assert shown(page, "1") == DOWN
    assert shown(page, "0") == shown(both, "0")
    assert page.value("gpuglass_collector_failure_info", reason="gpu_is_lost") == 1
    assert page.value("host_memory_total_bytes") > 0
    watch(lambda page: energy(page, gpu="0") == near(energy_joules(HALF, 1001)))
    play(scenario, f"freeze 1005\n{LOADED}")
    page = watch(lambda page: up(page) == [1, 1])
    assert shown(page, "1") == shown(both, "1")
    # The driver has counted on: nothing is lost, and nothing counted twice.
    assert energy(page, gpu="1") == near(energy_joules(HALF, 1005))
    assert restarts(page) == {}


def test_too_few_gpus_at_boot_then_one_comes_and_one_goes(start: Start, scenario: Path) -> None:
    play(scenario, f"{LOADED}at 0s gpu-count 1\n")
    serve = start(*FAST)
    serve.wait_ready()
    watch = Watch(serve, "0")
    assert up(watch.page) == [1]
    play(scenario, LOADED)
    page = watch(lambda page: up(page) == [1, 1])
    assert page.value("gpu_devices") == 2
    assert restarts(page) == {"renewed": 1}
    play(scenario, f"{LOADED}at 0s gpu-count 1\n")
    page = watch(lambda page: page.values("gpu_devices") == [1])
    assert up(page) == [1, 0]
    assert shown(page, "1") == DOWN
    page = watch(lambda page: page.values("gpuglass_collector_failure_info", reason="not_listed"))
    assert restarts(page) == {"renewed": 2}


def test_indexes_that_change_move_labels_not_values(start: Start, scenario: Path) -> None:
    machine = (
        "gpus 2 preset=h200\nload gpu=0 constant 0.8\nload gpu=1 constant 0.2\n"
        f"process pid={os.getpid()} gpu=0 type=compute memory=10GiB sm=40\n"
        "at 1000.5s xid code=79 gpu=1\n"
    )
    high, low = (Gpu(PRESETS["h200"], Constant(load)) for load in (0.8, 0.2))
    play(scenario, f"freeze 1000\n{machine}")
    serve = start(*FAST)
    serve.wait_ready()
    watch = Watch(serve)
    a, b = (
        next(s.labels["uuid"] for s in watch.page.samples if s.labels.get("gpu") == gpu)
        for gpu in ("0", "1")
    )
    play(scenario, f"freeze 1001\n{machine}")
    before = watch(lambda page: page.values("gpu_xid_errors_total", uuid=b) == [1])
    busy = before.value("gpu_busy_seconds_total", uuid=a)
    play(scenario, f"freeze 1002\n{machine}at 0s permute 1,0\n")
    serve.probe().kill()
    watch(lambda page: up(page) == [0, 0])
    page = watch(lambda page: up(page) == [1, 1])
    indexes = {(s.labels["uuid"], s.labels["gpu"]) for s in page.samples if "uuid" in s.labels}
    assert indexes == {(a, "1"), (b, "0")}
    assert energy(page, uuid=a) == near(energy_joules(high, 1002))
    assert energy(page, uuid=b) == near(energy_joules(low, 1002))
    assert page.value("gpu_utilization_ratio", uuid=a) == 0.8
    assert page.value("gpu_busy_seconds_total", uuid=a) >= busy
    assert page.value("gpu_owner_memory_used_bytes", uuid=a, gpu="1", user=ME) == 10 * 2**30
    assert page.values("gpu_owner_processes", uuid=b, user=ME) == []
    used = page.value("gpu_owner_energy_joules_total", uuid=a, user=ME)
    assert used >= before.value("gpu_owner_energy_joules_total", uuid=a, user=ME)
    assert page.values("gpu_xid_errors_total", uuid=b, gpu="0", xid="79") == [1]
    assert page.values("gpu_xid_errors_total", uuid=a) == []


def test_a_driver_that_is_replaced_while_it_is_read(start: Start, scenario: Path) -> None:
    old = f"driver 535.1\n{LOADED}"
    play(scenario, f"freeze 1000\n{old}")
    serve = start(*FAST)
    serve.wait_ready()
    watch = Watch(serve)
    assert watch.page.value("gpu_driver_info", driver_version="535.1") == 1
    new = f"freeze 1003\n{old}at 1001s driver 580.2\nat 1001s reset-counters\n"
    play(scenario, new)
    page = watch(lambda page: page.values("gpu_driver_info", driver_version="580.2"))
    assert page.values("gpu_driver_info", driver_version="535.1") == []
    page = watch(lambda page: up(page) == [1, 1])
    assert len(page.values("gpu_info", driver_version="580.2")) == 2
    # From 0 again at 1001 s; the second before that nobody has read.
    expected = energy_joules(HALF, 1000) + energy_joules(HALF, 2)
    assert energy(page, gpu="0") == energy(page, gpu="1") == near(expected)
    assert restarts(page) == {"renewed": 1}


# What `set` makes the driver say of GPU 1, and what is then not said of it.
NONSENSE = {
    "utilization 137": {"gpu_utilization_ratio"},
    "memory-utilization 255": {"gpu_memory_activity_ratio"},
    "power na": {"gpu_power_watts", "gpu_power_instant_watts"},
    "temperature 4294967000": {"gpu_temperature_celsius core", "gpu_temperature_margin_celsius"},
    "memory-temperature 500": {"gpu_temperature_celsius memory"},
    "memory-used 999999999999999": {
        f"gpu_memory_{which}_bytes" for which in ("total", "used", "free", "reserved")
    },
    "clock 200000": {
        f"gpu_clock_hertz {domain}" for domain in ("graphics", "memory", "sm", "video")
    },
    "pcie-bytes na": {f"gpu_pcie_bytes_total {way}" for way in ("transmit", "receive")},
    "process-memory na": {"gpu_process_memory_used_bytes", "gpu_owner_memory_used_bytes"},
    "energy 999999999999999": set(),
    "process-sm 4000": set(),
}


def facts(page: Page, gpu: str) -> set[str]:
    more = ("sensor", "domain", "direction")
    return {
        " ".join([s.name, *(s.labels[name] for name in more if name in s.labels)])
        for s in page.samples
        if s.labels.get("gpu") == gpu and s.name.startswith("gpu_")
    }


def test_values_that_cannot_be_true_are_left_out(start: Start, scenario: Path) -> None:
    owner = f"process pid={os.getpid()} gpu=1 type=compute memory=10GiB sm=40\n"
    play(scenario, f"freeze 1000\n{LOADED}{owner}")
    serve = start(*FAST)
    serve.wait_ready()
    watch = Watch(serve, "0")
    before = watch.page
    busy = before.value("gpu_busy_seconds_total", gpu="1")
    faults = "".join(f"at 0s set {what} gpu=1\n" for what in NONSENSE)
    play(scenario, f"freeze 1001\n{LOADED}{owner}{faults}")
    missing = set[str]().union(*NONSENSE.values())
    page = watch(lambda page: facts(before, "1") - facts(page, "1") == missing)
    assert facts(page, "0") == facts(before, "0")
    assert up(page) == [1, 1]
    assert page.values("gpu_process_sm_utilization_ratio", gpu="1") in ([0.4], [0])
    # Nor is it counted: neither while it lasts, nor when it is over.
    known = energy_joules(HALF, 1000)
    assert energy(page, gpu="1") == near(known)
    time.sleep(0.5)
    assert serve.page().value("gpu_busy_seconds_total", gpu="1") < busy + 1
    play(scenario, f"freeze 1002\n{LOADED}{owner}")
    page = watch(lambda page: facts(page, "1") == facts(before, "1"))
    assert energy(page, gpu="1") == near(known)
    play(scenario, f"freeze 1004\n{LOADED}{owner}")
    watch(lambda page: energy(page, gpu="1") == near(known + energy_joules(HALF, 2)))
    # It may have been read just before the scenario was.
    watch(lambda page: energy(page, gpu="0") == near(energy_joules(HALF, 1004)))


def test_a_clock_that_is_set_back_an_hour(start: Start, scenario: Path) -> None:
    """Samples are dated by the wall clock: the new ones are older than those seen before."""
    work = f"{LOADED}process pid={os.getpid()} gpu=1 type=compute memory=10GiB sm=40\n"
    play(scenario, work)
    serve = start(*FAST)
    serve.wait_ready()
    watch = Watch(serve, "0", "1")
    for fault in ("at 0s set time-back 3600\n", ""):  # back, and right again
        before = watch.page
        watch(lambda page: page.value("gpu_process_sm_utilization_ratio") == 0.4)
        play(scenario, work + fault)
        began, busy = time.monotonic(), before.values("gpu_busy_seconds_total")
        time.sleep(6)
        page = watch(lambda page: page.value("gpu_process_sm_utilization_ratio") == 0.4)
        passed = time.monotonic() - began
        assert shown(page, "0") == shown(before, "0")
        for then, now in zip(busy, page.values("gpu_busy_seconds_total"), strict=True):
            # A moment may be counted twice, or not at all, when the times jump.
            assert 0.5 * (passed - 3) < now - then < 0.5 * (passed + 4)
        assert page.values("gpu_utilization_peak_ratio") == [0.5, 0.5]
    assert restarts(watch.page) == {}


# XIDs


def xids(page: Page) -> dict[tuple[str, str], float]:
    return {
        (s.labels["gpu"], s.labels["xid"]): s.value
        for s in page.samples
        if s.name == "gpu_xid_errors_total"
    }


def test_a_storm_of_xids_is_counted_to_the_last(start: Start, scenario: Path) -> None:
    begin = time.time()
    machine = f"start {begin:.3f}\n{LOADED}"
    play(scenario, machine)
    serve = start(*FAST)
    serve.wait_ready()
    serve.wait(lambda: bool(serve.page().values("gpuglass_xid_source_info", source="nvml_events")))
    watch = Watch(serve, "0", "1")
    cpu = sum(serve.probe().cpu_times()[:2])
    soon = time.time() - begin + 0.5
    storm = f"at {soon}s xid code=31 count=10000 gpu=0\nat {soon}s xid code=79 gpu=1\n"
    play(scenario, machine + storm)
    watch(lambda page: xids(page) == {("0", "31"): 10_000, ("1", "79"): 1})
    assert sum(serve.probe().cpu_times()[:2]) - cpu < 10
    assert restarts(watch.page) == {}


def test_xids_of_the_others_are_counted_while_a_gpu_is_lost(start: Start, scenario: Path) -> None:
    """Waiting for events fails at once then, each time: that must not become a busy loop."""
    play(scenario, f"{LOADED}at 0s every 1s xid code=13 gpu=0\n")
    serve = start(*FAST)
    serve.wait(lambda: xids(serve.page()).get(("0", "13"), 0) >= 1)
    play(scenario, f"{scenario.read_text()}at 0s lost gpu=1\n")
    watch = Watch(serve, "0")
    before = xids(watch(lambda page: up(page) == [1, 0]))["0", "13"]
    cpu, begin = sum(serve.probe().cpu_times()[:2]), time.monotonic()
    watch(lambda page: xids(page)["0", "13"] >= before + 6)
    used = sum(serve.probe().cpu_times()[:2]) - cpu
    assert used < 0.3 * (time.monotonic() - begin)
