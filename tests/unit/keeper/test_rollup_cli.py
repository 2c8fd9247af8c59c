"""`gpuglass keeper` refuses settings of the tiers that cannot be meant."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.conftest import ROOT

from gpuglass.cli.keeper import command

MINUTE = "http://127.0.0.1:8438"
RULES = str(ROOT / "victoriametrics/rules/rollups")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--rollup.minute-url", "here:8438"], "'here:8438' is no URL; begin it with http://"),
        (
            ["--rollup.hour-url", "http://127.0.0.1:8428/"],
            "--rollup.hour-url: http://127.0.0.1:8428 keeps other samples already; "
            "give each tier a VictoriaMetrics of its own",
        ),
        (
            ["--rollup.minute-url", MINUTE, "--rollup.hour-url", MINUTE],
            f"--rollup.hour-url: {MINUTE} keeps other samples already; "
            "give each tier a VictoriaMetrics of its own",
        ),
        (
            ["--rollup.minute-url", MINUTE, "--rollup.rules-dir", "nowhere"],
            "--rollup.rules-dir: nowhere/minute.yml is not there",
        ),
        (
            ["--rollup.minute-url", MINUTE, "--rollup.rules-dir", RULES, "--vmalert.path", "nope"],
            "--vmalert.path: nope is not there or cannot be run; it computes the rollups",
        ),
        (
            ["--rollup.minute-url", MINUTE, "--rollup.look-back", "1h"],
            "1h is not between 2d and 400d",
        ),
    ],
)
def test_a_wrong_setting_is_one_line(tmp_path: Path, arguments: list[str], complaint: str) -> None:
    (tmp_path / "targets").mkdir()
    folders = ["--targets.dir", f"{tmp_path}/targets", "--targets.published-dir", f"{tmp_path}/out"]
    result = CliRunner().invoke(command, [*folders, *arguments])
    assert result.exit_code == 2
    assert complaint in result.output.splitlines()[-1]
