"""The rules of both tiers are those that follow from the catalogue."""

import re
from itertools import chain
from typing import Any

import pytest
import yaml
from tests.conftest import ROOT

from gpuglass.catalogue import exporter, gpu, host, keeper, processes, rollups
from gpuglass.catalogue.model import Rollup

METRICS = tuple(chain.from_iterable(m.METRICS for m in (gpu, host, exporter, keeper, rollups)))
SELECTOR = re.compile(r"^label_copy\((\w+)\(\{__name__=~'([^']*)'.*\}\[(\w+)\]\)")


def rules(tier: str) -> list[dict[str, Any]]:
    text = (ROOT / f"victoriametrics/rules/rollups/{tier}.yml").read_text()
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def functions(tier: str) -> dict[str, str]:
    """By metric the function that makes its rollup."""
    found: dict[str, str] = {}
    for rule in rules(tier):
        match = SELECTOR.match(rule["expr"])
        assert match, rule["expr"]
        for name in match[2].split("|"):
            assert name not in found, f"{name} is rolled up twice"
            found[name] = match[1]
    return found


@pytest.mark.parametrize("tier", ["minute", "hour"])
def test_each_metric_is_rolled_up_as_its_policy_says(tier: str) -> None:
    made_by = {
        Rollup.MIN_AVG_MAX: "rollup",
        Rollup.MINUTE: "rollup" if tier == "minute" else None,
        Rollup.LAST: "last_over_time",
        Rollup.SUM: "sum_over_time",
        Rollup.NONE: None,
    }
    found = functions(tier)
    for metric in METRICS:
        assert metric.rollup is not None
        assert found.get(metric.name) == made_by[metric.rollup], metric.name
    others = {"up", "scrape_duration_seconds", "ALERTS", "ALERTS_FOR_STATE"}
    named = {name for name in found if ":" not in name}
    assert named - {metric.name for metric in METRICS} == others


def test_no_series_of_a_process_is_in_the_hours() -> None:
    of_processes = {m.name for m in processes.METRICS if "pid" in m.labels}
    assert of_processes
    assert not of_processes & functions("hour").keys()


@pytest.mark.parametrize("tier", ["minute", "hour"])
def test_each_selector_is_looked_up_name_by_name(tier: str) -> None:
    for rule in rules(tier):
        # VictoriaMetrics scans all names where there are more than 100.
        assert rule["expr"].count("|") < 100
