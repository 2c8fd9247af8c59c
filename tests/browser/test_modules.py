"""Parts of the live page on their own, with facts that an exporter seldom has."""

from typing import Any

import pytest
from playwright.sync_api import Page as Tab
from tests.browser.conftest import EXPORTER, Open
from tests.exporter.conftest import Start

# Seconds of the kept points' age, when they are told; then what comes: a time and a value.
LINE = """
async ([ages, now, later]) => {
  const { History } = await import("/static/history.js");
  const history = new History();
  const points = { age: ages, gpu_power_watts: ages.map((age) => now - age) };
  history.merge(points, now, 1);
  for (const [time, value] of later) history.add(time, { gpu_power_watts: value }, 1);
  return history.times.map((time, index) => [time, history.values.gpu_power_watts[index]]);
}
"""
TROUBLES = """
async (metrics) => {
  const [{ troubles }, { views }] = await Promise.all(
    ["attention", "facts"].map((name) => import(`/static/${name}.js`)));
  const known = { gpu_up: 1, ...metrics };
  const gpu = { gpu: "3", uuid: "GPU-3", metrics: known, processes: [], owners: [] };
  const snapshot = { time: 1, metrics: {}, gpus: [gpu], xids: {} };
  return troubles(snapshot, views(snapshot)).map(({ level, text }) => [level, text]);
}
"""


@pytest.fixture
def tab(start: Start, open_page: Open) -> Tab:
    serve = start(*EXPORTER)
    serve.wait_ready()
    return open_page(serve)


def test_lines_break_where_nothing_was_read(tab: Tab) -> None:
    def line(*given: Any) -> list[Any]:
        points: list[Any] = tab.evaluate(LINE, list(given))
        return points

    # Of what the exporter has kept, between that and what comes, and of what comes.
    kept = [[80, 80], [81, 81], [82, None], [90, 90]]
    assert line([20, 19, 10], 100, []) == kept
    assert line([20, 19, 10], 100, [[91, 9]]) == [*kept, [91, 9]]
    assert line([20, 19, 10], 100, [[100, 9]]) == [*kept, [91, None], [100, 9]]
    # A clock that is set back begins anew; one that wavers does not.
    assert line([2, 1], 100, [[40, 4], [41, 5]]) == [[40, 4], [41, 5]]
    assert line([2, 1], 100, [[98.9, 4], [100, 5]]) == [[98, 98], [99, 99], [100, 5]]


def test_heat_is_told_by_where_the_card_slows_down(tab: Tab) -> None:
    def told(core: int) -> list[Any]:
        metrics = {
            "gpu_temperature_celsius": {"core": core},
            "gpu_temperature_limit_celsius": {"gpu_max": 87, "slowdown": 90},
        }
        found = tab.evaluate(TROUBLES, metrics)
        return [[level, " ".join(text.split())] for level, text in found]

    assert told(86) == []
    assert told(88) == [["warn", "has 88 °C, close to where it slows down (90 °C)"]]
    assert told(90) == [["bad", "has 90 °C: so hot that it slows down (90 °C)"]]
