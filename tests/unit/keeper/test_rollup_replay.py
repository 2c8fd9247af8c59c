"""vmalert as the keeper runs it: what is asked of it, and when its word is not taken."""

import tempfile
import threading
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from gpuglass.keeper.http import Login
from gpuglass.keeper.rollups.plan import RULES, SCRAPE, Replay
from gpuglass.keeper.rollups.replay import Replayer, ReplayError, StoppedError, selector

REPLAY = Replay(SCRAPE, ("n1", "n.2"), 1_800_000_060, 1_800_000_060)


def replayer(folder: Path, script: str, stop: threading.Event | None = None) -> Replayer:
    program = folder / "vmalert"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return Replayer(
        program, folder / "minute.yml", "http://raw/", "http://tier", stop or threading.Event()
    )


def test_a_single_window_is_asked_for_as_a_range(tmp_path: Path) -> None:
    flags = dict(f.split("=", 1) for f in replayer(tmp_path, "").command(REPLAY)[1:] if "=" in f)
    assert flags["-replay.timeFrom"] == "2027-01-15T08:01:00Z"
    assert flags["-replay.timeTo"] == "2027-01-15T08:01:01Z"
    asked = urlsplit(flags["-datasource.url"])
    assert (asked.scheme, asked.netloc, asked.path) == ("http", "raw", "/")
    assert parse_qs(asked.query) == {"extra_filters[]": [selector(REPLAY)]}


def test_the_password_is_told_by_its_place(tmp_path: Path) -> None:
    assert not [f for f in replayer(tmp_path, "").command(REPLAY) if "basicAuth" in f]
    login = Login("gpuglass", tmp_path / "password")
    rules, stop = tmp_path / "minute.yml", threading.Event()
    asking = Replayer(tmp_path / "vmalert", rules, "http://raw", "http://tier", stop, login)
    assert {f for f in asking.command(REPLAY) if "basicAuth" in f} == {
        f"-{storage}.basicAuth.{flag}"
        for storage in ("datasource", "remoteWrite")
        for flag in ("username=gpuglass", f"passwordFile={login.file}")
    }


@pytest.mark.parametrize(
    ("replay", "filter"),
    [
        (REPLAY, r'{node=~"n1|n\\.2",__name__!~"ALERTS|ALERTS_FOR_STATE|.+:.+"}'),
        (Replay(SCRAPE, ("",), 0, 0), '{node="",__name__!~"ALERTS|ALERTS_FOR_STATE|.+:.+"}'),
        (
            Replay(SCRAPE, ('"}',), 0, 0),
            r'{node=~"\"\\}",__name__!~"ALERTS|ALERTS_FOR_STATE|.+:.+"}',
        ),
        (Replay(RULES, ("",), 0, 0), '{__name__=~"ALERTS|ALERTS_FOR_STATE|.+:.+"}'),
    ],
)
def test_nodes_and_rules_are_kept_apart(replay: Replay, filter: str) -> None:
    assert selector(replay) == filter


def test_silence_and_status_0_are_success(tmp_path: Path) -> None:
    replayer(tmp_path, "echo Replay mode").run(REPLAY)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 3", "vmalert ended with status 3"),
        ('echo \'{"level":"error","msg":"dropping 3 time series"}\' >&2', "dropping 3 time series"),
        ('echo \'{"level":"fatal","msg":"no"}\' >&2; exit 255', "no"),
        ("echo panic: oh >&2; exit 2", "panic: oh"),
        (f'echo \'{{"level":"error","msg":"{"x" * 200}{"y" * 200}"}}\' >&2', "x ... y"),
    ],
)
def test_any_complaint_is_a_failure(tmp_path: Path, script: str, reason: str) -> None:
    with pytest.raises(ReplayError) as raised:
        replayer(tmp_path, script).run(REPLAY)
    assert reason in str(raised.value)
    assert len(str(raised.value)) < 300


def test_warnings_are_none(tmp_path: Path) -> None:
    replayer(tmp_path, 'echo \'{"level":"warn","msg":"attempt 1 failed"}\' >&2').run(REPLAY)


def test_a_program_that_cannot_run_is_a_failure(tmp_path: Path) -> None:
    broken = replayer(tmp_path, "")
    (tmp_path / "vmalert").chmod(0o644)
    with pytest.raises(ReplayError, match=r"vmalert: Permission denied"):
        broken.run(REPLAY)


def test_it_is_given_up_when_the_keeper_ends(tmp_path: Path) -> None:
    stop = threading.Event()
    waiting = replayer(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 600", stop)
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(StoppedError):
        waiting.run(REPLAY)
    pid = int((tmp_path / "pid").read_text())
    assert not Path(f"/proc/{pid}/cmdline").exists()


def test_no_room_for_the_log_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(ReplayError, match=r"none.*: No such file or directory"):
        replayer(tmp_path, "").run(REPLAY)
