"""Every metric, label and label value that a rule names is one that is published."""

import re

import pytest
from grafana.builder.components import EVERYWHERE, METRICS
from grafana.builder.metricsql import named
from tests.conftest import ROOT
from tests.rules.conftest import RECORDS as RECORD_FILES
from tests.rules.conftest import rules

from gpuglass.catalogue import exporter, gpu, host, keeper, rollups
from gpuglass.catalogue.model import Metric
from gpuglass.catalogue.records import RECORDS
from gpuglass.keeper.rollups.plan import HOUR, MINUTE

CATALOGUE: dict[str, Metric] = {
    metric.name: metric
    for module in (gpu, host, exporter, keeper, rollups)
    for metric in module.METRICS
}
OTHERS = {**METRICS, **{record.name: record.labels for record in RECORDS}}
# By the table that the rules are built from, and by test_reasons_are_those_of_the_exporter.
CHECKED_OTHERWISE = {
    ("gpu_xid_last_timestamp_seconds", "xid"),
    ("gpuglass_collector_failure_info", "reason"),
}
RULES = {rule["alert"]: rule for rule in rules()}
EXPRESSIONS = {
    rule.get("alert", rule.get("record")): rule["expr"] for rule in [*rules(), *rules(RECORD_FILES)]
}
PAGE = (ROOT / "tests/golden/page.prom").read_text()
# On other cards, drivers and machines than the golden page's.
ELSEWHERE = {
    ("gpuglass_xid_source_info", "source"): {"none"},
    ("gpuglass_collector_failure_info", "collector"): {"nvml"},
    (keeper.WORKER_SILENT.name, "ephemeral"): {"no", "yes"},
    (keeper.DUTY_LAST_CHECK.name, "duty"): {f"rollup {t.name}" for t in (MINUTE, HOUR)},
}


def labels_of(metric: str) -> set[str]:
    own = CATALOGUE[metric].labels if metric in CATALOGUE else OTHERS[metric]
    return {*own, *EVERYWHERE}


@pytest.mark.parametrize("rule", EXPRESSIONS)
def test_metrics_and_labels_exist(rule: str) -> None:
    found = named(EXPRESSIONS[rule])
    assert found.metrics <= {*CATALOGUE, *OTHERS}
    for metric, matchers in found.selectors:
        assert set(matchers) <= labels_of(metric), metric
    if found.metrics:
        given = {text[1:-1] for text in found.texts}
        assert found.grouping <= given.union(*(labels_of(metric) for metric in found.metrics))


@pytest.mark.parametrize("rule", EXPRESSIONS)
def test_label_values_are_published(rule: str) -> None:
    for metric, matchers in named(EXPRESSIONS[rule]).selectors:
        for label, pattern in matchers.items():
            if metric not in CATALOGUE or (metric, label) in CHECKED_OTHERWISE or not pattern:
                continue
            shown = set(re.findall(rf'^{metric}{{.*?\b{label}="([^"]*)"', PAGE, re.MULTILINE))
            shown |= ELSEWHERE.get((metric, label), set())
            for value in pattern.split("|"):
                assert value in shown, f'{metric}{{{label}="{value}"}}'


@pytest.mark.parametrize("alert", RULES)
def test_annotations_name_labels_that_the_alert_has(alert: str) -> None:
    rule = RULES[alert]
    text = " ".join(str(value) for value in rule["annotations"].values())
    used = set(re.findall(r"\$labels\.(\w+)", text))
    found = named(rule["expr"])
    given = {text[1:-1] for text in found.texts}
    has = set.union(EVERYWHERE, given, *(labels_of(metric) for metric in found.metrics))
    assert used <= has


def test_reasons_are_those_of_the_exporter() -> None:
    source = " ".join(
        path.read_text() for path in (ROOT / "exporter/gpuglass/pipeline").glob("*.py")
    )
    for rule in RULES.values():
        for metric, matchers in named(rule["expr"]).selectors:
            if metric == "gpuglass_collector_failure_info":
                for reason in matchers["reason"].split("|"):
                    assert f'"{reason}"' in source or reason == "gpu_is_lost", reason
