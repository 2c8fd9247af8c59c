"""How unit tests run."""

import os
import signal
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from hypothesis import settings
from tests.unit.generations import SCENARIO, Values, ask
from tests.unit.supervised import DRIVER, Supervise, Supervised

from gpuglass.pipeline import supervisor as module
from gpuglass.pipeline.supervisor import PATIENCE, Patience

# Other work on the machine makes an example slow, not wrong.
settings.register_profile("unit", deadline=None)
settings.load_profile("unit")


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    """What the stand-in driver plays."""
    return tmp_path / "scenario.conf"


@pytest.fixture(scope="session")
def cards(simulator: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Values]:
    """A card of each kind at work, with nothing wrong."""
    return ask(simulator, tmp_path_factory.mktemp("groups") / "scenario.conf", SCENARIO)


@pytest.fixture
async def supervise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Supervise]:
    """Supervises a probe that is this Python code, with little patience."""
    monkeypatch.setattr(module, "_TERM_SECONDS", 0.5)
    monkeypatch.setattr(module, "_FIRST_DELAY", 0.05)
    monkeypatch.setattr(module, "_LONGEST_DELAY", 0.1)
    running: list[Supervised] = []
    started: set[int] = set()

    def start(code: str, deadline: float = 30.0, patience: Patience = PATIENCE) -> Supervised:
        program = tmp_path / "probe.py"
        head = f"import os, signal, sys, time\nDRIVER = {DRIVER!r}\nsay = sys.stdout.buffer.write\n"
        program.write_text(head + textwrap.dedent(code))
        supervised = Supervised(program, deadline, patience)
        running.append(supervised)
        return supervised

    yield start
    for supervised in running:
        started |= set(supervised.supervisor.pids())
        await supervised.stop()
        started |= set(supervised.supervisor.pids())
    for pid in started:
        if psutil.pid_exists(pid):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
