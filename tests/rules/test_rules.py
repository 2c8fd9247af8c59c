"""The rules fire, end and stay silent when they should, by vmalert-tool; vmalert reads them."""

import subprocess
from pathlib import Path

import pytest
import yaml
from tests.rules.conftest import ALERTS, RULES, rules, unit_test

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
