"""When the probe lets go of cards that may sleep, and when it takes them back."""

from pathlib import Path
from typing import Any

import pytest
from tests.sysfs import Tree
from tests.unit.devices import new_devices

from gpuglass.catalogue import device as metrics
from gpuglass.catalogue.model import Series
from gpuglass.host.cards import Cards
from gpuglass.pipeline.devices import Devices
from gpuglass.pipeline.gate import RELEASED, Gate
from gpuglass.pipeline.sleep import Sleep
from gpuglass.probe import frames
from gpuglass.probe.frames import PROCESS_VALUES, Column, Process

FIRST, SECOND = "0000:01:00.0", "0000:02:00.0"
MIB = 2**20
# The type of a process, and the memory that it has.
Row = tuple[str, int | None]


class Laptop:
    """A machine whose cards are read once a second while the gate is open."""

    def __init__(self, folder: Path, *controls: str, processes: bool = True) -> None:
        self.now = 1000.0
        self.tree = Tree(folder)
        self.addresses = (FIRST, SECOND)[: len(controls)]
        for address, control in zip(self.addresses, controls, strict=True):
            self.tree.card(address, control)
        self.use = 0.0
        self.rows: list[Row] | None = []
        self._processes = processes
        intervals = {"core": 1.0, **({"processes": 1.0} if processes else {})}
        self.devices: Devices = new_devices(intervals)
        self.gate = Gate(self.devices)
        cards = Cards(self.tree.procfs, self.tree.sysfs, lambda: self.now)
        self.sleep = Sleep(cards, self.devices, self.gate, 30.0)
        self._announced = False

    @property
    def reads(self) -> bool:
        return not self.gate.shut.is_set()

    def status(self, status: str) -> None:
        for address in self.addresses:
            self.tree.set(address, status)

    def run(self, seconds: int) -> int:
        """Let time go by; after how many seconds the gate was opened or shut, 0 if it was not."""
        before = self.reads
        for second in range(1, seconds + 1):
            self.now += 1
            self._read()
            if second % 2 == 0:
                self.sleep.look(self.now)
            if self.reads is not before:
                return second
        return 0

    def shown(self) -> dict[str, Any]:
        block = self.sleep.block()
        assert all(
            isinstance(s, Series) and s.metric is metrics.RUNTIME_SUSPENDED for s in block.series
        )
        return {s.labels[0]: v for s, v in zip(block.series, block.values, strict=True)}

    def _read(self) -> None:
        if not self.reads:
            self._announced = False
            return
        if not self._announced:
            self._announced = True
            self._announce()
        for index in range(len(self.addresses)):
            uuid = f"GPU-{index}"
            values: dict[str, list[float | None]] = {"core": [self.use]}
            if self._processes:
                rows = self.rows
                listed = None if rows is None else [Process(1, type) for type, _ in rows]
                self.devices.take(frames.Processes(uuid, listed))
                values["processes"] = []
                for _, memory in rows or ():
                    values["processes"] += [memory, *[None] * (PROCESS_VALUES - 1)]
            self.devices.take(frames.Reading(uuid, self.now, 0.01, values))

    def _announce(self) -> None:
        self.devices.take(frames.Driver("580.1", "13.580.1", "13.0", len(self.addresses)))
        columns = {"core": [Column("gpu_utilization_ratio")]}
        if self._processes:
            columns["processes"] = []
        for index, address in enumerate(self.addresses):
            info = dict.fromkeys(metrics.INFO_.labels[2:], "") | {"pci_bus_id": address}
            self.devices.take(frames.Device(f"GPU-{index}", index, info, columns, [], {}))


def row(type: str = "compute", memory: int | None = 100 * MIB) -> Row:
    return type, memory


@pytest.fixture
def laptop(tmp_path: Path) -> Laptop:
    return Laptop(tmp_path, "auto")


def test_cards_that_sleep_are_not_woken(laptop: Laptop) -> None:
    laptop.status("suspended")
    laptop.sleep.look(laptop.now)
    assert not laptop.reads
    assert laptop.devices.status(laptop.now).failure == "suspended"
    assert laptop.devices.complete()
    assert laptop.shown() == {FIRST: 1}
    assert laptop.run(3600) == 0
    laptop.status("active")
    assert laptop.run(10) == 2
    assert laptop.shown() == {FIRST: 0}


