"""Fixtures: a clone of this repository, and one with a running demo."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.clone import Clone, give_away
from tests.e2e.components import Case, served


@pytest.fixture(scope="session")
def download_cache() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="gpuglass-cache-"))
    folder.chmod(0o755)
    (folder / "pip").mkdir()
    (folder / "components").mkdir()
    give_away(folder)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    with served(tmp_path) as made:
        yield made
    assert not list(made.dest.glob(".components.*")), "work folder left behind"


def make_clone(cache: Path) -> Clone:
    # Not pytest's own folders: those are closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="gpuglass-e2e-"))
    folder.chmod(0o755)
    return Clone(folder, cache)


@pytest.fixture
def clone(download_cache: Path) -> Iterator[Clone]:
    made = make_clone(download_cache)
    yield made
    made.remove()


@pytest.fixture(scope="module")
def running(download_cache: Path) -> Iterator[Clone]:
    """A demo of a whole single node, installed and started once for a module."""
    made = make_clone(download_cache)
    try:
        code, output = made.setup("--single-node", "--demo", "--no-docker")
        assert code == 0, output
        made.first_output = output
        yield made
    finally:
        made.remove()
