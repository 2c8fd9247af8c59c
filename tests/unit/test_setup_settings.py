"""setup.sh refuses the prices and thresholds that the keeper would refuse, and no others."""

import subprocess

import click
from tests.conftest import ROOT

from gpuglass.cli.keeper import command
from gpuglass.cli.settings import environment_name, settings_of

NUMBERS = ["0", "0.31", "1", "1.0", "1.01", "10", "10.5", "150", "151", "10000", "10000001"]
WORDS = [
    "-1",
    "+1",
    ".5",
    "5.",
    "1e3",
    "nan",
    "inf",
    "0x1",
    "1,5",
    "01.2",
    " 1",
    "EUR",
    "eur",
    "EURO",
]
CHOICES = {
    environment_name(name): option
    for name, option in settings_of(command).items()
    if name.startswith(("cost.", "alert."))
}
SCRIPT = """
source_dir=$1
. "$source_dir/deploy/native/settings.sh"
usage_error() { exit 2; }
while IFS='=' read -r name value; do
    (set_setting here "$name" "$value") && echo "$name=$value"
done
"""


def keeper_takes(option: click.Parameter, value: str) -> bool:
    try:
        option.type_cast_value(click.Context(command), value)
    except click.BadParameter:
        return False
    return True


def test_setup_knows_all_of_them() -> None:
    text = (ROOT / "deploy/native/settings.sh").read_text()
    assert len(CHOICES) == 8
    assert all(f"[{name}]=''" in text for name in CHOICES)


def test_both_take_the_same() -> None:
    asked = [f"{name}={value}" for name in CHOICES for value in NUMBERS + WORDS]
    setup = subprocess.run(
        ["bash", "-c", SCRIPT, "bash", str(ROOT)],
        input="".join(f"{line}\n" for line in asked),
        capture_output=True,
        text=True,
        check=False,
    )
    assert setup.stderr == ""
    taken = [
        line for line in asked if keeper_takes(CHOICES[line.split("=")[0]], line.split("=")[1])
    ]
    assert setup.stdout.splitlines() == taken
    assert 20 < len(taken) < len(asked) - 20
