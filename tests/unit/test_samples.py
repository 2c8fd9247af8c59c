"""What the driver's buffers tell of the time between two readings, on the stand-in driver."""

from pathlib import Path
from typing import Any

import pytest
from tests.simulator import model
from tests.simulator.model import Constant, Gpu, Window
from tests.simulator.presets import PRESETS
from tests.unit.driver import run

BURST = "gpus 1 preset={preset}\nload gpu=0 constant 0.1\nat 100.41s for 200ms load 1 gpu=0\n"
GPU = Gpu(PRESETS["h200"], Constant(0.1), overrides=(Window(100.41, 0.2, load=1.0),))
READ = """
from gpuglass.probe import buffers
buffers._SPARE = 0  # the scenario's time goes by in no time
text = scenario.read_text()
plan = AnyPlan(Library(), Library().device(0), asked(1.0, "samples"))
def at(moment):
    play(text.replace("freeze 100", f"freeze {moment}"))
    return show(plan)
columns = plan.columns["samples"]
sources = {column.metric: column.source for column in columns}
"""
CALL = "at 0s error call=nvmlDeviceGetSamples code={code}\n"


def burst(preset: str = "h200") -> str:
    return "freeze 100\n" + BURST.format(preset=preset)


def watts(load: float) -> float:
    return model.power_at_load(GPU, load) / 1000


def test_a_burst_between_two_readings_is_seen_and_counted(simulator: Path, scenario: Path) -> None:
    code = READ + "tell(before=show(plan), during=at(100.3), after=at(101))"
    told = run(simulator, scenario, burst(), code)
    before, during, after = told["before"], told["during"], told["after"]
    assert before["gpu_busy_seconds_total"] == 0
    assert during["gpu_busy_seconds_total"] == 0.03
    assert during["gpu_utilization_peak_ratio"] == during["gpu_utilization_mean_ratio"] == 0.1
    assert during["gpu_power_peak_watts"] == watts(0.1)
    # Ten samples stand for 20 ms each.
    assert after["gpu_busy_seconds_total"] == pytest.approx(0.2 + 0.8 * 0.1)
    assert after["gpu_memory_activity_seconds_total"] == pytest.approx(0.2 * 0.6 + 0.8 * 0.06)
    assert after["gpu_utilization_peak_ratio"] == 1
    assert after["gpu_memory_activity_peak_ratio"] == 0.6
    assert after["gpu_power_peak_watts"] == watts(1)
    # The buffer holds 119 steps of 20 ms at the first reading, and then comes 1 s.
    seconds = 119 * 0.02 + 1
    mean = (0.2 * watts(1) + (seconds - 0.2) * watts(0.1)) / seconds
    assert after["gpu_power_mean_watts"] == pytest.approx(mean)
    idle, busy = model.sm_clock_mhz(GPU, 100), model.sm_clock_mhz(GPU, 100.5)
    assert after["gpu_clock_peak_hertz sm"] == idle * 1e6
    mean = (0.2 * busy + (seconds - 0.2) * idle) / seconds * 1e6
    assert after["gpu_clock_mean_hertz sm"] == pytest.approx(mean)
    assert after["gpu_clock_peak_hertz memory"] == model.memory_clock_mhz(GPU, 100) * 1e6


def test_engines_are_counted(simulator: Path, scenario: Path) -> None:
    text = burst("l40s") + "gpu 0 encoder=0.2 decoder=0.4\n"
    told = run(simulator, scenario, text, READ + "tell(values=at(101), sources=sources)")
    for engine, factor in (("encoder", 0.2), ("decoder", 0.4)):
        seconds = told["values"][f"gpu_engine_busy_seconds_total {engine}"]
        assert seconds == pytest.approx(0.2 * factor + 0.8 * factor * 0.1)
    counters = ("gpu_busy_seconds_total", "gpu_memory_activity_seconds_total")
    for metric in (*counters, "gpu_engine_busy_seconds_total"):
        assert told["sources"][metric] == "buffers"


@pytest.mark.parametrize("clock", ["unix", "boot"])
def test_the_clock_of_the_samples_does_not_matter(
    simulator: Path, scenario: Path, clock: str
) -> None:
    text = f"{burst()}sample-clock {clock}\n"
    told = run(simulator, scenario, text, READ + "tell(values=at(101))")
    assert told["values"]["gpu_busy_seconds_total"] == pytest.approx(0.28)


def test_a_clock_that_jumps(simulator: Path, scenario: Path) -> None:
    code = "moments = 101, 50, 51, 2000, 2000.5\n"
    code += 'tell(values=[at(moment)["gpu_busy_seconds_total"] for moment in moments])'
    values = run(simulator, scenario, burst(), READ + code)["values"]
    assert values == sorted(values)
    assert values[0] == pytest.approx(0.28)
    # What lies behind is not counted, and of a jump ahead only what the buffer holds, if at all.
    assert values[2] == values[0]
    assert values[3] - values[2] <= 0.1 * 119 * 0.02
    assert values[4] - values[3] == pytest.approx(0.05)


@pytest.mark.parametrize("code", ["not_supported", "no_permission", "function_not_found"])
def test_without_buffers_the_recent_past_is_that_of_our_readings(
    simulator: Path, scenario: Path, code: str
) -> None:
    told = run(
        simulator,
        scenario,
        burst() + CALL.format(code=code),
        READ + "tell(begin=show(plan), values=at(100.5), refused=plan.refused, sources=sources)",
    )
    assert told["refused"] == {}
    assert not [metric for metric in told["sources"] if metric.endswith("_total")]
    assert told["begin"]["gpu_utilization_peak_ratio"] == 0.1
    # The load's present value, for all the time since the reading before.
    values = told["values"]
    assert values["gpu_utilization_peak_ratio"] == 1
    assert 0.9 < values["gpu_utilization_mean_ratio"] <= 1
    assert values["gpu_clock_peak_hertz sm"] == model.sm_clock_mhz(GPU, 100) * 1e6
    assert values["gpu_power_peak_watts"] == model.power_usage_milliwatts(GPU, 100.5) / 1000


def test_a_card_in_mig_mode_has_no_utilisation(simulator: Path, scenario: Path) -> None:
    text = "freeze 100\ngpus 1 preset=h200\nmig gpu=0 profile=1g.18gb\n"
    told = run(simulator, scenario, text, READ + "tell(values=at(101), all=plan.refused)")
    assert {name.split()[0] for name in told["values"]} == {
        *("gpu_power_mean_watts", "gpu_power_peak_watts"),
        *("gpu_clock_mean_hertz", "gpu_clock_peak_hertz"),
    }


def test_a_driver_that_fails_for_now(simulator: Path, scenario: Path) -> None:
    code = f"text += {CALL.format(code='timeout')!r}\ntell(during=at(100.3))"
    during: dict[str, Any] = run(simulator, scenario, burst(), READ + code)["during"]
    assert set(during.values()) == {None}
