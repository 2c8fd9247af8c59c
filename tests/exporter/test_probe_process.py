"""The probe dies, hangs, is frozen or told to end; the page goes on and the counters too."""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.exporter.conftest import Start
from tests.exporter.process import PATIENCE, Counters, Serve, environment, play, shown
from tests.simulator.model import Constant, Gpu, energy_joules
from tests.simulator.presets import PRESETS

from gpuglass.probe import frames
from gpuglass.probe.request import Request, encode

ALONE = tuple(
    f"--no-collector.{name}"
    for name in ("cpu", "disk", "filesystem", "memory", "network", "pressure", "system")
)
OFTEN = ("--probe.interval", "100ms", "--probe.slow-interval", "100ms")
# The performance monitor tells nothing of a time that stands still.
FROZEN = (*OFTEN, "--no-collector.gpm")
# Long enough for a busy machine to read two GPUs in.
IMPATIENT = (*OFTEN, "--probe.deadline", "3s", *ALONE)

LOADED = "gpus 2 preset=h200\nload gpu=* constant 0.5\n"
GPU = Gpu(PRESETS["h200"], Constant(0.5))
# What is shown of a GPU that does not answer.
DOWN = {"gpu_info", "gpu_up", "gpu_data_age_seconds"}


def restarts(serve: Serve, cause: str) -> float:
    return serve.page().value("gpuglass_probe_restarts_total", cause=cause)


def up(serve: Serve) -> list[float]:
    return serve.page().values("gpu_up")


