"""The supervisor lets go of the GPUs while its gate is shut."""

import asyncio
import time
from pathlib import Path

import psutil
import pytest
from tests.unit.supervised import DEAF, Supervise, Supervised

from gpuglass.pipeline import supervisor as module
from gpuglass.pipeline.gate import RELEASED, SUSPENDED

POLITE = """
    say(DRIVER)
    sys.stdout.flush()
    time.sleep(60)
"""


def failure(supervised: Supervised) -> str:
    return supervised.devices.status(0).failure


async def test_a_shut_gate_ends_the_probe_and_an_open_one_starts_it(supervise: Supervise) -> None:
    supervised = supervise(POLITE)
    await supervised.wait(lambda: failure(supervised) == "")
    (pid,) = supervised.supervisor.pids()
    supervised.gate.close(RELEASED)
    assert failure(supervised) == "released"
    assert await supervised.supervisor.gone() == []
    assert not psutil.pid_exists(pid)
    await asyncio.sleep(0.3)
    assert supervised.supervisor.pids() == []
    assert failure(supervised) == "released"
    assert supervised.devices.complete()
    supervised.gate.open(RELEASED)
    assert failure(supervised) == "resuming"
    assert supervised.devices.complete()
    await supervised.wait(lambda: failure(supervised) == "")
    assert sum(supervised.restarts(cause) for cause in module._CAUSES) == 0


async def test_the_gate_is_shut_until_the_last_reason_is_gone(supervise: Supervise) -> None:
    supervised = supervise(POLITE)
    supervised.gate.close(SUSPENDED)
    supervised.gate.close(RELEASED)
    assert failure(supervised) == "released"
    supervised.gate.open(RELEASED)
    assert failure(supervised) == "suspended"
    await asyncio.sleep(0.2)
    assert supervised.supervisor.pids() == []
    supervised.gate.open(RELEASED)
    supervised.gate.open(SUSPENDED)
    await supervised.wait(lambda: failure(supervised) == "")


async def test_a_gate_that_is_shut_before_the_start(supervise: Supervise) -> None:
    supervised = supervise(POLITE)
    supervised.gate.close(SUSPENDED)
    await asyncio.sleep(0.2)
    assert supervised.supervisor.pids() == []
    assert await supervised.supervisor.gone() == []


async def test_a_gate_that_is_shut_between_two_probes(
    supervise: Supervise, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervised = supervise("sys.exit(1)")
    await supervised.wait(lambda: supervised.restarts("exited") >= 1)
    supervised.gate.close(RELEASED)
    await supervised.supervisor.gone()
    ended = supervised.restarts("exited")
    await asyncio.sleep(0.3)
    assert supervised.restarts("exited") <= ended + 1
    assert failure(supervised) == "released"
    assert supervised.supervisor.pids() == []


async def test_what_fails_after_the_gate_was_shut_is_told(supervise: Supervise) -> None:
    supervised = supervise("sys.exit(1)")
    supervised.gate.close(RELEASED)
    await asyncio.sleep(0.1)
    supervised.gate.open(RELEASED)
    await supervised.wait(lambda: failure(supervised) == "probe_exited")


async def test_a_probe_that_does_not_end_at_a_shut_gate_is_left_behind(
    supervise: Supervise, tmp_path: Path
) -> None:
    supervised = supervise(DEAF)
    await supervised.wait(lambda: failure(supervised) == "")
    (pid,) = supervised.supervisor.pids()
    supervised.gate.close(RELEASED)
    assert await supervised.supervisor.gone() == [pid]
    assert supervised.abandoned() == 1
    assert psutil.pid_exists(pid)
    (tmp_path / f"probe.py.{pid}").touch()
    await supervised.wait(lambda: supervised.abandoned() == 0)
    assert await supervised.supervisor.gone() == []


async def test_a_gpu_that_was_left_out_is_tried_again_after_the_gate_was_shut(
    supervise: Supervise,
) -> None:
    supervised = supervise(POLITE)
    await supervised.wait(lambda: failure(supervised) == "")
    supervised.supervisor._suspects.accuse(1, time.monotonic())
    supervised.gate.close(RELEASED)
    await supervised.supervisor.gone()
    await supervised.wait(lambda: supervised.supervisor._suspects.skipped() == ())
