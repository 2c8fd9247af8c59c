"""Calls that never return, or crash: the page goes on, and the GPUs come back by themselves.

Minutes of patience are seconds here, so the exporter runs inside of the test; its probe is real.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest
from tests.conftest import ROOT
from tests.exporter.process import Counters, Page, play, shown

from gpuglass.catalogue import groups
from gpuglass.pipeline import supervisor
from gpuglass.pipeline.exporter import Exporter, Settings
from gpuglass.pipeline.supervisor import Patience

LOADED = "gpus 2 preset=h200\nload gpu=* constant 0.5\n"
DOWN = {"gpu_info", "gpu_up", "gpu_data_age_seconds"}
OFTEN = groups.intervals(0.1, 0.1, {}, {})
PATIENCE = 30.0


class Inside:
    """An exporter in this process; no counter may fall from one page to the next."""

    def __init__(self, patience: Patience) -> None:
        settings = Settings("n", OFTEN, fast=0.1, slow=0.1, deadline=1.0, patience=patience)
        self.exporter = Exporter(settings, [])
        self.counters = Counters()
        self.exporter.start()

    def page(self) -> Page:
        return self.counters.take(Page(self.exporter.page().decode()))

    def up(self) -> list[float]:
        return self.page().values("gpu_up")

    def healthy(self) -> bool:
        """Whether the GPU that nothing is wrong with is up."""
        return self.page().values("gpu_up", gpu="0") == [1]

    def restarts(self, cause: str) -> float:
        return self.page().value("gpuglass_probe_restarts_total", cause=cause)

    def late(self) -> list[tuple[str, str]]:
        """The calls that do not return, with the GPU that is asked."""
        return [
            (sample.labels["gpu"], sample.labels["call"])
            for sample in self.page().samples
            if sample.name == "gpuglass_probe_waiting_seconds"
        ]

    def failure(self) -> str:
        return self.exporter.trouble()

    async def wait(
        self, condition: Callable[[], bool], always: Callable[[], bool] = lambda: True
    ) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert always()
            assert time.monotonic() < deadline, self.exporter.page().decode()
            await asyncio.sleep(0.05)


Begin = Callable[..., Inside]


@pytest.fixture
async def begin(
    simulator: Path, scenario: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Begin]:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(simulator))
    monkeypatch.setenv("GPUGLASS_SIM_SCENARIO", str(scenario))
    monkeypatch.setattr(supervisor, "_LONGEST_DELAY", 1.0)
    running: list[Inside] = []

    def begin(**patience: float) -> Inside:
        running.append(Inside(Patience(**patience)))
        return running[-1]

    yield begin
    for inside in running:
        await inside.exporter.stop()


def hang(gpu: int, call: str, seconds: float | None = None, after: float = 0.0) -> str:
    """A fault that begins at the next moment of a scenario that starts now."""
    window = f" for {seconds}s" if seconds else ""
    return f"at {after}s{window} hang gpu={gpu} call={call}\n"


def now(*faults: str) -> str:
    return f"start {time.time():.3f}\n{LOADED}{''.join(faults)}"


async def test_a_call_that_hangs_for_ever_costs_its_gpu_alone(begin: Begin, scenario: Path) -> None:
    play(scenario, LOADED)
    inside = begin(stuck=4.0)
    await inside.wait(lambda: inside.up() == [1, 1])
    play(scenario, LOADED + hang(1, "nvmlDeviceGetClockInfo"))
    await inside.wait(lambda: inside.up() == [1, 0], inside.healthy)
    assert inside.failure() == "silent"
    assert shown(inside.page(), "1") == DOWN
    # The thread in that call is lost; a call in another process gets through, once there is one.
    play(scenario, LOADED)
    await inside.wait(lambda: inside.restarts("retried") == 1, inside.healthy)
    await inside.wait(lambda: inside.up() == [1, 1], inside.healthy)
    assert inside.late() == []
    assert inside.restarts("silent") == inside.page().value("gpuglass_probe_abandoned") == 0


async def test_the_next_probe_leaves_the_first_that_hung_alone(
    begin: Begin, scenario: Path
) -> None:
    """As a card does that holds a lock of the driver: after its call, none returns."""
    play(scenario, LOADED)
    inside = begin(skip=3.0)
    await inside.wait(lambda: inside.up() == [1, 1])
    play(
        scenario,
        now(
            hang(1, "nvmlDeviceGetClockInfo"),
            hang(0, "nvmlDeviceGetPerformanceState", seconds=2.5, after=0.5),
        ),
    )
    await inside.wait(lambda: inside.restarts("silent") == 1)
    await inside.wait(lambda: inside.up() == [1, 0])
    assert inside.failure() == "skipped"
    assert shown(inside.page(), "1") == DOWN
    assert inside.late() == []
    play(scenario, LOADED)
    await inside.wait(lambda: inside.up() == [1, 1], inside.healthy)
    assert inside.restarts("retried") == inside.restarts("silent") == 1


async def test_every_call_hangs(
    begin: Begin, scenario: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also that which starts NVML: then the probe has not even got as far as a GPU."""
    monkeypatch.setattr(supervisor, "_FIRST_ANSWER_SECONDS", 2.0)
    play(scenario, LOADED)
    inside = begin(skip=1.0)
    await inside.wait(lambda: inside.up() == [1, 1])
    children = psutil.Process().children()
    first = [child for child in children if "gpuglass.probe" in child.cmdline()]
    assert len(first) == 1
    play(scenario, f"{LOADED}at 0s hang call=*\n")
    await inside.wait(lambda: inside.restarts("silent") == 1)
    assert inside.up() == [0, 0]
    assert shown(inside.page(), "0") == shown(inside.page(), "1") == DOWN
    assert "gpu_devices" not in inside.page().text
    await inside.wait(
        lambda: bool(
            inside.page().values(
                "gpuglass_probe_waiting_seconds", gpu="", uuid="", call="nvmlInit_v2"
            )
        )
    )
    assert not any(process.is_running() for process in first)
    await inside.wait(lambda: inside.restarts("silent") == 2)
    play(scenario, LOADED)
    await inside.wait(lambda: inside.up() == [1, 1])
    assert inside.page().value("gpuglass_probe_abandoned") == 0


