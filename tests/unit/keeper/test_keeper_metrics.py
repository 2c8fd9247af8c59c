"""The keeper's page says what the catalogue declares."""

import time
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gpuglass.catalogue import keeper as catalogue
from gpuglass.catalogue.model import Metric
from gpuglass.keeper import metrics
from gpuglass.keeper.alertmanager import acknowledgements
from gpuglass.keeper.alertmanager.acknowledgements import AcknowledgementsKeeper
from gpuglass.keeper.alertmanager.api import Alertmanager
from gpuglass.keeper.choices import Choices
from gpuglass.keeper.duty import Told
from gpuglass.keeper.enrolment import Certificates, Enrolment
from gpuglass.keeper.published import FileState, State
from gpuglass.keeper.receivers import keeper as receivers_keeper
from gpuglass.keeper.receivers.keeper import ReceiversKeeper
from gpuglass.keeper.rules.check import Checker
from gpuglass.keeper.rules.keeper import RulesKeeper
from gpuglass.keeper.runner import Runner
from gpuglass.keeper.targets.keeper import TargetsKeeper
from gpuglass.keeper.victoriametrics import VictoriaMetrics
from gpuglass.keeper.workers.attendance import Attendance, Seen
from gpuglass.keeper.workers.keeper import WorkersKeeper

CHOICES = Choices(0.31, 2.5, "EUR", 1.3, 380, 83, 0.9, 0.95)
ACKNOWLEDGED = acknowledgements.State(held=2, ended=5, errors=1)
STATE = State({"a.yml": FileState(2, False, 1234.5), "b.yml": FileState(0, True, None)}, 3)
RECEIVERS = receivers_keeper.State(True, 2, True, 1)


@pytest.mark.parametrize("metric", catalogue.METRICS, ids=lambda m: m.name)
def test_each_metric_is_there_as_declared(metric: Metric, tmp_path: Path) -> None:
    targets = TargetsKeeper(tmp_path, tmp_path)
    targets.state = STATE
    rules = RulesKeeper(tmp_path, tmp_path, Checker("vmalert"), "http://127.0.0.1:1")
    rules.state = STATE
    acks = AcknowledgementsKeeper(Alertmanager("http://127.0.0.1:1"))
    acks.state = ACKNOWLEDGED
    receivers = ReceiversKeeper(tmp_path, tmp_path, "amtool", "http://localhost")
    receivers.state = RECEIVERS
    workers = WorkersKeeper(tmp_path, "http://127.0.0.1:1")
    workers.state = STATE
    attendance = Attendance(tmp_path, list, VictoriaMetrics("http://127.0.0.1:1", "-"))
    attendance.seen = {"pod": Seen(1.0, time.time(), 0.1)}
    Enrolment(tmp_path / "tls").prepare()
    ends = Certificates(tmp_path / "tls")
    duties: list[Told] = [targets, rules, acks, CHOICES, receivers, workers, attendance, ends]
    told = metrics.registry([*duties, Runner([targets, rules])])
    page = generate_latest(told).decode()
    families = {f.name: f for f in text_string_to_metric_families(page)}
    family = families[metric.family]
    assert (family.type, family.documentation) == (metric.type.value, metric.help)
    for sample in family.samples:
        assert sample.name == metric.name
        assert tuple(sample.labels) == metric.labels


def gauges(choices: Choices) -> dict[str, float]:
    families = text_string_to_metric_families(generate_latest(metrics.registry([choices])).decode())
    return {
        f"{sample.name}{sample.labels.get('currency', '')}": sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith("gpuglass_")
    }


def test_all_that_was_chosen_is_told() -> None:
    assert gauges(CHOICES) == {
        "gpuglass_cost_kwh_priceEUR": 0.31,
        "gpuglass_cost_gpu_hour_priceEUR": 2.5,
        "gpuglass_cost_pue": 1.3,
        "gpuglass_cost_kwh_carbon_grams": 380,
        "gpuglass_alert_temperature_celsius": 83,
        "gpuglass_alert_utilization_ratio": 0.9,
        "gpuglass_alert_memory_ratio": 0.95,
    }


def test_nothing_is_told_that_was_not_chosen() -> None:
    assert gauges(Choices()) == {}
    assert gauges(Choices(gpu_hour_price=2, currency="USD")) == {
        "gpuglass_cost_gpu_hour_priceUSD": 2
    }


@pytest.mark.parametrize("choices", [Choices(kwh_price=0.3, currency="EUR"), Choices(carbon=380)])
def test_what_counts_energy_counts_the_site_s(choices: Choices) -> None:
    assert gauges(choices)["gpuglass_cost_pue"] == 1
