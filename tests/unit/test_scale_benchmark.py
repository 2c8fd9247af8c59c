"""The benchmark of scale: what stands in for many nodes, and what its report makes of figures."""

import itertools
import math
import re

import pytest
from tests.bench.dashboards.part import Timed
from tests.bench.scale.load import Group, Load, Use
from tests.bench.scale.page import NAME, Page
from tests.bench.scale.part import QUICK, Results, Seen, Step
from tests.bench.scale.report import render
from tests.bench.scale.rollups import Rolled
from tests.bench.storage.programs import Size

UUID = "GPU-06c45d18-8009-454f-7b9b-825cfade0@@@"
LABELS = f'{{node="{NAME}",uuid="{UUID}"}}'
PAGES = [
    f"# TYPE gpu_power_watts gauge\ngpu_power_watts{LABELS} {300 + second}.5\n"
    f"gpu_energy_joules_total{LABELS} {1000 + 300 * second}.25\n"
    for second in range(10)
]


def values(page: bytes) -> list[float]:
    return [float(value) for value in re.findall(r" (\S+)$", page.decode(), re.MULTILINE)[1:]]


def test_each_node_has_names_of_its_own() -> None:
    page = Page(PAGES)
    assert page.samples == 2
    shown = page.of(7, 100).decode()
    assert shown.count('node="node-007"') == shown.count('fade0007"') == 2
    assert "@" not in shown and shown.startswith("# TYPE")


def test_counters_go_on_and_gauges_begin_again() -> None:
    page = Page(PAGES)
    gauges, counters = zip(*(values(page.of(0, second)) for second in range(100, 140)), strict=True)
    assert set(gauges) == {300.5 + second for second in range(10)}
    assert {after - before for before, after in itertools.pairwise(counters)} == {300}
    # A later node is some seconds behind.
    assert values(page.of(3, 113)) == values(page.of(0, 110))


def test_what_is_stored_of_the_past_is_the_same_series() -> None:
    labels = {frozenset(series) for series in Page(PAGES).recording().series}
    expected = {"job": "gpu", "node": NAME, "uuid": UUID}
    assert frozenset({**expected, "__name__": "gpu_power_watts"}.items()) in labels
    assert frozenset({"job": "gpu", "node": NAME, "__name__": "up"}.items()) in labels


@pytest.mark.parametrize("text", ["0@5", "10", "1001@5", "10@61", "x@5"])
def test_a_step_is_refused_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="NODES@SECONDS"):
        Step.of(text)


def seen(step: Step, made: float, missed: float, milliseconds: float, each: float) -> Seen:
    use = {"vmagent": Use(0.5, 100), "stand-in exporters": Use(0.25, 50)}
    groups = [Group("xids", 1.5, 5.0, missed)]
    load = Load(6000.0, 60_000, made, 1.0, 0.1, 0.0, use, 0.0, groups, 0.0)
    panels = [Timed("board: panel", "A", [milliseconds], 1, False)]
    rolled = Rolled(50, 10, each * 500, 9.0, "")
    return Seen(step, 1.0, load, rolled, Rolled(50, 1, 0.0, 1.0, ""), panels, Size(100, 40, 10))


def test_the_report_tells_what_breaks_first() -> None:
    well = seen(Step.of("100@5"), 1.0, 0.0, 20.0, 0.1)
    ill = seen(Step.of("500@10"), 0.9, 2.0, math.inf, 0.2)
    text = render(Results(3000, [well, ill]), QUICK, "command")
    assert "| 100 nodes, 5 s | held | held | held | held | held |" in text
    broken = "90.0% of the scrapes | held | 2 evaluations left out, 0 failed | 100 s for a minute"
    assert f"| 500 nodes, 10 s | {broken} | refused |" in text
    assert "What breaks first: scrapes, rules, rollups, panels, at 500 nodes, 10 s." in text
    assert "| 500 nodes, 10 s | 0.400 | 5.2 | 0 |" in text
    assert "| 0.50, 100 | 0.25, 50 | 0.50, 100 | 0.53 |" in text


def test_the_report_tells_of_rollups_that_fail() -> None:
    one = seen(Step.of("60@5"), 1.0, 0.0, 20.0, 0.1)
    failed = one._replace(minutes=Rolled(0, 10, 65.0, 9.0, "exceeded"))
    text = render(Results(3000, [failed]), QUICK, "command")
    assert "| 60 nodes, 5 s | held | held | held | they fail | held |" in text
    assert "60 nodes, 5 s, tier of 1m: exceeded" in text
