"""The supervisor and probes that misbehave; each is a real process."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest
from tests.unit.devices import new_devices

from gpuglass.catalogue import device
from gpuglass.catalogue import exporter as metrics
from gpuglass.pipeline import supervisor as module
from gpuglass.pipeline.gate import RELEASED, SUSPENDED, Gate
from gpuglass.pipeline.supervisor import PATIENCE, Patience, Supervisor
from gpuglass.probe import frames
from gpuglass.probe.request import Request

LONG = 20.0
DRIVER = frames.encode(frames.Driver("580.1", "13.580.1", "13.0", 0))


class Supervised:
    """A supervisor whose probe is a program of the test."""

    def __init__(self, program: Path, deadline: float, patience: Patience) -> None:
        self.devices = new_devices({"core": 0.1})
        self.gate = Gate(self.devices)
        request = Request({"core": 0.1})
        self.supervisor = Supervisor(self.devices, request, deadline, patience, self.gate)
        self.supervisor._command = (sys.executable, str(program))
        self.task = asyncio.create_task(self.supervisor.run())

    def restarts(self, cause: str) -> float:
        return self._values()[metrics.PROBE_RESTARTS, cause]

    def abandoned(self) -> float:
        return self._values()[metrics.PROBE_ABANDONED, ""]

    def _values(self) -> dict[object, float]:
        block = self.supervisor.block()
        keys = [(metric, labels[0] if labels else "") for metric, labels in block.series]
        return {k: v for k, v in zip(keys, block.values, strict=True) if v is not None}

    async def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LONG
        while not condition():
            assert not self.task.done(), self.task.exception()
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


Supervise = Callable[..., Supervised]


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


async def test_what_cannot_be_used_does_not_stop_the_rest(
    supervise: Supervise, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither a line of garbage, nor one too long, nor a frame that makes no sense."""
    supervised = supervise(
        """
        say(b"garbage\\n")
        say(b'{"kind":"reading","uuid":"GPU-9","time":1,"duration":1,"values":{}}\\n')
        say(b'{"kind":"device","uuid":"G","index":0,"info":{},"columns":{},"missing":[]}\\n')
        say(b"x" * 3_000_000 + b"\\n")
        say(DRIVER)
        sys.stdout.flush()
        time.sleep(60)
        """
    )
    await supervised.wait(lambda: supervised.devices.status(0).failure == "")
    assert supervised.restarts("exited") == supervised.restarts("silent") == 0
    assert "cannot be used" in caplog.text


ALIVE = frames.encode(frames.Alive([]))
TWO_GPUS = frames.encode(frames.Driver("580.1", "13.580.1", "13.0", 2))


@pytest.mark.parametrize("first", [b"", TWO_GPUS], ids=["in its start", "in each GPU's first call"])
async def test_a_probe_that_hangs_before_its_first_answer_is_replaced(
    supervise: Supervise, monkeypatch: pytest.MonkeyPatch, first: bytes
) -> None:
    monkeypatch.setattr(module, "_FIRST_ANSWER_SECONDS", 0.5)
    supervised = supervise(
        f"""
        say({first!r})
        while True:
            say({ALIVE!r})
            sys.stdout.flush()
            time.sleep(0.05)
        """
    )
    await supervised.wait(lambda: supervised.restarts("silent") >= 2)


async def test_a_probe_without_gpus_has_nothing_to_tell(
    supervise: Supervise, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FIRST_ANSWER_SECONDS", 0.2)
    supervised = supervise(
        f"""
        say(DRIVER)
        for _ in range(60):
            say({ALIVE!r})
            sys.stdout.flush()
            time.sleep(0.05)
        """
    )
    await supervised.wait(lambda: supervised.restarts("exited") == 1)
    assert supervised.restarts("silent") == 0


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("sys.exit(75)", "renewed"),
        ("sys.exit(0)", "exited"),
        ("sys.exit(1)", "exited"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crashed"),
    ],
)
async def test_an_end_is_counted_by_its_cause(supervise: Supervise, code: str, cause: str) -> None:
    supervised = supervise(code)
    await supervised.wait(lambda: supervised.restarts(cause) >= 2)
    others = {"renewed", "exited", "crashed", "silent"} - {cause}
    assert all(supervised.restarts(other) == 0 for other in others)
    assert supervised.devices.status(0).failure in ("starting", f"probe_{cause}")


