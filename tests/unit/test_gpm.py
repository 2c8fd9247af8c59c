"""The performance monitor, on the stand-in driver: means over exactly the time between readings."""

from pathlib import Path
from typing import Any

import pytest
from tests.simulator import model
from tests.simulator.model import Gpu, Wave
from tests.simulator.presets import PRESETS
from tests.unit.driver import run

SCENARIO = """\
freeze 100
gpus 1 preset=h200
gpu 0 decoder=0.4
load gpu=0 wave min=0.1 max=0.9 period=7s phase=0.25
"""
GPU = Gpu(PRESETS["h200"], Wave(0.1, 0.9, 7, 0.25))
RUNNING = "gpus 1 preset={preset}\nload gpu=0 constant 0.5\n"
READ = """
import gc
from gpuglass.probe import monitor
text = scenario.read_text()
plan = AnyPlan(Library(), Library().device(0), asked(1.0, "gpm"))
def at(moment):
    play(text.replace("freeze 100", f"freeze {moment}"))
    return show(plan)
"""
PIPES = {
    **{"tensor": 5, "tensor_dfma": 6, "tensor_hmma": 7, "tensor_dmma": 8, "tensor_imma": 9},
    **{"fp64": 11, "fp32": 12, "fp16": 13, "integer": 4},
}
ENGINES = {f"gpu_engine_active_ratio decoder {number}" for number in range(7)}


def expected(first: float, second: float) -> dict[str, float]:
    def percent(metric: int) -> float:
        return model.gpm_percent(GPU, metric, first, second) / 100

    def rate(bytes_per_second: float) -> float:
        return model.gpm_mib_per_second(GPU, bytes_per_second, first, second) * model.MIB

    preset = GPU.preset
    nvlink = rate(1024 * preset.nvlink_kib * preset.nvlink_links)
    return {
        "gpu_graphics_active_ratio": percent(1),
        "gpu_sm_active_ratio": percent(2),
        "gpu_sm_occupancy_ratio": percent(3),
        "gpu_dram_active_ratio": percent(10),
        **{f"gpu_pipe_active_ratio {pipe}": percent(metric) for pipe, metric in PIPES.items()},
        **dict.fromkeys(ENGINES, model.gpm_engine_percent(GPU, 0.4, first, second) / 100),
        "gpu_pcie_bytes_per_second transmit": rate(preset.pcie_tx_bytes),
        "gpu_pcie_bytes_per_second receive": rate(preset.pcie_rx_bytes),
        "gpu_nvlink_bytes_per_second transmit": nvlink,
        "gpu_nvlink_bytes_per_second receive": nvlink,
    }


def test_values_are_means_since_the_reading_before(simulator: Path, scenario: Path) -> None:
    code = READ + "tell(first=at(101.5), second=at(103), again=show(plan))"
    told = run(simulator, scenario, SCENARIO, code)
    for values, times in ((told["first"], (100, 101.5)), (told["second"], (101.5, 103))):
        for name, value in expected(*times).items():
            assert values[name] == pytest.approx(value, rel=1e-9), name
    # Too early for another: those of the last time, which still are the latest.
    assert told["again"] == told["second"]


def test_what_a_card_lacks_is_not_asked_again(simulator: Path, scenario: Path) -> None:
    told = run(simulator, scenario, RUNNING.format(preset="h200"), READ + "tell(values=show(plan))")
    values = told["values"]
    others = {name for name in values if name.startswith("gpu_engine_active_ratio")} - ENGINES
    assert others == {
        *(f"gpu_engine_active_ratio jpeg {number}" for number in range(7)),
        "gpu_engine_active_ratio ofa 0",
    }
    assert values.keys() - others == expected(0, 1).keys()
    assert values["gpu_sm_active_ratio"] == pytest.approx(0.4)
    assert None not in values.values()


def test_what_only_some_cards_have(simulator: Path, scenario: Path) -> None:
    seen = {}
    for preset in ("gh200", "b200"):
        code = READ + "tell(values=show(plan))"
        values = run(simulator, scenario, RUNNING.format(preset=preset), code)["values"]
        seen[preset] = {
            name: value
            for name, value in values.items()
            if name.split(" ")[0] in ("gpu_c2c_bytes_per_second", "gpu_cache_hit_ratio")
        }
    # Ten links of 44,712 MB/s, three tenths of which a full load fills.
    payload = pytest.approx(0.5 * 0.3 * 10 * 44_712e6)
    assert seen == {
        "gh200": {
            "gpu_c2c_bytes_per_second transmit": payload,
            "gpu_c2c_bytes_per_second receive": payload,
            "gpu_cache_hit_ratio host": 0.9,
        },
        "b200": {"gpu_cache_hit_ratio peer": 0.8, "gpu_cache_hit_ratio device": 0.4},
    }


