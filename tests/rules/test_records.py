"""The recording rules record what the catalogue declares, and it is right."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana.builder.metricsql import named
from tests.conftest import ROOT
from tests.rules.conftest import RECORDS as FILES
from tests.rules.conftest import RULES, rules, unit_test
from tests.rules.test_runbooks import COMPONENTS, SEVERITIES

from gpuglass.catalogue.records import RECORDS, SUBJECTS, health
from gpuglass.catalogue.records.model import Record

CASES = sorted((RULES / "tests/records").glob("*.yml"))
LEVELS = {"gpu", "node", "cluster", "user", "container", "job"}
# The same question at every level; a GPU's own use is in its counters.
EVERYWHERE = {
    *("busy_ratio", "memory_used_ratio", "throttled_ratio", "busy_seconds", "allocated_seconds"),
    *("idle_seconds", "wasted_seconds", "power_watts", "energy_joules"),
    *("energy_cost", "gpu_hour_cost", "carbon_grams"),
}
COUNTED = {"busy_seconds", "allocated_seconds", "power_watts", "energy_joules"}


def test_each_record_is_made_by_one_rule_every_minute() -> None:
    assert [rule["record"] for rule in rules(FILES)] == [
        record.name
        for subject in sorted(SUBJECTS, key=lambda subject: subject.name)
        for record in subject.records
    ]
    assert len({record.name for record in RECORDS}) == len(RECORDS)
    for path in FILES:
        (group,) = yaml.safe_load(path.read_text())["groups"]
        assert (group["interval"], group["eval_delay"]) == ("1m", "30s")


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_names_are_level_metric_operation(record: Record) -> None:
    level, metric, operation = record.name.split(":")
    assert level in LEVELS
    assert re.fullmatch("[a-z]+(_[a-z]+)*", metric)
    assert re.fullmatch(r"(avg|min|max)(\d+m)?|sum|increase", operation)
    assert record.help[0].isupper() or record.help[0].isdigit()
    assert not record.help.endswith(".")


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_increases_look_back_a_minute_and_at_nothing_that_was_recorded(record: Record) -> None:
    """So each second is counted once: another rule's sample may be there a minute later."""
    if record.operation == "increase":
        assert set(re.findall(r"increase\(\w+\[(\w+)\]\)", record.expr)) == {"1m"}
        conditions = {"gpu:utilization_peak_ratio:max30m"}
        assert {m for m in named(record.expr).metrics if ":" in m} <= conditions


def test_the_same_questions_are_answered_at_every_level() -> None:
    by_level = {level: set[str]() for level in LEVELS}
    for record in RECORDS:
        by_level[record.level.name].add(record.metric)
    for level in LEVELS:
        assert EVERYWHERE - (COUNTED if level == "gpu" else set()) <= by_level[level]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_records_are_right(path: Path, components: Path) -> None:
    unit_test(components, path)


def test_every_record_is_seen_with_no_label_but_its_own() -> None:
    seen = set()
    for sample in _expected_samples():
        labels = dict(re.findall(r'(\w+)="([^"]*)"', sample["labels"]))
        name = labels.pop("__name__", None)
        if name:
            seen.add(name)
            (record,) = [each for each in RECORDS if each.name == name]
            assert labels.keys() <= set(record.labels), sample
    assert seen == {record.name for record in RECORDS}


def _expected_samples() -> list[dict[str, Any]]:
    tests = [test for path in CASES for test in yaml.safe_load(path.read_text())["tests"]]
    checks = [check for test in tests for check in test["metricsql_expr_test"]]
    return [sample for check in checks for sample in check["exp_samples"]]


def test_the_page_asks_for_series_that_exist() -> None:
    page = (ROOT / "docs/recording-rules.md").read_text()
    asked = set(re.findall(rf"\b(?:{'|'.join(LEVELS)}):\w+:\w+", page))
    assert len(asked) > 8
    assert asked <= {record.name for record in RECORDS}


def test_health_knows_the_components_and_severities_of_alerts() -> None:
    # Of the machine, of us, and of how GPUs are used.
    others = {"usage", "threshold", "node", "exporter", "stack"}
    assert {*health.COMPONENTS, *others} == COMPONENTS
    assert {*health.PENALTIES, "none"} == SEVERITIES
