"""Wrong prices and thresholds are refused in one line, without a process for each."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from gpuglass.cli.keeper import command


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--cost.kwh-price", "0,31"), "'0,31' is no number; write one such as 0.31"),
        (("--cost.kwh-price", "-0.3"), "-0.3 is not between 0 and 1e+07"),
        (("--cost.gpu-hour-price", "2"), "--cost.gpu-hour-price needs --cost.currency"),
        (("--cost.gpu-hour-price", "1e3"), "'1e3' is no number"),
        (("--cost.currency", "Euro"), "'Euro' is no currency; write its three letters"),
        (("--cost.pue", "0.9"), "0.9 is not between 1 and 10"),
        (("--cost.pue", "nan"), "'nan' is no number"),
        (("--cost.carbon-grams-per-kwh", "inf"), "'inf' is no number"),
        (("--alert.temperature-celsius", "0"), "0 is not between 1 and 150"),
        (("--alert.utilization-ratio", "95%"), "'95%' is no number"),
    ],
)
def test_wrong_choices(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    published = tmp_path / "published"
    made = CliRunner().invoke(command, ["--targets.published-dir", str(published), *arguments])
    assert made.exit_code == 2
    assert message in made.output
    assert not published.exists()