async def test_silence_is_ended_politely(supervise: Supervise, tmp_path: Path) -> None:
    note = tmp_path / "note"
    supervised = supervise(
        f"""
        def end(*_):
            open({str(note)!r}, "a").write("asked\\n")
            os._exit(0)
        signal.signal(signal.SIGTERM, end)
        say(DRIVER)
        sys.stdout.flush()
        time.sleep(60)
        """,
        deadline=1.0,
    )
    await supervised.wait(lambda: supervised.restarts("silent") == 1)
    assert note.read_text() == "asked\n"
    assert supervised.abandoned() == 0


async def test_a_probe_that_closes_its_pipe_and_lives_on_is_replaced(supervise: Supervise) -> None:
    supervised = supervise("os.close(1)\ntime.sleep(60)")
    await supervised.wait(lambda: supervised.restarts("silent") == 1)
    assert supervised.abandoned() == 0


DEAF = """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say(DRIVER)
    sys.stdout.flush()
    while True:
        time.sleep(0.05)
        if os.path.exists(f"{__file__}.{os.getpid()}"):
            os._exit(0)
"""


async def test_a_probe_that_does_not_end_is_left_behind_and_never_killed(
    supervise: Supervise, tmp_path: Path
) -> None:
    supervised = supervise(DEAF, deadline=1.0)
    await supervised.wait(lambda: supervised.supervisor.pids() != [])
    (first,) = supervised.supervisor.pids()
    await supervised.wait(lambda: supervised.abandoned() == 2)
    # No third one is started beside two that are stuck.
    await asyncio.sleep(0.5)
    stuck = supervised.supervisor.pids()
    assert len(stuck) == 2
    assert first in stuck
    for pid in stuck:
        (tmp_path / f"probe.py.{pid}").touch()
    await supervised.wait(lambda: supervised.abandoned() == 0)
    await supervised.wait(lambda: supervised.supervisor.pids() != [])
    (last,) = supervised.supervisor.pids()
    await supervised.wait(lambda: supervised.devices.status(0).failure == "")
    await supervised.stop()
    gc.collect()
    assert psutil.Process(last).status() != psutil.STATUS_ZOMBIE


# A GPU that does not answer

WAITING = [frames.Waiting(-1, "f", 9.0), frames.Waiting(0, "g", 2.0), frames.Waiting(1, "h", 5.0)]
HANGING = f"""
    import json
    asked = json.loads(sys.argv[1])["skip"]
    with open(f"{{__file__}}.asked", "a") as file:
        print(asked, file=file)
    say({TWO_GPUS!r})
    for index in asked:
        say({frames.encode(frames.Down("", 1, "skipped"))!r})
    while True:
        say({frames.encode(frames.Alive(WAITING))!r})
        sys.stdout.flush()
        time.sleep(0.05)
"""


async def test_the_gpu_that_has_waited_longest_is_left_out_next_time(
    supervise: Supervise, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "_FIRST_ANSWER_SECONDS", 0.5)
    supervised = supervise(HANGING)
    await supervised.wait(lambda: supervised.restarts("silent") == 2)
    asked = (tmp_path / "probe.py.asked").read_text().split("\n")
    assert asked[:2] == ["[]", "[1]"]