def test_idle_cards_are_let_go_and_stay_so_while_they_sleep(laptop: Laptop) -> None:
    assert 30 <= laptop.run(60) <= 34
    assert laptop.devices.status(laptop.now).failure == "suspended"
    assert laptop.run(10) == 0
    laptop.status("suspended")
    assert laptop.run(3600) == 0
    laptop.status("resuming")
    assert laptop.run(10) == 2
    # And again.
    laptop.status("active")
    assert 30 <= laptop.run(60) <= 34


def test_cards_that_do_not_fall_asleep_are_read_again_and_let_go_less_often(
    laptop: Laptop,
) -> None:
    times = [laptop.run(4000) for _ in range(14)]
    let_go, taken_back = times[::2], times[1::2]
    assert [round(t / 30) for t in let_go] == [1, 2, 4, 8, 16, 32, 32]
    assert all(60 <= t <= 64 for t in taken_back)
    # One that has slept after all is let go soon again.
    laptop.run(4000)
    laptop.status("suspended")
    laptop.run(10)
    laptop.status("active")
    laptop.run(10)
    assert 30 <= laptop.run(60) <= 34


@pytest.mark.parametrize("rows", [[row()], [row("graphics", 500 * MIB)], [row("mps", None)], None])
def test_cards_with_processes_are_kept(laptop: Laptop, rows: list[Row] | None) -> None:
    laptop.rows = rows
    assert laptop.run(300) == 0
    laptop.rows = []
    assert 30 <= laptop.run(60) <= 34


def test_what_a_display_keeps_does_not_count(laptop: Laptop) -> None:
    laptop.rows = [row("graphics", 4 * MIB), row("graphics", None)]
    assert 30 <= laptop.run(60) <= 34


def test_cards_that_work_are_kept(laptop: Laptop) -> None:
    laptop.use = 0.01
    assert laptop.run(300) == 0
    laptop.use = 0.0
    laptop.run(20)
    laptop.use = 0.5
    laptop.run(1)
    laptop.use = 0.0
    assert 30 <= laptop.run(60) <= 34


def test_without_the_processes_nobody_knows_that_they_are_idle(tmp_path: Path) -> None:
    laptop = Laptop(tmp_path, "auto", processes=False)
    assert laptop.run(300) == 0
    laptop.status("suspended")
    assert laptop.run(10) == 2


@pytest.mark.parametrize("controls", [("on",), ("auto", "on"), ("on", "on")])
def test_servers_are_never_let_go(tmp_path: Path, controls: tuple[str, ...]) -> None:
    server = Laptop(tmp_path, *controls)
    assert server.run(600) == 0
    assert set(server.shown()) == {
        address for address, c in zip(server.addresses, controls, strict=True) if c == "auto"
    }
    server.tree.set(FIRST, "suspended")
    assert server.run(600) == 0


def test_one_of_two_that_is_awake_is_enough(tmp_path: Path) -> None:
    laptop = Laptop(tmp_path, "auto", "auto")
    laptop.status("suspended")
    laptop.sleep.look(laptop.now)
    assert not laptop.reads
    laptop.tree.set(SECOND, "active")
    assert laptop.run(10) == 2
    assert laptop.shown() == {FIRST: 1, SECOND: 0}


def test_a_card_that_is_held_awake_from_now_on_is_read_again(laptop: Laptop) -> None:
    laptop.status("suspended")
    laptop.sleep.look(laptop.now)
    path = laptop.tree.sysfs / "bus/pci/devices" / FIRST / "power/control"
    path.write_text("on\n")
    assert laptop.run(10) == 2
    assert laptop.shown() == {}


def test_without_cards_nothing_is_held_back(tmp_path: Path) -> None:
    machine = Laptop(tmp_path)
    assert machine.run(300) == 0
    assert machine.shown() == {}


def test_a_release_is_none_of_its_business(laptop: Laptop) -> None:
    laptop.run(10)
    laptop.gate.close(RELEASED)
    assert laptop.run(100) == 0
    laptop.gate.open(RELEASED)
    assert laptop.reads
    assert 30 <= laptop.run(60) <= 34