@pytest.mark.parametrize("preset", ["a100", "l40s", "rtx4090"])
def test_a_card_without_a_monitor(simulator: Path, scenario: Path, preset: str) -> None:
    code = READ + "tell(values=show(plan), refused=plan.refused)"
    told = run(simulator, scenario, RUNNING.format(preset=preset), code)
    assert told == {"values": {}, "refused": {"gpm": "not_supported"}}


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("at 0s error call=nvmlGpmSampleGet code=no_permission", "no_permission"),
        ("at 0s error call=nvmlGpmMetricsGet code=no_permission", "no_permission"),
        ("at 0s error call=nvmlGpmQueryDeviceSupport code=not_supported", "not_supported"),
        ("missing nvmlGpmQueryDeviceSupport", "function_not_found"),
        ("missing nvmlGpmMetricsGet", "function_not_found"),
    ],
)
def test_why_it_is_refused(simulator: Path, scenario: Path, more: str, why: str) -> None:
    code = READ + "tell(values=show(plan), refused=plan.refused)"
    told = run(simulator, scenario, f"{RUNNING.format(preset='h200')}{more}\n", code)
    assert told == {"values": {}, "refused": {"gpm": why}}


@pytest.mark.parametrize("call", ["nvmlGpmSampleGet", "nvmlGpmMetricsGet"])
def test_a_call_that_fails_for_now(simulator: Path, scenario: Path, call: str) -> None:
    fault = f"at 0s error call={call} code=timeout\n"
    code = f"""{READ}
begin = at(101)
text += {fault!r}
during = at(102)
text = text.replace("timeout", "timeout gpu=0").replace("at 0s error", "at 900s error")
tell(begin=begin, during=during, after=at(103))
"""
    told = run(simulator, scenario, SCENARIO, code)
    assert set(told["during"].values()) == {None}
    first = 101 if call == "nvmlGpmSampleGet" else 102
    for name, value in expected(first, 103).items():
        assert told["after"][name] == pytest.approx(value, rel=1e-9), name


def test_it_may_fail_for_now_from_the_start(simulator: Path, scenario: Path) -> None:
    fault = "at 0s for 101s error call=nvmlGpmSampleGet code=timeout\n"
    code = READ + "tell(seed=at(101), values=at(102))"
    told = run(simulator, scenario, SCENARIO + fault, code)
    assert set(told["seed"].values()) == {None}
    assert told["values"]["gpu_sm_active_ratio"] == pytest.approx(
        expected(101, 102)["gpu_sm_active_ratio"]
    )


def test_a_pause_that_is_too_long_is_no_present(simulator: Path, scenario: Path) -> None:
    code = f"""{READ}
monitor._LONGEST_SECONDS = 0.5
before = at(101)
time.sleep(0.5)
tell(before=before, seed=at(102), after=at(103))
"""
    told = run(simulator, scenario, SCENARIO, code)
    assert set(told["seed"].values()) == {None}
    for name, value in expected(102, 103).items():
        assert told["after"][name] == pytest.approx(value, rel=1e-9), name


def test_what_cannot_be_true_is_absent(simulator: Path, scenario: Path) -> None:
    code = """
import ctypes, pynvml
from gpuglass.probe.monitor import Measure, Monitor
from gpuglass.probe.frames import Column
library = Library()
freed = []
class Absurd:
    def function(self, symbol):
        return {
            "nvmlGpmSampleAlloc": lambda sample: 0,
            "nvmlGpmSampleFree": lambda sample: freed.append(sample) or 0,
            "get": lambda *arguments: 0,
            "nvmlGpmMetricsGet": self.measure,
        }[symbol]
    def call(self, symbol, *arguments):
        self.function(symbol)(*arguments)
    def measure(self, request):
        for metric, value in zip(request._obj.metrics, self.values):
            metric.value, metric.nvmlReturn = value, 0
        return 0
driver = Absurd()
measures = [Measure(id, Column(str(id))) for id in range(5)] + [Measure(5, Column("5"), 0.5, 8)]
monitor = Monitor(driver, measures, "get", None)
def read(*values):
    driver.values = values
    time.sleep(0.11)
    return monitor.read()
seed = read()
values = read(100.4, -1, 102, float("nan"), 37, 7)
del monitor
tell(seed=seed, values=values, freed=len(freed))
"""
    told: dict[str, Any] = run(simulator, scenario, SCENARIO, code)
    assert told["seed"] == [None] * 6
    assert told["values"] == [1, None, None, None, 0.37, 14]
    assert told["freed"] == 2


def test_a_driver_that_does_not_know_the_later_measures(simulator: Path, scenario: Path) -> None:
    """It may refuse them one by one, or all that are asked with them."""
    code = (
        """
real = Library.function
def function(self, symbol):
    found = real(self, symbol)
    if symbol != "nvmlGpmMetricsGet":
        return found
    def measure(request):
        asked = request._obj
        if any(metric.metricId >= 98 for metric in asked.metrics[: asked.numMetrics]):
            return 2
        return found(request)
    return measure
Library.function = function
"""
        + READ
    )
    told = run(simulator, scenario, RUNNING.format(preset="h200"), code + "tell(values=show(plan))")
    assert told["values"].keys() >= expected(0, 1).keys()
    assert told["values"]["gpu_sm_active_ratio"] is None
