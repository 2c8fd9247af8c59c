"""Duties go on, whatever happens in one of them."""

import logging
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric

from gpuglass.keeper import metrics
from gpuglass.keeper.runner import Runner
from gpuglass.keeper.targets.keeper import TargetsKeeper

GENEROUS = 20


class Faulty:
    """A duty of which some checks raise, which ends the run after a number of them."""

    interval = 0.001

    def __init__(self, name: str, faults: int, checks: int) -> None:
        self.name = name
        self.done = threading.Event()
        self._faults, self._checks = faults, checks

    def check(self) -> None:
        self._checks -= 1
        if self._checks <= 0:
            self.done.set()
        self._faults -= 1
        if self._faults >= 0:
            raise RecursionError("nobody foresaw this")

    def collect(self) -> Iterable[Metric]:
        return ()


def page(runner: Runner) -> str:
    return generate_latest(metrics.registry([runner])).decode()


def test_a_duty_goes_on_after_a_fault_which_is_told(caplog: pytest.LogCaptureFixture) -> None:
    times = iter(range(1000, 10_000))
    duties = [Faulty("good", 0, 5), Faulty("bad", 2, 5), Faulty("worse", 1000, 5)]
    runner = Runner(duties, pause=0.001, clock=lambda: next(times))
    assert 'last_check_timestamp_seconds{duty="worse"} 1002.0' in page(runner)
    stop = threading.Event()
    thread = threading.Thread(target=runner.run, args=(stop,))
    thread.start()
    ended = [duty.done.wait(GENEROUS) for duty in duties]
    stop.set()
    thread.join()
    assert all(ended)
    told = page(runner)
    assert 'failures_total{duty="good"} 0.0' in told
    assert 'failures_total{duty="bad"} 2.0' in told
    # As at the start: none of its checks has come to its end.
    assert 'last_check_timestamp_seconds{duty="worse"} 1002.0' in told
    assert 'last_check_timestamp_seconds{duty="good"} 1000.0' not in told
    assert 'last_check_timestamp_seconds{duty="bad"} 1001.0' not in told
    faults = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert "bad: a fault of the keeper; please report it" in [r.getMessage() for r in faults]
    assert all(r.exc_info and r.exc_info[0] is RecursionError for r in faults)


def test_a_fault_in_the_first_check_does_not_keep_the_keeper_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets/a.yml").write_text("[]")
    keeper = TargetsKeeper(tmp_path / "targets", tmp_path / "published")

    def fault(path: Path) -> None:
        raise ValueError(path)

    monkeypatch.setattr(keeper, "read", fault)
    keeper.start()
    assert [r.getMessage() for r in caplog.records] == [
        "targets: a fault of the keeper; please report it"
    ]
