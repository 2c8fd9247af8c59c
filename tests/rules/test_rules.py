"""The rules fire, end and stay silent when they should, by vmalert-tool; vmalert reads them."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from grafana.builder.metricsql import look_back
from tests.conftest import ROOT
from tests.rules.conftest import ALERTS, RECORDS, RULES, rules, unit_test

CASES = sorted((RULES / "tests").glob("*.yml"))


@pytest.fixture(scope="session")
def stripped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the rules without annotations, which vmalert-tool would compare word by word."""
    folder = tmp_path_factory.mktemp("rules")
    (folder / "alerts").mkdir()
    (folder / "tests").mkdir()
    (folder / "records").symlink_to(RULES / "records")
    for path in ALERTS:
        text = yaml.safe_load(path.read_text())
        for rule in text["groups"][0]["rules"]:
            del rule["annotations"]
        (folder / "alerts" / path.name).write_text(yaml.safe_dump(text, sort_keys=False))
    for path in CASES:
        (folder / "tests" / path.name).write_text(path.read_text())
    return folder


@pytest.mark.parametrize("name", [path.name for path in CASES])
def test_rules_fire_and_stay_silent(name: str, stripped: Path, components: Path) -> None:
    unit_test(components, stripped / "tests" / name)


@pytest.mark.parametrize("path", ALERTS, ids=lambda path: path.stem)
def test_alerts_are_young_enough_to_wait_for_each_other(path: Path) -> None:
    # Alertmanager tells at once of an alert that is older than group_wait when it comes.
    base = yaml.safe_load((ROOT / "victoriametrics/alertmanager/base.yml").read_text())
    wait = int(base["route"]["group_wait"].removesuffix("s"))
    for group in yaml.safe_load(path.read_text())["groups"]:
        assert group["eval_alignment"] is False
        assert int(group["eval_delay"].removesuffix("s")) + 1 < wait


def test_vmalert_reads_all_rules_without_a_warning(components: Path) -> None:
    made = subprocess.run(
        [
            components / "vmalert",
            "-dryRun",
            *(f"-rule={RULES}/{folder}/*.yml" for folder in ("alerts", "records")),
            "-loggerLevel=WARN",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (made.returncode, made.stdout + made.stderr) == (0, "")


def test_every_rule_is_tested_for_firing_ending_and_silence() -> None:
    fires: set[str] = set()
    ends: set[str] = set()
    silent: set[str] = set()
    for path in CASES:
        for test in yaml.safe_load(path.read_text())["tests"]:
            seen: set[str] = set()
            for check in test["alert_rule_test"]:
                name = check["alertname"]
                if check["exp_alerts"]:
                    seen.add(name)
                elif name in seen:
                    ends.add(name)
            fires |= seen
            silent |= {c["alertname"] for c in test["alert_rule_test"]} - seen
    names = {rule["alert"] for rule in rules()}
    always = {"GPUStackWatchdog"}
    assert (fires, ends) == (names, names - always)
    assert silent == names - always


def test_no_rule_looks_further_back_than_raw_samples_are_kept() -> None:
    """Alerts and records are evaluated on the raw samples, of which setup.sh has so much kept."""
    settings = (ROOT / "deploy/native/settings.sh").read_text()
    kept = re.search(r"^readonly least_raw_days=(\d+)$", settings, re.MULTILINE)
    assert kept is not None
    for rule in rules([*ALERTS, *RECORDS]):
        assert look_back(rule["expr"]) <= int(kept[1]) * 86400, rule.get(
            "alert", rule.get("record")
        )
