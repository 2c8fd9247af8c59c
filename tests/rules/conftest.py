"""The alert rules, and the real programs that read them."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.conftest import ROOT

RULES = ROOT / "victoriametrics/rules"
PROGRAMS = ("victoria-metrics", "vmagent", "vmalert", "vmalert-tool")
ALERTS = sorted((RULES / "alerts").glob("*.yml"))


def rules() -> list[dict[str, Any]]:
    """Every rule of every file."""
    groups = [group for path in ALERTS for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


@pytest.fixture(scope="session")
def vm_programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with VictoriaMetrics's programs, fetched once and kept in .cache."""
    folder = tmp_path_factory.mktemp("programs")
    env = {"GPUGLASS_COMPONENTS_CACHE": str(ROOT / ".cache/components"), **os.environ}
    script = str(ROOT / "deploy/native/components.sh")
    made = subprocess.run(
        ["bash", script, str(folder), *PROGRAMS],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return folder / "bin"
