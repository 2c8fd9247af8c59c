"""Grafana's own packages, as npm has them; they are kept in .cache."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.conftest import ROOT
from tests.once import locked

HERE = Path(__file__).parent
MAJORS = (13, 12, 11)
_OLDEST_NODE = 18


def _without_node() -> str:
    """Why the packages cannot be used here; empty where they can."""
    if not shutil.which("npm") or not shutil.which("node"):
        return "node and npm are not here"
    told = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    old = int(told.lstrip("v").partition(".")[0]) < _OLDEST_NODE
    return f"node is {told.strip()}, and v{_OLDEST_NODE} is the oldest that will do" if old else ""


@pytest.fixture(scope="session")
def packages() -> Path:
    """The folder with node_modules of what package-lock.json names."""
    if reason := _without_node():
        pytest.skip(reason)
    files = [HERE / name for name in ("package.json", "package-lock.json")]
    name = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
    folder = ROOT / ".cache" / f"grafana-{name}"
    with locked(folder.with_suffix(".lock")):
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for file in files:
                shutil.copy(file, folder)
            _install(folder)
            (folder / "complete").touch()
    return folder


# None of their scripts is run. Some of what they would like beside them draws, and is not needed.
_INSTALL = "npm ci --ignore-scripts --legacy-peer-deps --no-audit --no-fund --loglevel=error"


def _install(folder: Path) -> None:
    done = subprocess.run(
        _INSTALL.split(), cwd=folder, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
