"""Files that are built are what they are built from says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from docs import writer
from tests.conftest import ROOT

MODULES = re.findall(r"python -m ((?:docs|grafana)\.\w+)", (ROOT / "Makefile").read_text())


def test_makes_docs_knows_of_all_that_builds() -> None:
    assert sorted(MODULES) == sorted(
        ["grafana.builder", *(f"docs.{path.stem}" for path in (ROOT / "docs").glob("build_*.py"))]
    )


@pytest.mark.parametrize("module", MODULES)
def test_files_are_up_to_date(module: str) -> None:
    made = subprocess.run(
        [sys.executable, "-m", module, "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (made.returncode, made.stderr) == (0, "")


def test_what_differs_is_told_and_then_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, stale, gone = tmp_path / "good", tmp_path / "stale", tmp_path / "gone"
    texts = {good: "1", stale: "2", tmp_path / "new/one": "3"}
    good.write_text("1")
    stale.write_text("0")
    gone.write_text("4")
    monkeypatch.setattr(sys, "argv", ["build", "--check"])
    with pytest.raises(
        SystemExit, match=r"^stale, one, gone: not what follows from the catalogue;"
    ):
        writer.main("", texts, there=[good, gone])
    assert stale.read_text() == "0"
    monkeypatch.setattr(sys, "argv", ["build"])
    writer.main("", texts, there=[good, gone])
    assert {path: path.read_text() for path in texts} == texts
    assert not gone.exists()