async def test_a_library_that_crashes_in_a_call_on_one_gpu(begin: Begin, scenario: Path) -> None:
    play(scenario, LOADED)
    inside = begin(skip=6.0)
    await inside.wait(lambda: inside.up() == [1, 1])
    play(scenario, f"{LOADED}at 0s segfault gpu=1 call=nvmlDeviceGetPerformanceState\n")
    await inside.wait(lambda: inside.restarts("crashed") == 1)
    await inside.wait(lambda: inside.up() == [1, 0])
    assert inside.failure() == "skipped"
    play(scenario, LOADED)
    await inside.wait(lambda: inside.up() == [1, 1], inside.healthy)
    assert inside.restarts("crashed") == inside.restarts("retried") == 1
    assert inside.restarts("silent") == inside.restarts("exited") == 0


async def test_a_library_that_crashes_in_a_call_on_no_gpu(begin: Begin, scenario: Path) -> None:
    play(scenario, f"{LOADED}at 0s segfault call=nvmlSystemGetDriverVersion\n")
    inside = begin()
    await inside.wait(lambda: inside.restarts("crashed") >= 2)
    assert "gpu_devices" not in inside.page().text
    play(scenario, LOADED)
    await inside.wait(lambda: inside.up() == [1, 1])


async def test_a_gpu_that_hangs_from_the_start(begin: Begin, scenario: Path) -> None:
    """It has no name yet, and the others do not wait for it."""
    play(scenario, LOADED + hang(1, "nvmlDeviceGetUUID"))
    inside = begin(stuck=3.0)
    await inside.wait(lambda: inside.up() == [1])
    await inside.wait(lambda: inside.failure() == "silent" and inside.exporter.complete())
    assert inside.late() == [("1", "nvmlDeviceGetUUID")]
    play(scenario, LOADED)
    await inside.wait(lambda: inside.up() == [1, 1], inside.healthy)
    assert inside.failure() == ""


def test_the_causes_of_restarts_are_in_the_handbook() -> None:
    handbook = (ROOT / "docs" / "operations.md").read_text("utf-8")
    for cause in supervisor._CAUSES:
        assert re.search(rf"`{cause}`", handbook), cause
