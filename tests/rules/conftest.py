"""The alert rules, and the real programs that read them."""

from typing import Any

import yaml
from tests.conftest import ROOT

RULES = ROOT / "victoriametrics/rules"
ALERTS = sorted((RULES / "alerts").glob("*.yml"))


def rules() -> list[dict[str, Any]]:
    """Every rule of every file."""
    groups = [group for path in ALERTS for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]
