"""`gpuglass release`: the GPUs are let go, and come back by themselves."""

import subprocess
import time
from pathlib import Path

import psutil
import pytest
from tests.exporter.conftest import Start
from tests.exporter.process import PATIENCE, Counters, Page, Serve, run, shown
from tests.exporter.test_probe_process import ALONE, DOWN, OFTEN, up

FAST = (*OFTEN, *ALONE)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


@pytest.fixture
def serve(start: Start, place: Path) -> Serve:
    """An exporter with a control socket, which reads two GPUs."""
    serve = start(*FAST, "--control.socket", str(place))
    serve.wait_ready()
    return serve


def release(place: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return run("release", "--control.socket", str(place), *arguments)


def until(page: Page) -> list[float]:
    return page.values("gpuglass_released_until_timestamp_seconds")


def test_the_gpus_are_let_go_and_come_back(serve: Serve, place: Path) -> None:
    counters = Counters()
    before = counters.take(serve.page())
    assert until(before) == []
    probe = serve.probe()
    asked = time.time()
    result = release(place, "--for", "4s")
    # From this moment on, no process of the exporter holds a GPU.
    assert not probe.is_running()
    assert serve.children() == []
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("the GPUs are let go until 2")
    page = counters.take(serve.page())
    assert up(serve) == [0, 0]
    assert shown(page, "0") == DOWN
    assert page.value("gpuglass_collector_failure_info", collector="nvml") == 1
    assert page.value("gpuglass_collector_failure_info", reason="released") == 1
    assert page.value("gpuglass_collector_success", collector="nvml") == 0
    assert until(page) == [pytest.approx(asked + 4, abs=3)]
    ready = serve.get("/-/ready")
    assert (ready.status, ready.text) == (200, "ready, but for GPUs: released\n")

    def is_back() -> bool:
        page = counters.take(serve.page())
        assert serve.get("/-/ready").status == 200
        return page.values("gpu_up") == [1, 1]

    serve.wait(is_back)
    serve.wait_ready()
    after = counters.take(serve.page())
    assert time.time() >= asked + 4
    assert until(after) == []
    assert shown(after, "0") == shown(before, "0")
    assert sum(after.values("gpuglass_probe_restarts_total")) == 0
    assert {"gpu_energy_joules_total", "gpu_busy_seconds_total"} <= counters.names()


def test_they_are_taken_back_before_the_end(serve: Serve, place: Path) -> None:
    assert release(place).returncode == 0
    (first,) = until(serve.page())
    assert first == pytest.approx(time.time() + 600, abs=PATIENCE)
    # Asked again, the end changes: it may come earlier or later.
    assert release(place, "--for", "24h").returncode == 0
    assert until(serve.page()) == [pytest.approx(time.time() + 86400, abs=PATIENCE)]
    result = release(place, "--end")
    assert (result.returncode, result.stdout) == (0, "the GPUs are read again\n")
    serve.wait_ready()
    assert up(serve) == [1, 1]
    result = release(place, "--end")
    assert (result.returncode, result.stdout) == (0, "the GPUs were not let go\n")


def test_a_probe_that_cannot_end_is_told_of(serve: Serve, place: Path) -> None:
    probe = serve.probe()
    probe.suspend()
    try:
        result = release(place, "--for", "1m")
        assert (result.returncode, result.stdout) == (1, "")
        (line,) = result.stderr.splitlines()
        assert line.startswith("gpuglass: error: a process of the exporter does not end")
        assert f": {probe.pid};" in line
        assert probe.status() == psutil.STATUS_STOPPED
        assert serve.page().value("gpuglass_probe_abandoned") == 1
        assert up(serve) == [0, 0]
    finally:
        probe.resume()
    psutil.wait_procs([probe], PATIENCE)
    assert release(place, "--for", "1m").returncode == 0
    assert release(place, "--end").returncode == 0
    serve.wait_ready()


def test_without_gpus_there_is_nothing_to_let_go(start: Start, place: Path) -> None:
    start("--no-collector.nvml", *ALONE, "--control.socket", str(place))
    result = release(place)
    assert (result.returncode, result.stderr) == (0, "")
    assert "reads no GPUs" in result.stdout
    assert release(place, "--end").stdout == "the GPUs were not let go\n"


def test_the_socket_ends_with_the_exporter(serve: Serve, place: Path) -> None:
    assert place.is_socket()
    assert serve.stop() == 0
    assert not place.exists()


def test_an_exporter_that_is_killed_leaves_a_socket_that_the_next_one_replaces(
    start: Start, serve: Serve, place: Path
) -> None:
    serve.process.kill()
    serve.process.wait(PATIENCE)
    assert place.is_socket()
    result = release(place)
    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line == f"gpuglass: error: no exporter listens at {place}; is gpuglass serve running?"
    second = start(*FAST, "--control.socket", str(place))
    second.wait(lambda: release(place).returncode == 0)


def test_a_second_exporter_warns_once_and_goes_on(start: Start, serve: Serve, place: Path) -> None:
    second = start(*FAST, "--control.socket", str(place))
    second.wait_ready()
    assert release(place).returncode == 0
    assert up(serve) == [0, 0]
    assert up(second) == [1, 1]
    assert second.stop() == 0
    assert place.is_socket()
    warnings = [line for line in second.log().splitlines() if "level=warn" in line]
    assert len(warnings) == 1
    assert "another exporter listens there" in warnings[0]


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("--for", "10"), 2, "no duration"),
        (("--for", "25h"), 2, "between"),
        (("--for", "0s"), 2, "between"),
        (("--for", "1m", "--end"), 2, "choose one"),
        (("now",), 2, "now"),
        (("--control.socket", "/nonexistent/control.sock"), 1, "no exporter listens at"),
    ],
)
def test_mistakes(arguments: tuple[str, ...], code: int, word: str) -> None:
    result = run("release", *arguments, GPUGLASS_CONTROL_SOCKET="/nonexistent")
    assert (result.returncode, result.stdout) == (code, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("gpuglass: error: ")
    assert word in line


def test_where_systemd_says(start: Start, tmp_path: Path) -> None:
    folder = {"RUNTIME_DIRECTORY": str(tmp_path), "GPUGLASS_CONTROL_SOCKET": ""}
    serve = start(*FAST, **folder)
    serve.wait(lambda: (tmp_path / "control.sock").is_socket())
    assert release(tmp_path / "control.sock").returncode == 0
    assert serve.children() == []
