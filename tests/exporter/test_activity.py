"""What happens between two scrapes is on the page: bursts, and instances that come and go."""

import time
from pathlib import Path

import pytest
from tests.exporter.conftest import Start
from tests.exporter.process import Counters, Page, Serve, play
from tests.exporter.test_probe_process import ALONE
from tests.simulator.model import power_watts
from tests.simulator.presets import PRESETS

LOADED = "gpus {gpus}\nload gpu=* constant 0.5\n"


def source(page: Page, metric: str, **labels: str) -> list[str]:
    return [
        sample.labels["source"]
        for sample in page.samples
        if sample.name == "gpu_source_info"
        and sample.labels["metric"] == metric
        and labels.items() <= sample.labels.items()
    ]


def instances(page: Page) -> list[str]:
    return [
        f"{sample.labels['gpu_instance']} {sample.labels['profile']}"
        for sample in page.samples
        if sample.name == "gpu_mig_memory_used_bytes"
    ]


def test_a_burst_between_two_scrapes(start: Start, scenario: Path) -> None:
    """With everything as users have it, and 15 s between two scrapes."""
    begin = time.time()
    play(
        scenario,
        f"gpus 1 preset=h200\nload gpu=0 idle\nstart {begin - 100:.3f}\n"
        "at 108.01s for 200ms load 1 gpu=0\n",
    )
    serve = start(*ALONE)
    serve.wait_ready()
    before = serve.page()
    assert time.time() < begin + 8
    assert before.value("gpu_utilization_peak_ratio") == 0
    time.sleep(15)
    after = serve.page()
    for name, load in (("gpu_busy_seconds_total", 1), ("gpu_memory_activity_seconds_total", 0.6)):
        assert after.value(name) - before.value(name) == pytest.approx(0.2 * load, abs=0.021)
        assert source(after, name) == ["buffers"]
    # None of the 15 readings need have met it.
    assert after.value("gpu_utilization_peak_ratio") == 1
    assert after.value("gpu_memory_activity_peak_ratio") == 0.6
    assert after.value("gpu_power_peak_watts") == power_watts(PRESETS["h200"], 1)
    assert 0 < after.value("gpu_utilization_mean_ratio") < 0.05
    active = "gpu_sm_active_seconds_total"
    assert after.value(active) - before.value(active) == pytest.approx(0.2 * 0.8, abs=0.02)


def test_counters_survive_the_probe(start: Start, scenario: Path) -> None:
    play(scenario, f"{LOADED.format(gpus='2 preset=h200')}pcie-counter-bits 32\n")
    serve = start("--probe.interval", "100ms", *ALONE)
    serve.wait_ready()
    counters = Counters()
    names = (
        *("gpu_busy_seconds_total", "gpu_memory_activity_seconds_total"),
        *("gpu_sm_active_seconds_total", "gpu_dram_active_seconds_total", "gpu_pcie_bytes_total"),
    )

    def totals() -> dict[str, list[float]]:
        page = counters.take(serve.page())
        return {name: page.values(name, gpu="1") for name in names}

    def wait_for_more(before: dict[str, list[float]]) -> None:
        serve.wait(
            lambda: all(values and values[0] > before[name][0] for name, values in totals().items())
        )

    wait_for_more(totals())
    for _ in range(2):
        before, moment = totals(), time.monotonic()
        serve.probe().kill()
        serve.wait(lambda: totals()["gpu_busy_seconds_total"] == [])
        wait_for_more(before)
        after, passed = totals(), time.monotonic() - moment
        for name, rate in zip(names, (0.5, 0.3, 0.4, 0.225, 2.5e9), strict=True):
            assert after[name][0] - before[name][0] <= rate * (passed + 0.5), name


def test_pcie_bytes_where_the_drivers_counters_may_wrap(start: Start, scenario: Path) -> None:
    play(
        scenario,
        "gpus 3 preset=h200\ngpu 1 preset=a100\ngpu 2 preset=b200\nload gpu=* constant 0.5\n"
        "pcie-counter-bits 32\n",
    )
    serve = start("--probe.interval", "100ms", *ALONE)
    serve.wait_ready()

    def sent() -> list[float]:
        return serve.page().values("gpu_pcie_bytes_total", gpu="0", direction="transmit")

    serve.wait(lambda: bool(sent()) and sent()[0] > 0)
    before, moment = sent()[0], time.monotonic()
    time.sleep(2)
    rate = (sent()[0] - before) / (time.monotonic() - moment)
    assert rate == pytest.approx(0.5 * PRESETS["h200"].pcie_tx_bytes, rel=0.2)
    page = serve.page()
    assert source(page, "gpu_pcie_bytes_total", gpu="0") == ["gpm"]
    # Ampere has no monitor.
    assert source(page, "gpu_pcie_bytes_total", gpu="1") == ["absent"]
    assert page.values("gpu_pcie_bytes_total", gpu="1") == []
    assert page.value("gpu_capability", gpu="1", group="gpm", why="not_supported") == 0


def test_instances_come_and_go(start: Start, scenario: Path) -> None:
    one = "gpus 2 preset=h200\nload gpu=* constant 0.5\n"
    seven = f"{one}mig gpu=0 profile=1g.18gb count=7\nmig gpu=1 profile=7g.141gb\n"
    play(scenario, seven)
    serve = start("--probe.interval", "100ms", "--probe.slow-interval", "200ms", *ALONE)
    serve.wait_ready()
    probe = serve.probe().pid
    counters = Counters()

    def wait_for(*expected: str) -> Page:
        serve.wait(lambda: sorted(instances(counters.take(serve.page()))) == sorted(expected))
        return serve.page()

    page = wait_for(*(f"{7 + number} 1g.18gb" for number in range(7)), "0 7g.141gb")
    assert len(page.values("gpu_mig_info", gpu="0")) == 7
    serve.wait(lambda: serve.page().values("gpu_mig_sm_active_ratio", gpu="0") == [0.4] * 7)
    play(scenario, seven.replace("profile=1g.18gb count=7", "profile=3g.71gb count=2"))
    page = wait_for("1 3g.71gb", "2 3g.71gb", "0 7g.141gb")
    assert page.value("gpu_power_watts", gpu="0") > 0
    serve.wait(
        lambda: (
            serve.page().values("gpu_mig_sm_active_ratio", gpu="0", profile="3g.71gb") == [0.4] * 2
        )
    )
    assert serve.page().values("gpu_mig_sm_active_ratio", profile="1g.18gb") == []
    play(scenario, one)
    serve.wait(lambda: serve.page().values("gpu_mig_info") == [])
    page = wait_for()
    off = page.values("gpu_capability", group="mig", why="mig_off")
    assert off == [0, 0]
    assert serve.probe().pid == probe
    assert sum(page.values("gpuglass_probe_restarts_total")) == 0


def test_groups_can_be_switched_off(start: Start) -> None:
    off = ("--no-collector.samples", "--no-collector.gpm", "--no-collector.mig")
    serve: Serve = start(*off, *ALONE)
    serve.wait_ready()
    page = serve.page()
    assert page.values("gpu_power_peak_watts") == []
    assert page.values("gpu_capability", group="samples") == []
    assert set(source(page, "gpu_busy_seconds_total")) == {"sampled"}
