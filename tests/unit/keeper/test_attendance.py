"""Who of the workers is there: by the monitor's clock, whatever time their samples bear."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric

from gpuglass.keeper.victoriametrics import Labels, QueryError, VictoriaMetrics
from gpuglass.keeper.workers import edit
from gpuglass.keeper.workers.attendance import Attendance
from gpuglass.keeper.workers.file import HEADER, Worker, parse

START = 1_800_000_000.0


class Storage(VictoriaMetrics):
    """Answers as VictoriaMetrics would that has one sample of ``up`` and one offset of each."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:1", "-")
        self.newest: dict[str, float] = {}
        self.offsets: dict[str, float] = {}
        self.down = False

    def query(self, promql: str, at: float | None = None) -> Iterator[tuple[Labels, float]]:
        if self.down:
            raise QueryError("VictoriaMetrics is away")
        assert at is not None
        match = re.search(r"\[(\d+)s\]", promql)
        assert match
        wanted = re.search(r'node=~"([^"]*)"', promql)
        values = self.offsets if "clock_offset" in promql else self.newest
        return iter(
            [
                ({"node": node}, values[node])
                for node, moment in self.newest.items()
                if node in values
                and at - float(match[1]) < moment <= at
                and (not wanted or re.fullmatch(wanted[1], node))
            ]
        )


class World:
    def __init__(self, folder: Path) -> None:
        self.now, self.storage, self.file = START, Storage(), folder / "workers.yml"
        self.file.write_bytes(HEADER)
        self.start()

    def start(self) -> None:
        self.attendance = Attendance(
            self.file.parent, self._workers, self.storage, clock=lambda: self.now
        )

    def _workers(self) -> tuple[Worker, ...]:
        return parse("workers.yml", self.file.read_bytes()).workers

    def add(self, name: str, life: float | None = None) -> None:
        worker = Worker(name, name * 32, START, life)
        self.file.write_bytes(edit.add("workers.yml", self.file.read_bytes(), worker))

    def names(self) -> list[str]:
        return [worker.name for worker in self._workers()]

    def look(self, seconds: float = 15.0) -> dict[str, float]:
        """Time passes; then what the keeper's page says of everybody's silence."""
        self.now += seconds
        self.attendance.check()
        return self.told("gpuglass_keeper_worker_silent_seconds")

    def told(self, name: str) -> dict[str, float]:
        families: list[Metric] = list(self.attendance.collect())
        samples = [s for family in families for s in family.samples if s.name == name]
        return {sample.labels["worker"]: sample.value for sample in samples}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_new_worker_has_an_hour(world: World) -> None:
    world.add("a")
    assert world.look() == {"a": 0}
    assert world.look(3600 - 15) == {"a": 0}
    assert world.look(100) == {"a": 100}


@pytest.mark.parametrize("wrong", [0.0, 7.0, 3600.0, -3600.0, -5000.0])
def test_it_is_there_while_new_samples_come_whatever_their_time(world: World, wrong: float) -> None:
    world.add("a")
    for _ in range(4):
        world.storage.newest["a"] = world.now + wrong
        world.storage.offsets["a"] = wrong
        world.look(15 * 20)
    assert world.look(0)["a"] <= 300
    silent = world.look(900)["a"]
    assert 900 <= silent <= 1200
    world.storage.newest["a"] = world.now + wrong
    for _ in range(20):
        world.look(1)
        world.storage.newest["a"] += 1
    assert world.look(1) == {"a": 0}
    assert world.told("gpuglass_keeper_worker_clock_offset_seconds") == {"a": wrong}


def test_of_a_worker_that_is_silent_no_clock_is_told(world: World) -> None:
    world.add("a")
    world.storage.newest["a"], world.storage.offsets["a"] = world.now, 8.0
    world.look()
    world.look(700)
    assert world.told("gpuglass_keeper_worker_clock_offset_seconds") == {}


def test_a_keeper_that_starts_knows_how_long(world: World) -> None:
    world.add("a", 86400)
    world.storage.newest["a"] = START
    world.now += 5 * 3600
    assert world.look(0) == {"a": 5 * 3600}


def test_an_ephemeral_one_leaves_after_its_time_and_the_other_stays(world: World) -> None:
    world.add("a", 7200)
    world.add("b")
    world.storage.newest.update(a=START, b=START)
    world.look()
    assert world.look(7100) == {"a": 7115, "b": 7115}
    assert world.names() == ["a", "b"]
    assert world.look(100) == {"b": 7215}
    assert world.names() == ["b"]
    assert world.look(86400) == {"b": 93615}
    assert world.names() == ["b"]


def test_one_that_never_came_leaves_too(world: World) -> None:
    world.add("a", 7200)
    world.look(3600 + 7100)
    assert world.names() == ["a"]
    world.look(200)
    assert world.names() == []


def test_while_nobody_can_be_asked_nobody_leaves(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.add("a", 60)
    world.storage.newest["a"] = START
    world.look()
    world.storage.down = True
    world.look(4000)
    world.look(4000)
    assert world.names() == ["a"]
    assert [r.getMessage() for r in caplog.records] == ["workers: VictoriaMetrics is away"]
    world.storage.down = False
    world.storage.newest["a"] = world.now
    world.look()
    assert world.names() == ["a"]