def test_the_readings_of_a_round_are_told_in_one_piece(simulator: Path, scenario: Path) -> None:
    play(scenario, "gpus 8 preset=h200\n")
    probe = subprocess.Popen(
        [sys.executable, "-m", "gpuglass.probe", encode(Request({"core": 0.5}))],
        env=environment(simulator, scenario),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert probe.stdout
    assert probe.stdin
    try:
        whole = 0
        begin = time.monotonic()
        while whole < 3:
            assert time.monotonic() < begin + PATIENCE
            piece = os.read(probe.stdout.fileno(), 1 << 16)
            kinds = [type(frames.decode(line)) for line in piece.splitlines()]
            whole += kinds == [*[frames.Reading] * 8, frames.Alive]
    finally:
        probe.stdin.close()
        probe.wait(PATIENCE)
        probe.stdout.close()


def test_a_probe_that_is_killed_is_replaced_and_nothing_is_counted_twice_or_lost(
    start: Start, scenario: Path
) -> None:
    play(scenario, f"freeze 1000\n{LOADED}")
    serve = start(*FROZEN)
    serve.wait_ready()
    counters = Counters()
    before = counters.take(serve.page())
    energy = energy_joules(GPU, 1000)
    assert before.values("gpu_energy_joules_total") == [pytest.approx(energy, abs=1e-3)] * 2
    for moment in (1100, 1250):
        crashed = restarts(serve, "crashed")
        serve.probe().kill()
        serve.wait(lambda: counters.take(serve.page()).values("gpu_up") == [0, 0])
        assert shown(serve.page(), "0") == DOWN
        assert "gpu_devices" not in serve.page().text
        play(scenario, f"freeze {moment}\n{LOADED}")
        serve.wait(lambda: counters.take(serve.page()).values("gpu_up") == [1, 1])
        assert restarts(serve, "crashed") == crashed + 1
        energy = energy_joules(GPU, moment)
        after = counters.take(serve.page())
        assert after.values("gpu_energy_joules_total") == [pytest.approx(energy, abs=1e-3)] * 2
        assert shown(after, "0") == shown(before, "0")
    assert {"gpu_energy_joules_total", "gpu_busy_seconds_total"} <= counters.names()
    assert {"gpu_pcie_bytes_total", "gpuglass_process_cpu_seconds_total"} <= counters.names()
    assert {"gpuglass_probe_restarts_total", "host_cpu_seconds_total"} <= counters.names()


def test_a_drivers_counter_that_starts_anew_goes_on(start: Start, scenario: Path) -> None:
    play(scenario, f"freeze 1000\n{LOADED}")
    serve = start(*OFTEN, *ALONE)
    serve.wait_ready()
    before = serve.page().value("gpu_energy_joules_total", gpu="0")
    reset = "at 1001s reset-counters gpu=0\n"
    play(scenario, f"freeze 1011\n{LOADED}{reset}")
    expected = [before + energy_joules(GPU, 10), energy_joules(GPU, 1011)]
    serve.wait(
        lambda: (
            serve.page().values("gpu_energy_joules_total")
            == [pytest.approx(value, abs=2e-3) for value in expected]
        )
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_exporter_ends_with_its_probe(start: Start, number: signal.Signals) -> None:
    serve = start(*ALONE)
    serve.wait_ready()
    children = serve.children()
    assert len(children) == 1
    serve.process.send_signal(number)
    assert serve.process.wait(PATIENCE) == 0
    assert not any(child.is_running() for child in children)


def test_a_probe_whose_parent_is_killed_ends(start: Start) -> None:
    serve = start(*ALONE)
    serve.wait_ready()
    (child,) = serve.children()
    serve.process.kill()
    serve.process.wait(PATIENCE)
    child.wait(PATIENCE)


def test_a_call_that_hangs_on_one_gpu(start: Start, scenario: Path) -> None:
    serve = start(*OFTEN, *ALONE)
    serve.wait_ready()
    fault = "at 0s for 9s hang gpu=1 call=nvmlDeviceGetClockInfo\n"
    play(scenario, f"start {time.time():.3f}\n{LOADED}{fault}")
    serve.wait(lambda: up(serve) == [1, 0])
    page = serve.page()
    assert shown(page, "1") == DOWN
    assert page.value("gpu_data_age_seconds", gpu="1") >= 5
    assert page.value("gpuglass_collector_failure_info", reason="silent") == 1
    assert page.value("gpu_utilization_ratio", gpu="0") == 0.5
    (late,) = (s for s in page.samples if s.name == "gpuglass_probe_waiting_seconds")
    (down,) = (s for s in page.samples if s.name == "gpu_up" and s.value == 0)
    assert late.labels == {**down.labels, "call": "nvmlDeviceGetClockInfo"}
    assert 4 < late.value < PATIENCE
    serve.wait(lambda: up(serve) == [1, 1])
    serve.wait(lambda: not serve.page().values("gpuglass_probe_waiting_seconds"))
    serve.wait_ready()
    assert sum(serve.page().values("gpuglass_probe_restarts_total")) == 0


@pytest.fixture
def frozen() -> Iterator[list[psutil.Process]]:
    """Processes that a test stops; they go on after it, and have to end by themselves then."""
    stopped: list[psutil.Process] = []
    yield stopped
    for process in stopped:
        if process.is_running():
            process.resume()
    assert psutil.wait_procs(stopped, PATIENCE)[1] == []


def test_a_probe_that_is_frozen_is_left_behind_but_not_killed(
    start: Start, scenario: Path, frozen: list[psutil.Process]
) -> None:
    # A call that is slow is no reason to leave its GPU alone.
    play(scenario, f"{LOADED}latency nvmlDeviceGetUtilizationRates=600ms\n")
    serve = start(*IMPATIENT)
    serve.wait_ready()
    time.sleep(0.4)  # into that call
    counters = Counters()
    first = serve.probe()
    frozen.append(first)
    first.suspend()
    serve.wait(
        lambda: (
            counters.take(serve.page()).value("gpuglass_probe_restarts_total", cause="silent") == 1
        )
    )
    page = serve.page()
    assert page.value("gpuglass_probe_abandoned") == 1
    serve.wait(lambda: counters.take(serve.page()).values("gpu_up") == [1, 1])
    assert first.status() == psutil.STATUS_STOPPED
    # Once it goes on, it finds that it was asked to end, and is no longer counted.
    first.resume()
    serve.wait(lambda: counters.take(serve.page()).value("gpuglass_probe_abandoned") == 0)

    # Nor does the exporter's own end kill a probe that cannot end.
    second = serve.probe()
    frozen.append(second)
    second.suspend()
    assert serve.stop() == 0
    assert second.status() == psutil.STATUS_STOPPED


def test_counters_never_fall_from_page_to_page(start: Start, scenario: Path) -> None:
    play(
        scenario,
        "gpus 2\ngpu 1 preset=a100\nload gpu=* wave min=0.1 max=0.9 period=2s\n"
        f"start {time.time():.3f}\nat 2s every 1s reset-counters gpu=0\npcie-counter-bits 33\n",
    )
    serve = start("--probe.interval", "50ms", "--probe.slow-interval", "50ms")
    serve.wait_ready()
    counters = Counters()
    probe = serve.probe()
    begin = counters.take(serve.page()).value("gpu_energy_joules_total", gpu="0")
    for turn in itertools.count():
        page = counters.take(serve.page())
        if turn == 20:
            probe.kill()
        energy = page.values("gpu_energy_joules_total", gpu="0")
        if turn > 40 and energy and energy[0] > begin + 1500:
            break
        time.sleep(0.02)


NOISY = """\
import os, threading, time

def print_when_told():
    while not os.path.exists(os.environ["NOISE"]):
        time.sleep(0.01)
    for _ in range(100):
        os.write(1, b"noise")

threading.Thread(target=print_when_told, daemon=True).start()
"""


def test_what_a_library_prints_is_not_taken_for_a_frame(start: Start, tmp_path: Path) -> None:
    """The stand-in prints nothing there; a module that Python loads by itself does."""
    (tmp_path / "sitecustomize.py").write_text(NOISY)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    play(tmp_path / "scenario.conf", LOADED)
    serve = start(*OFTEN, *ALONE, PYTHONPATH=path, NOISE=str(tmp_path / "noise"))
    serve.wait_ready()
    (tmp_path / "noise").touch()
    busy = serve.page().value("gpu_busy_seconds_total", gpu="0")
    serve.wait(lambda: serve.page().value("gpu_busy_seconds_total", gpu="0") > busy + 0.3)
    serve.stop()
    assert "noise" in serve.log()
    assert "cannot be used" not in serve.log()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 has no PYTHONSAFEPATH")
def test_the_probe_does_not_take_a_module_from_the_working_directory(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pynvml.py").write_text("raise SystemExit('the wrong pynvml')\n")
    monkeypatch.chdir(tmp_path)
    start(*ALONE).wait_ready()


def test_a_probe_touches_no_gpu_that_it_is_told_to_leave_alone(
    simulator: Path, scenario: Path
) -> None:
    """Nor for its XIDs: each call on it would be the process's end."""
    play(scenario, f"{LOADED}at 0s segfault gpu=1 call=*\n")
    asked = Request({"core": 0.1, "processes": 0.1}, xids=True, skip=(1,))
    with subprocess.Popen(
        [sys.executable, "-m", "gpuglass.probe", encode(asked)],
        env=environment(simulator, scenario),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as probe:
        assert probe.stdout
        told: list[frames.Frame] = []
        while [frame.kind for frame in told].count("reading") < 10:
            told.append(frames.decode(probe.stdout.readline()))
        probe.terminate()
        assert probe.wait(PATIENCE) == 0
    assert [f for f in told if isinstance(f, frames.Down)] == [frames.Down("", 1, "skipped")]
    assert [f.index for f in told if isinstance(f, frames.Device)] == [0]
