"""Scenarios played by the library, and clients run against it."""

import ctypes
import hashlib
import os
import subprocess
import sys
import textwrap
import time
import venv
from collections.abc import Iterator
from pathlib import Path

import pynvml
import pytest
from tests.once import locked
from tests.simulator.support import LOOKS_AGAIN_AFTER, ROOT, Play, RunClient


@pytest.fixture(scope="session")
def loaded_library(simulator: Path) -> Path:
    # Once loaded by its path, pynvml finds it by its name without LD_LIBRARY_PATH.
    path = simulator / "libnvidia-ml.so.1"
    ctypes.CDLL(str(path))
    return path


@pytest.fixture
def scenario_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "scenario.conf"
    monkeypatch.setenv("GPUGLASS_SIM_SCENARIO", str(path))
    return path


@pytest.fixture
def play(scenario_file: Path, loaded_library: Path) -> Iterator[Play]:
    """Plays a scenario to this process's pynvml, once or again with other text."""
    inits = 0

    def start(text: str) -> None:
        nonlocal inits
        scenario_file.write_text(textwrap.dedent(text))
        # A mistake in a test's scenario would otherwise only leave the last one playing.
        checked = subprocess.run(
            [str(loaded_library.parent / "check-scenario"), str(scenario_file)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert checked.returncode == 0, checked.stderr
        time.sleep(LOOKS_AGAIN_AFTER)
        pynvml.nvmlInit()
        inits += 1

    yield start
    for _ in range(inits):
        pynvml.nvmlShutdown()


@pytest.fixture
def run_client(simulator: Path, scenario_file: Path) -> RunClient:
    """Runs Python code, or a command, as a client of the library in a process of its own."""

    def run(
        code: str | list[str], scenario: str, timeout: float = 60
    ) -> "subprocess.CompletedProcess[str]":
        scenario_file.write_text(textwrap.dedent(scenario))
        if isinstance(code, str):
            head = "import pynvml\npynvml.nvmlInit()\nh = pynvml.nvmlDeviceGetHandleByIndex\n"
            command = [sys.executable, "-c", head + textwrap.dedent(code)]
        else:
            command = code
        environment = {**os.environ, "LD_LIBRARY_PATH": str(simulator)}
        return subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, env=environment, check=False
        )

    return run


PINS = ["nvitop==1.7.2", "nvitop-exporter==1.7.2", "gpustat==1.1.1"]


@pytest.fixture(scope="session")
def third_party() -> Path:
    """The bin folder of an environment with other monitors, kept between runs."""
    pins = hashlib.sha256("\n".join(PINS).encode()).hexdigest()[:12]
    folder = ROOT / ".cache" / f"third-party-venv-{pins}"
    done = folder / "complete"
    with locked(folder.with_suffix(".lock")):
        if not done.exists():
            venv.create(folder, with_pip=True, clear=True)
            subprocess.run(
                [str(folder / "bin" / "pip"), "install", "--quiet", *PINS],
                check=True,
                capture_output=True,
                text=True,
            )
            done.touch()
    return folder / "bin"
