"""The keeper's page says what the catalogue declares."""

from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gpuglass.catalogue import keeper as catalogue
from gpuglass.catalogue.model import Metric
from gpuglass.keeper import metrics
from gpuglass.keeper.targets.keeper import FileState, State, TargetsKeeper

STATE = State({"a.yml": FileState(2, False, 1234.5), "b.yml": FileState(0, True, None)}, 3, 99.0)


@pytest.mark.parametrize("metric", catalogue.METRICS, ids=lambda m: m.name)
def test_each_metric_is_there_as_declared(metric: Metric, tmp_path: Path) -> None:
    targets = TargetsKeeper(tmp_path, tmp_path)
    targets.state = STATE
    page = generate_latest(metrics.registry([targets])).decode()
    families = {f.name: f for f in text_string_to_metric_families(page)}
    family = families[metric.family]
    assert (family.type, family.documentation) == (metric.type.value, metric.help)
    for sample in family.samples:
        assert sample.name == metric.name
        assert tuple(sample.labels) == metric.labels
