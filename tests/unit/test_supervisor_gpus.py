"""The supervisor and GPUs that do not answer."""

import asyncio
import time
from pathlib import Path

import pytest
from tests.unit.devices import new_devices
from tests.unit.supervised import ALIVE, TWO_GPUS, Supervise

from gpuglass.catalogue import device
from gpuglass.pipeline import supervisor as module
from gpuglass.pipeline.supervisor import PATIENCE, Patience, Supervisor
from gpuglass.probe import frames
from gpuglass.probe.request import Request

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
