"""The measurement: every server in turns, in another order each round."""

import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tests.bench import client, measure, page, servers, stage
from tests.bench.client import Scrapes
from tests.bench.measure import Machine, Memory, Window
from tests.bench.page import Page
from tests.bench.servers import Server, running

GPUGLASS, CONSTANT, NVITOP = "gpuglass", "constant server", "nvitop-exporter"

_SETTLE_SECONDS = 3.0

_T = TypeVar("_T")


@dataclass(frozen=True)
class Plan:
    """How much to measure.

    Attributes:
        rounds: How often each server has its turn.
        scrapes: Plain ones in a turn, and gzip ones.
        window: Seconds of a window in which CPU is measured.
        starts: Starts in a round.
        off: Groups of facts and collectors of gpuglass that are switched off.
    """

    rounds: int
    scrapes: int = 200
    window: float = 30.0
    starts: int = 5
    off: tuple[str, ...] = ()


@dataclass
class Results:
    """What was seen with one latency of the driver.

    Attributes:
        pages: What a page holds, by server.
        scrapes: For each round, by server.
        windows: For each round, by server.
        starts: Seconds of every start, by server.
        others: CPUs kept busy by others, during each turn of scrapes.
    """

    pages: dict[str, Page] = field(default_factory=dict)
    scrapes: list[dict[str, Scrapes]] = field(default_factory=list)
    windows: list[dict[str, Window]] = field(default_factory=list)
    starts: dict[str, list[float]] = field(default_factory=dict)
    others: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Bench:
    """All results.

    Attributes:
        plan: How much was measured.
        results: By latency.
        imports: Memory by import step, of the parent and of the child.
    """

    plan: Plan
    results: dict[str, Results]
    imports: dict[str, list[Memory]]


def run(plan: Plan) -> Bench:
    """Measure everything."""
    program = servers.install_nvitop_exporter()
    with tempfile.TemporaryDirectory() as name, stage.workers() as pids:
        folder = Path(name)
        stage.build_driver(folder)
        results = {}
        for latency in stage.LATENCIES:
            scenario = folder / f"{latency}.conf"
            stage.write_scenario(scenario, latency, pids, folder)
            results[latency] = _Latency(plan, latency, program, folder, scenario).run()
        return Bench(plan, results, measure.import_steps())


class _Latency:
    """The measurement with one latency of the driver."""

    def __init__(
        self, plan: Plan, latency: str, program: Path, folder: Path, scenario: Path
    ) -> None:
        self._plan, self._latency = plan, latency
        self._folder, self._scenario = folder, scenario
        self._plain, self._gzip = folder / f"{latency}.txt", folder / f"{latency}.gz"
        self._servers = {
            GPUGLASS: servers.gpuglass(plan.off),
            CONSTANT: servers.constant(self._plain, self._gzip),
            NVITOP: servers.nvitop_exporter(program),
        }
        self._results = Results()

    def run(self) -> Results:
        self._weigh_pages()
        for number in range(self._plan.rounds):
            self._results.scrapes.append(
                self._turns(number, tuple(self._servers), "scrapes", self._scrape)
            )
            self._results.windows.append(
                self._turns(number, (GPUGLASS, NVITOP), "CPU and memory", self._watch)
            )
            for _ in range(self._plan.starts):
                starts = self._turns(number, (GPUGLASS, NVITOP), "start", self._start)
                for server, seconds in starts.items():
                    self._results.starts.setdefault(server, []).append(seconds)
        return self._results

    def _weigh_pages(self) -> None:
        for name in (GPUGLASS, NVITOP):
            with running(self._servers[name], self._folder, self._scenario) as server:
                time.sleep(_SETTLE_SECONDS)
                plain = client.scrape(server.port, False).body
                compressed = client.scrape(server.port, True).body
            self._results.pages[name] = page.weigh(plain, compressed)
            if name == GPUGLASS:
                self._plain.write_bytes(plain)
                self._gzip.write_bytes(compressed)

    def _turns(
        self,
        number: int,
        names: tuple[str, ...],
        what: str,
        measure_one: Callable[[Server], _T],
    ) -> dict[str, _T]:
        seen = {}
        for name in _rotated(names, number):
            _tell(f"{self._latency} latency, round {number + 1}: {what}, {name}")
            seen[name] = measure_one(self._servers[name])
        return seen

    def _scrape(self, server: Server) -> Scrapes:
        with running(server, self._folder, self._scenario) as one:
            time.sleep(_SETTLE_SECONDS)
            machine, begin = Machine(), measure.cpu_seconds(one.pid)
            scrapes = client.run(one.port, self._plan.scrapes, random.randrange(1 << 30))
            self._results.others.append(machine.others(measure.cpu_seconds(one.pid) - begin))
            return scrapes

    def _watch(self, server: Server) -> Window:
        with running(server, self._folder, self._scenario) as one:
            time.sleep(_SETTLE_SECONDS)
            return measure.window(one.pid, one.port, self._plan.window)

    def _start(self, server: Server) -> float:
        with running(server, self._folder, self._scenario) as one:
            return one.start


def _rotated(names: tuple[str, ...], by: int) -> Iterator[str]:
    by %= len(names)
    yield from names[by:] + names[:by]


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
