"""Tests ask as Grafana asks, and the past that they make is what must have been."""

import json

import pytest
from tests.dashboards.interpolation import Range, Raw, Step, Value, interpolate
from tests.dashboards.past import Past, Recorded

END = 1_700_000_000.0
HOUR, DAY = 3600, 86400


@pytest.mark.parametrize(
    ("seconds", "scrape", "interval", "rate_interval"),
    [
        (HOUR, 5, "5s", "20s"),
        (HOUR, 60, "60s", "240s"),
        (6 * HOUR, 5, "20s", "25s"),
        (2 * DAY, 60, "120s", "240s"),
        (30 * DAY, 3600, "3600s", "14400s"),
        (365 * DAY, 3600, "21600s", "25200s"),
    ],
)
def test_intervals(seconds: int, scrape: float, interval: str, rate_interval: str) -> None:
    values = Step(Range(END - seconds, END), scrape).values
    assert (values["__interval"], values["__rate_interval"]) == (interval, rate_interval)
    assert (values["__range"], values["__range_s"]) == (f"{seconds}s", f"{seconds}")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ('up{node="$one"}', r'up{node="a.b+c"}'),
        ('up{node=~"$several"}', r'up{node=~"(a\\.b\\+c|d)"}'),
        ('up{node=~"$alone"}', r'up{node=~"a\\.b"}'),
        ('up{node=~"$all"}', 'up{node=~".*"}'),
        ("${several:pipe} ${several:csv} [[one]]", "a.b+c|d a.b+c,d a.b+c"),
        ("name${max}{}", "name:max{}"),
        ("${__from:date:seconds} $__to", f"{END - HOUR:.0f} {END * 1000:.0f}"),
        ("$unknown ${unknown}", "$unknown ${unknown}"),
    ],
)
def test_variables(text: str, written: str) -> None:
    values: dict[str, Value | Raw] = {
        **Step(Range(END - HOUR, END), 5).values,
        "one": "a.b+c",
        "several": ("a.b+c", "d"),
        "alone": ("a.b",),
        "all": Raw(".*"),
        "max": ":max",
    }
    assert interpolate(text, values, ["several", "alone", "all"]) == written


def test_the_past_repeats_gauges_and_counts_counters_down() -> None:
    def labels(name: str) -> tuple[tuple[str, str], ...]:
        return (("__name__", name), ("gpu", "0"))

    times = [1000.5 + second for second in range(12)]
    swings = [(at, float(number % 10)) for number, at in enumerate(times)]
    grows = [(at, 3.0 * number) for number, at in enumerate(times)]
    late = [(at, 1.0) for at in times[5:]]
    recorded = Recorded(
        {labels("gauge"): swings, labels("counter_total"): grows, labels("late"): late}, 1001, 10
    )
    made = [json.loads(line) for line in recorded.before(Past(5, 981, 996), pid="9")]
    assert [one["metric"]["__name__"] for one in made] == ["gauge", "counter_total"]
    assert {one["metric"]["pid"] for one in made} == {"9"}
    assert made[0]["timestamps"] == [981_000, 986_000, 991_000, 996_000]
    assert made[0]["values"] == [0, 5, 0, 5]
    assert made[1]["values"] == [-60, -45, -30, -15]
