"""Runs the exporter as its users do: as a process."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.exporter.process import Serve

Start = Callable[..., Serve]


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    """The scenario file that a started exporter's driver plays; two busy H200 at first."""
    path = tmp_path / "scenario.conf"
    path.write_text("gpus 2 preset=h200\n")
    return path


@pytest.fixture
def start(simulator: Path, scenario: Path) -> Iterator[Start]:
    """Starts exporters on the stand-in driver, and ends them after the test."""
    running: list[Serve] = []

    def start(*arguments: str, driver: Path | None = simulator, **environment: str) -> Serve:
        serve = Serve(arguments, driver, scenario, environment)
        running.append(serve)
        return serve

    yield start
    for serve in running:
        serve.close()
