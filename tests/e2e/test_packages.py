"""Where a machine's packages come from, whichever way its sources are written."""

import subprocess
from pathlib import Path

import pytest
from tests.e2e.clone import REPOSITORY

STANZAS = """\
Types: deb
URIs: http://mirror.test/security
Suites: bookworm-security

Types: deb
URIs: http://mirror.test/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/test.gpg
"""
LINES = """\
# deb http://mirror.test/old bookworm main
deb-src http://mirror.test/source bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/test.gpg] http://mirror.test/debian bookworm main
"""


def mirror(apt: Path, suite: str) -> "subprocess.CompletedProcess[str]":
    script = 'set -euo pipefail; . deploy/native/packages.sh; package_mirror "$1" "$2"'
    return subprocess.run(
        ["bash", "-c", script, "bash", suite, str(apt)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("sources.list.d/debian.sources", STANZAS),
        ("sources.list", LINES),
        ("sources.list.d/more.list", LINES),
    ],
)
def test_one_kind_of_sources_is_enough(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / file).write_text(text)
    found = mirror(tmp_path, "bookworm")
    assert found.returncode == 0
    assert found.stdout.split() == ["http://mirror.test/debian", "/usr/share/keyrings/test.gpg"]


def test_a_suite_that_no_source_has(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(LINES)
    assert mirror(tmp_path, "trixie").returncode != 0
