"""What tests of several folders share."""

import subprocess
from pathlib import Path

import pytest
from tests import programs
from tests.once import once

ROOT = Path(__file__).resolve().parents[1]
# The folders whose tests take longest, mostly waiting, in the order in which they begin.
LONGEST = ("grafana", "integration", "rules", "e2e", "browser", "exporter", "hardware")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="Write what the tests see into the golden files instead of comparing.",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let long tests begin first, so that no worker is left alone with them at the end."""

    def turn(item: pytest.Item) -> int:
        folder = item.path.relative_to(ROOT / "tests").parts[0]
        return LONGEST.index(folder) if folder in LONGEST else len(LONGEST)

    items.sort(key=turn)


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the stand-in driver's library, built from source."""

    def build(folder: Path) -> None:
        subprocess.run(
            ["make", "-C", str(ROOT / "simulator"), f"BUILD={folder}"],
            check=True,
            capture_output=True,
            text=True,
        )

    return once(tmp_path_factory, "simulator", build)


@pytest.fixture(scope="session")
def components(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the programs of others, fetched once and kept in .cache."""
    return once(tmp_path_factory, "components", programs.fetch) / "bin"
