"""A laptop: its card is not woken, may fall asleep, and is read again when somebody wakes it."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.exporter.conftest import Start
from tests.exporter.process import Counters, Serve, play, run
from tests.exporter.test_probe_process import ALONE, OFTEN, up
from tests.sysfs import Tree

CARD = "0000:01:00.0"
IDLE = "gpus 1 preset=rtx4090\n"
SOON = (*OFTEN, *ALONE, "--no-collector.link", "--probe.sleep-after", "2s")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


Laptop = Callable[..., Serve]


@pytest.fixture
def laptop(start: Start, scenario: Path, tree: Tree) -> Laptop:
    def start_laptop(*arguments: str, control: str = "auto", status: str = "active") -> Serve:
        play(scenario, IDLE)
        tree.card(CARD, control, status)
        on = {"GPUGLASS_PROBE_SLEEP": "true"}
        return start(*SOON, "--path.sysfs", str(tree.sysfs), *arguments, **on)

    return start_laptop


def suspended(serve: Serve) -> list[float]:
    return serve.page().values("gpu_runtime_suspended", pci_bus_id=CARD)


def is_let_go(serve: Serve) -> bool:
    reasons = serve.page().values("gpuglass_collector_failure_info", reason="suspended")
    return reasons == [1] and serve.children() == []


def test_a_card_that_sleeps_is_not_woken_until_somebody_does(laptop: Laptop, tree: Tree) -> None:
    serve = laptop(status="suspended")
    serve.wait(lambda: suspended(serve) == [1])
    begin = time.monotonic()
    while time.monotonic() < begin + 3:
        assert is_let_go(serve)
    assert up(serve) == []
    ready = serve.get("/-/ready")
    assert (ready.status, ready.text) == (200, "ready, but for GPUs: suspended\n")
    tree.set(CARD, "active")
    serve.wait(lambda: up(serve) == [1])
    assert suspended(serve) == [0]
    assert sum(serve.page().values("gpuglass_probe_restarts_total")) == 0


def test_an_idle_card_is_let_go_and_counts_on_when_it_wakes(
    laptop: Laptop, tree: Tree, scenario: Path
) -> None:
    serve = laptop()
    counters = Counters()
    serve.wait(lambda: up(serve) == [1])
    serve.wait(lambda: counters.take(serve.page()).values("gpu_up") == [0])
    serve.wait(lambda: is_let_go(serve))
    assert suspended(serve) == [0]
    tree.set(CARD, "suspended")
    serve.wait(lambda: suspended(serve) == [1])
    time.sleep(5)
    assert is_let_go(serve)
    play(scenario, f"{IDLE}load gpu=0 constant 0.5\n")
    tree.set(CARD, "active")
    serve.wait(lambda: counters.take(serve.page()).values("gpu_up") == [1])
    # It works: it is kept.
    begin = time.monotonic()
    while time.monotonic() < begin + 5:
        assert counters.take(serve.page()).values("gpu_up") == [1]
    assert "gpu_busy_seconds_total" in counters.names()
    assert serve.get("/-/ready").status == 200


def test_a_card_that_somebody_keeps_awake_is_read_again(laptop: Laptop) -> None:
    serve = laptop()
    serve.wait(lambda: up(serve) == [1])
    serve.wait(lambda: is_let_go(serve))
    serve.wait(lambda: up(serve) == [1])


@pytest.mark.parametrize(
    ("arguments", "control", "status", "play_"),
    [
        ((), "on", "active", ""),
        ((), "auto", "active", "process pid=5000000 gpu=0 type=compute memory=1MiB\n"),
        (("--no-probe.sleep",), "auto", "suspended", ""),
        (("--no-collector.processes",), "auto", "active", ""),
    ],
)
def test_cards_that_are_read_all_the_time(
    laptop: Laptop,
    scenario: Path,
    arguments: tuple[str, ...],
    control: str,
    status: str,
    play_: str,
) -> None:
    serve = laptop(*arguments, control=control, status=status)
    play(scenario, IDLE + play_)
    serve.wait(lambda: up(serve) == [1])
    begin = time.monotonic()
    while time.monotonic() < begin + 6:
        assert up(serve) == [1]


def test_once_wakes_nothing_either(simulator: Path, scenario: Path, tree: Tree) -> None:
    play(scenario, IDLE)
    tree.card(CARD, "auto", "suspended")
    result = run(
        *("serve", "--once", "--path.sysfs", str(tree.sysfs), "--probe.sleep", *ALONE),
        driver=simulator,
        scenario=scenario,
    )
    assert result.returncode == 0
    assert 'reason="suspended"' in result.stdout
    assert "gpu_up" not in result.stdout
