"""What tests of several folders share."""

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
