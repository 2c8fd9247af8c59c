"""For how long setup has samples kept where single storage becomes tiered."""

import subprocess
from pathlib import Path

import pytest
from tests.conftest import ROOT

# What setup.sh does before it renders any configuration, and what it writes down at the end.
SCRIPT = """
set -euo pipefail
source_dir=$1 prefix=$2 role=single-node storage_before='' unfilled='' engine=native
for part in native/settings native/programs filling; do . "$source_dir/deploy/$part.sh"; done
say() { printf '%s\\n' "$*"; }
usage_error() { say "refused: $*"; exit 2; }
saved_storage() { cut -d ' ' -s -f 2 "$prefix/.gpuglass-install" 2>/dev/null || true; }
saved() { sed -n "s/^$1=//p" "$prefix/run/settings" 2>/dev/null || true; }
load_settings "$prefix/gpuglass.env"
choose_storage
settle_storage
echo "$engine ${setting[GPUGLASS_STORAGE]} $(raw_retention)" >"$prefix/.gpuglass-install"
"""


class Setup:
    """An install in a folder, of which only what is kept for how long is looked at."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "bin").mkdir()
        (folder / "run").mkdir()

    def filled(self, are: bool) -> None:
        command = self._folder / "bin/gpuglass"
        command.write_text(
            f'#!/bin/sh\n[ "$*" = "rollups check" ] && exit {int(not are)}\nexit 9\n'
        )
        command.chmod(0o755)

    def run(self, **settings: str) -> tuple[str, str]:
        """The retention of samples, and what was said."""
        lines = [f"GPUGLASS_{name}={value}\n" for name, value in settings.items()]
        (self._folder / "gpuglass.env").write_text("".join(lines))
        done = subprocess.run(
            ["bash", "-c", SCRIPT, "bash", str(ROOT), str(self._folder)],
            env={"PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return (self._folder / ".gpuglass-install").read_text().split()[2], done.stdout


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path)


def test_samples_stay_until_minutes_and_hours_are_made_of_them(setup: Setup) -> None:
    assert setup.run(STORAGE="single", RETENTION="800d") == ("800d", "")
    kept, said = setup.run(STORAGE="tiered")
    assert kept == "800d"
    assert "samples stay for 800d until minutes and hours are made of them" in said
    assert "/bin/gpuglass rollups fill, then this command again." in said
    setup.filled(are=False)
    kept, said = setup.run(STORAGE="tiered")
    assert (kept, "rollups fill" in said) == ("800d", True)
    setup.filled(are=True)
    kept, said = setup.run()
    assert (kept, "those older than 7d are given up now" in said) == ("7d", True)
    assert setup.run(STORAGE="tiered") == ("7d", "")


def test_what_somebody_asks_for_is_done(setup: Setup) -> None:
    setup.run(STORAGE="single")
    kept, said = setup.run(STORAGE="tiered", RETENTION_RAW="10d")
    assert (kept, "samples older than 10d are given up" in said) == ("10d", True)


def test_a_new_install_has_nothing_to_keep(setup: Setup) -> None:
    assert setup.run(STORAGE="tiered") == ("7d", "")


def test_back_to_single(setup: Setup) -> None:
    setup.run(STORAGE="single")
    setup.run(STORAGE="tiered")
    kept, said = setup.run(STORAGE="single")
    assert (kept, "Storage becomes single" in said) == ("400d", True)


def test_data_of_an_install_that_wrote_no_retention_down(setup: Setup, tmp_path: Path) -> None:
    (tmp_path / ".gpuglass-install").write_text("native single\n")
    (tmp_path / "run/settings").write_text("GPUGLASS_RETENTION=500d\n")
    assert setup.run(STORAGE="tiered")[0] == "500d"