async def test_after_a_renewal_indexes_may_mean_others(
    supervise: Supervise, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As the number of GPUs changed, for example: none of them is left out then."""
    monkeypatch.setattr(module, "_FIRST_ANSWER_SECONDS", 0.5)
    renewed = HANGING.replace(
        "    while True:", "    if asked:\n        sys.exit(75)\n    while True:"
    )
    supervised = supervise(renewed)
    await supervised.wait(lambda: supervised.restarts("silent") == 2)
    asked = (tmp_path / "probe.py.asked").read_text().split("\n")
    assert asked[:3] == ["[]", "[1]", "[]"]
    assert supervised.restarts("renewed") == 1


BROKEN = f"""
    say({frames.encode(frames.Driver("580.1", "13.580.1", "13.0", 1))!r})
    say({frames.encode(frames.Down("", 0, "gpu_is_lost"))!r})
    if os.path.exists(f"{{__file__}}.deaf"):
        os.unlink(f"{{__file__}}.deaf")
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.stdout.flush()
    while not os.path.exists(f"{{__file__}}.{{os.getpid()}}"):
        try:
            os.write(1, {ALIVE!r})
        except BrokenPipeError:
            pass
        time.sleep(0.05)
"""


async def test_nothing_is_tried_beside_a_probe_that_was_left_behind(
    supervise: Supervise, tmp_path: Path
) -> None:
    """The next one might hang as well, and take the GPUs that answer with it."""
    (tmp_path / "probe.py.deaf").touch()
    supervised = supervise(BROKEN, patience=Patience(stuck=0.5, longest_stuck=0.5))
    await supervised.wait(lambda: supervised.abandoned() == 1)
    assert supervised.restarts("retried") == 1
    (stuck,) = [process.pid for process in supervised.supervisor._abandoned]
    await asyncio.sleep(3)
    assert supervised.restarts("retried") == 1
    (tmp_path / f"probe.py.{stuck}").touch()
    await supervised.wait(lambda: supervised.abandoned() == 0)
    await supervised.wait(lambda: supervised.restarts("retried") >= 2)


async def test_what_is_down_for_long_is_tried_less_and_less_often(supervise: Supervise) -> None:
    supervised = supervise(BROKEN, patience=Patience(stuck=0.2, longest_stuck=60.0))
    await supervised.wait(lambda: supervised.restarts("retried") == 2)
    assert supervised.supervisor._stuck == pytest.approx(0.8)
    assert supervised.restarts("silent") == 0


def test_once_all_gpus_answer_again_the_next_failure_is_the_first() -> None:
    devices = new_devices({"core": 1.0})
    supervisor = Supervisor(devices, Request({"core": 1.0}), 15.0)
    now = time.monotonic()
    info = dict.fromkeys(device.INFO_.labels[2:], "")
    for frame in (
        frames.Driver("580.1", "13.580.1", "13.0", 1),
        frames.Device("GPU-0", 0, info, {"core": []}, [], {}),
        frames.Reading("GPU-0", now, 0.001, {"core": []}),
    ):
        devices.take(frame)
    supervisor._stuck = 1200
    supervisor._suspects.accuse(0, now)
    supervisor._suspects.release_all()
    # It has not shown yet that it answers for longer than a moment.
    assert not supervisor._should_retry(now - 59, now)
    assert supervisor._stuck == PATIENCE.stuck
    supervisor._suspects.accuse(0, now)
    assert not supervisor._suspects.due(now + 119)
    supervisor._suspects.release_all()
    assert not supervisor._should_retry(now - 61, now)
    supervisor._suspects.accuse(0, now)
    assert supervisor._suspects.due(now + 60)


async def test_a_driver_that_does_not_start_is_tried_for_as_long_as_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ten minutes of it, in no time: twice a minute at the least."""
    slept: list[float] = []

    async def renew(self: Supervisor, crash: int) -> str:
        if sum(slept) > 600:
            raise asyncio.CancelledError
        return "renewed"

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(Supervisor, "_run_probe", renew)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await Supervisor(new_devices({"core": 0.1}), Request({"core": 0.1}), 15.0).run()
    assert slept[:3] == [0.5, 1.0, 2.0]
    assert max(slept) == 30


async def test_a_probe_that_cannot_be_started(
    supervise: Supervise, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", refuse)
        supervised = supervise("say(DRIVER)\nsys.stdout.flush()\ntime.sleep(60)")
        await supervised.wait(lambda: supervised.restarts("exited") >= 2)
    await supervised.wait(lambda: supervised.devices.status(0).failure == "")


async def test_stopping_ends_the_probe(supervise: Supervise) -> None:
    supervised = supervise("say(DRIVER)\nsys.stdout.flush()\ntime.sleep(60)")
    await supervised.wait(lambda: supervised.devices.status(0).failure == "")
    (pid,) = supervised.supervisor.pids()
    await supervised.stop()
    assert supervised.supervisor.pids() == []
    assert not psutil.pid_exists(pid)


# The gate

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
