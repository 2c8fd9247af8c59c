"""The supervisor and probes that misbehave; each is a real process."""

import asyncio
import gc
import subprocess
from pathlib import Path

import psutil
import pytest
from tests.unit.devices import new_devices
from tests.unit.supervised import ALIVE, DEAF, TWO_GPUS, Supervise

from gpuglass.pipeline import supervisor as module
from gpuglass.pipeline.supervisor import Supervisor
from gpuglass.probe.request import Request


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


async def test_half_of_what_is_told_is_no_news_yet(supervise: Supervise, tmp_path: Path) -> None:
    rest = tmp_path / "rest"
    supervised = supervise(
        f"""
        say(DRIVER + {ALIVE[:5]!r})
        sys.stdout.flush()
        while not os.path.exists({str(rest)!r}):
            time.sleep(0.01)
        say({ALIVE[5:]!r})
        sys.stdout.flush()
        time.sleep(60)
        """
    )
    await supervised.wait(lambda: supervised.devices.status(0).failure == "")
    await asyncio.sleep(0.05)
    assert supervised.devices.changed_at == 0
    rest.touch()
    await supervised.wait(lambda: supervised.devices.changed_at > 0)


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
