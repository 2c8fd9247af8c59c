"""The alert rules, and the real programs that read them."""

import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from tests.conftest import ROOT

RULES = ROOT / "victoriametrics/rules"
ALERTS = sorted((RULES / "alerts").glob("*.yml"))
RECORDS = sorted((RULES / "records").glob("*.yml"))


def rules(paths: Iterable[Path] = ALERTS) -> list[dict[str, Any]]:
    """Every rule of every file; of the alerts unless others are named."""
    groups = [group for path in paths for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def unit_test(components: Path, path: Path) -> None:
    """Run a file of cases through vmalert-tool."""
    made = subprocess.run(
        [
            components / "vmalert-tool",
            "unittest",
            f"--files={path}",
            "--disableAlertgroupLabel",
        ],
        cwd=path.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert made.returncode == 0 and "SUCCESS" in made.stdout, made.stdout + made.stderr
