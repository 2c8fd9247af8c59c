"""What tests of several folders share."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="Write what the tests see into the golden files instead of comparing.",
    )


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the stand-in driver's library, built from source."""
    folder = tmp_path_factory.mktemp("simulator")
    subprocess.run(
        ["make", "-C", str(ROOT / "simulator"), f"BUILD={folder}"],
        check=True,
        capture_output=True,
        text=True,
    )
    return folder


@pytest.fixture(scope="session")
def components(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with VictoriaMetrics's programs, fetched once and kept in .cache."""
    folder = tmp_path_factory.mktemp("components")
    programs = ("victoria-metrics", "vmagent", "vmalert", "vmalert-tool")
    made = subprocess.run(
        ["bash", str(ROOT / "deploy/native/components.sh"), str(folder), *programs],
        env={"GPUGLASS_COMPONENTS_CACHE": str(ROOT / ".cache/components"), **os.environ},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return folder / "bin"
