"""Every rule says who is told what, and has a runbook that says what to do."""

import re
from pathlib import Path

import pytest
from grafana.builder.metricsql import named
from tests.conftest import ROOT
from tests.rules.conftest import ALERTS, rules
from tests.rules.test_names import CATALOGUE, OTHERS

RULES = {rule["alert"]: rule for rule in rules()}
RUNBOOKS = ROOT / "docs/runbooks"
PAGES = sorted(path for path in RUNBOOKS.glob("*.md") if path.name != "README.md")
SEVERITIES = {"critical", "warning", "info", "none"}
ACTIONS = {
    "restart-node",
    "reset-gpu",
    "plan-reset",
    "restart-app",
    "replace",
    "inspect",
    "none",
}
COMPONENTS = {
    "gpu",
    "memory",
    "cooling",
    "power",
    "pcie",
    "nvlink",
    "fabric",
    "usage",
    "threshold",
    "node",
    "exporter",
    "stack",
}


def test_names_are_unique() -> None:
    assert len(RULES) == len(rules())
    assert all(re.fullmatch(r"GPU[A-Z]\w+", name) for name in RULES)


@pytest.mark.parametrize("alert", RULES)
def test_labels_and_annotations(alert: str) -> None:
    labels, annotations = RULES[alert]["labels"], RULES[alert]["annotations"]
    assert set(labels) == {"severity", "component", "action"}
    assert labels["severity"] in SEVERITIES
    assert labels["component"] in COMPONENTS
    assert labels["action"] in ACTIONS
    assert {"summary", "description", "runbook_url", "dashboard_url"} <= set(annotations)
    assert set(annotations) <= {"summary", "description", "runbook_url", "dashboard_url", "owner"}
    assert "{{" not in "".join(labels.values()), "a label that changes would end the alert"


@pytest.mark.parametrize("alert", RULES)
def test_alerts_of_a_gpu_name_it_and_its_owner(alert: str) -> None:
    annotations = RULES[alert]["annotations"]
    if "var-gpu" in annotations["dashboard_url"]:
        assert "$labels.node" in annotations["summary"]
        assert "$labels.gpu" in annotations["summary"]
        assert "gpu_owner_memory_used_bytes" in annotations["owner"]


@pytest.mark.parametrize("alert", RULES)
def test_every_rule_has_a_runbook(alert: str) -> None:
    url = RULES[alert]["annotations"]["runbook_url"]
    assert url in (f"docs/runbooks/{alert}.md", "docs/runbooks/xid-{{ $labels.xid }}.md")
    assert (RUNBOOKS / f"{alert}.md").exists()


def test_every_runbook_has_a_rule() -> None:
    assert {p.stem for p in PAGES if not p.stem.startswith("xid-")} == set(RULES)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_runbooks_say_how_to_confirm_what_to_do_and_when_to_escalate(page: Path) -> None:
    text = page.read_text()
    assert re.findall(r"^## (.*)", text, re.MULTILINE) == ["Confirm", "Do", "Escalate"]
    query, command = re.findall(r"^```(?:promql)?\n(.+?)\n```", text, re.MULTILINE | re.DOTALL)
    assert named(query).metrics <= {*CATALOGUE, *OTHERS}
    assert command


def test_the_folder_has_the_files_that_the_index_shows() -> None:
    index = (RUNBOOKS / "README.md").read_text()
    assert set(re.findall(r"\]\(([\w-]+\.md)\)", index)) == {page.name for page in PAGES}
    assert all(f"## {path.stem.capitalize()}" in index for path in ALERTS)
