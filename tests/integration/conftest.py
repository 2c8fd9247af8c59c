"""One stack for each module of tests: real VictoriaMetrics, vmagent, keeper and exporters."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.integration.alerting import ShippedAlertmanager
from tests.integration.house import PAGE, House
from tests.integration.stack import Stack, wait_for
from tests.ports import free_port

# 8 minutes after its start, for ever: whatever it answers is known to the last digit.
FROZEN = """\
start 1700000000
freeze 8m
gpus 3 preset=h200
gpu 2 preset=rtx4090
gpu 0 memory-base=96GiB memory-load=16GiB
load gpu=0 wave min=0.7 max=0.98 period=60s phase=0.1
load gpu=1 constant 0.37
load gpu=2 burst min=0.1 max=0.9 period=25s duty=0.35
"""
MOVING = """\
start {start}
gpus 2 preset=h200
load gpu=0 wave min=0.2 max=0.9 period=20s phase=0
load gpu=1 constant 0.5
"""


class Fleet(NamedTuple):
    """The stack with two nodes: one that stands still, one that moves since ``start``."""

    stack: Stack
    frozen: str
    moving: str
    start: int


# Not of the session: a fleet that nobody asks any more would work on beside the other tests.
@pytest.fixture(scope="module")
def fleet(
    tmp_path_factory: pytest.TempPathFactory, components: Path, simulator: Path
) -> Iterator[Fleet]:
    stack = Stack(tmp_path_factory.mktemp("stack"), components)
    start = int(time.time()) - 100
    try:
        frozen = stack.exporter("frozen", FROZEN, simulator)
        moving = stack.exporter("moving", MOVING.format(start=start), simulator)
        stack.write_targets("fleet.yml", ("frozen", frozen), ("moving", moving))
        stack.start()
        wait_for("both nodes are up", lambda: stack.values('up{job="gpu"}') == [1, 1])
        yield Fleet(stack, frozen, moving, start)
    finally:
        stack.stop()


@pytest.fixture
def house(tmp_path: Path, components: Path) -> House:
    """A house without an Alertmanager."""
    return House(tmp_path, components, tmp_path / "published", f"http://127.0.0.1:{free_port()}")


@pytest.fixture(scope="module")
def alertmanager(
    tmp_path_factory: pytest.TempPathFactory, components: Path
) -> Iterator[tuple[ShippedAlertmanager, House]]:
    """A real one, with a keeper that sees to it."""
    folder = tmp_path_factory.mktemp("alertmanager")
    running = ShippedAlertmanager(components, folder)
    house = House(folder, components, running.published, running.base)
    house.file.write_text(PAGE)
    house.keeper.start()
    try:
        running.start()
        yield running, house
    finally:
        running.stop()
