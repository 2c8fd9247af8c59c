"""How large a fleet one monitoring host holds, and what breaks first."""

import contextlib
import json
import math
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests import programs
from tests.bench import stage
from tests.bench.dashboards.part import LAST_HOUR, Filled, Timed, asker, timings
from tests.bench.scale import load, page
from tests.bench.scale.history import History
from tests.bench.scale.load import Load
from tests.bench.scale.page import Page
from tests.bench.scale.rollups import Rolled, roll_up
from tests.bench.scale.site import Counts, Site
from tests.bench.stage import ROOT
from tests.bench.storage.programs import HOUR, MINUTE, RAW, Programs, Size
from tests.dashboards.boards import shipped
from tests.dashboards.grafana import QueryError
from tests.integration.stack import get
from tests.ports import free_port

from gpuglass.keeper.rollups import plan
from gpuglass.keeper.rollups.plan import Tier

_STEP = re.compile(r"([1-9][0-9]{0,3})@([1-9][0-9]?)")
_MOST = 1000
# So many nodes are rolled up by one query.
TOGETHER = 50
# Seconds until all samples of a window are there.
_CLOSED = 20


class Step(NamedTuple):
    """A fleet.

    Attributes:
        nodes: How many, with 8 GPUs each.
        interval: Seconds between two scrapes of a node.
    """

    nodes: int
    interval: int

    @classmethod
    def of(cls, text: str) -> "Step":
        """A step as it is written: 250@5.

        Raises:
            ValueError: It is not.
        """
        found = _STEP.fullmatch(text)
        if not found or int(found[1]) > _MOST or int(found[2]) > 60:
            raise ValueError(
                f"{text!r} is not NODES@SECONDS, such as 250@5, up to {_MOST} nodes and 60 s"
            )
        return cls(int(found[1]), int(found[2]))


@dataclass(frozen=True)
class Plan:
    """How much to measure.

    Attributes:
        steps: Each fleet has the nodes of the one before, and more.
        record: Seconds of the page that are recorded.
        settle: Seconds from its first samples until it is looked at.
        watch: Seconds for which it is.
        patience: Seconds after which no further query of a dashboard is asked.
        rounds: How often each query is asked, after once that does not count.
    """

    steps: tuple[Step, ...] = (Step(125, 5), Step(250, 5), Step(1000, 30))
    record: int = 45
    settle: float = 30.0
    watch: float = 60.0
    patience: float = 45.0
    rounds: int = 1


QUICK = Plan((Step(2, 5), Step(4, 10)), 10, 5.0, 20.0, 20.0)


class Seen(NamedTuple):
    """What was seen of a step.

    Attributes:
        step: Which.
        poured: Seconds that its history took.
        load: While it is scraped.
        minutes: What rolling up ten minutes of some of its nodes took.
        hour: What rolling up an hour of them took.
        panels: The dashboards' queries.
        size: What the storage of samples has.
    """

    step: Step
    poured: float
    load: Load
    minutes: Rolled
    hour: Rolled
    panels: list[Timed]
    size: Size


class Results(NamedTuple):
    """All that was measured.

    Attributes:
        samples: Of a page.
        seen: The steps.
    """

    samples: int
    seen: list[Seen]


def run(plan: Plan) -> Results:
    """Measure."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _tell(f"recording a page for {plan.record} s")
        (folder / "node").mkdir()
        pages = page.record(folder / "node", plan.record)
        (folder / "pages.json").write_text(json.dumps(pages))
        components = programs.fetch(folder / "components")
        site = Site(folder / "site", components)
        with (
            _exporters(folder / "pages.json", max(plan.steps).nodes) as exporters,
            site.running(),
        ):
            others = Programs(folder / "others", components)
            others.folder.mkdir()
            bench = _Bench(plan, site, exporters, History(others, Page(pages), exporters.port))
            seen = [bench.step(step) for step in plan.steps]
        return Results(Page(pages).samples, seen)


class _Exporters(NamedTuple):
    pid: int
    port: int


@contextlib.contextmanager
def _exporters(pages: Path, nodes: int) -> Iterator[_Exporters]:
    port = free_port()
    module = "tests.bench.scale.exporters"
    process = subprocess.Popen(
        [sys.executable, "-m", module, str(pages), str(port), str(nodes)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            raise RuntimeError("the stand-in exporters have ended")
        yield _Exporters(process.pid, port)
    finally:
        process.terminate()
        process.wait()


class _Bench:
    """What the steps share."""

    def __init__(self, plan: Plan, site: Site, exporters: _Exporters, history: History) -> None:
        self._plan, self._site, self._exporters = plan, site, exporters
        self._history, self._nodes = history, 0

    def step(self, step: Step) -> Seen:
        """Scrape a fleet and watch the host."""
        name = f"{step.nodes} nodes every {step.interval} s"
        raw = self._site.storage(RAW)
        new = range(self._nodes, step.nodes)
        whole = new[-TOGETHER:]
        _tell(f"{name}: its history")
        self._site.pause()
        begin = time.monotonic()
        self._history.pour(raw, new[: -len(whole)], int(time.time()))
        self._history.pour_all(raw, whole, int(time.time()), step.interval)
        self._nodes = step.nodes
        poured = time.monotonic() - begin
        _tell(f"{name}: scrapes")
        self._site.scrape(step.nodes, self._exporters.port, step.interval)
        time.sleep(self._plan.settle)
        due = step.nodes / step.interval
        seen = load.watch(self._site, self._exporters.pid, due, self._plan.watch)
        _tell(f"{name}: rollups")
        minutes = self._rolled(plan.MINUTE, MINUTE, whole, 10)
        hour = self._rolled(plan.HOUR, HOUR, whole, 1)
        _tell(f"{name}: panels")
        panels = self._panels(step)
        return Seen(step, poured, seen, minutes, hour, panels, self._size())

    def _rolled(self, tier: Tier, kind: str, nodes: range, windows: int) -> Rolled:
        """Roll up the newest windows of some nodes."""
        storages = (self._site.storage(RAW), self._site.storage(kind))
        vmalert = Path(self._site.places["BIN"]) / "vmalert"
        last = int(time.time() - _CLOSED) // 60 * 60
        span = (last - (windows - 1) * tier.step, last)
        return roll_up(vmalert, tier, storages, [f"node-{n:03}" for n in nodes], span)

    def _panels(self, step: Step) -> list[Timed]:
        """Ask what dashboards ask, as far as there is time for it."""
        kinds = {"vm-raw": RAW, "vm-1m": MINUTE, "vm-1h": HOUR}
        sources = {uid: self._site.storage(kind) for uid, kind in kinds.items()}
        filled = Filled("tiered", step.nodes * stage.GPUS, sources, int(time.time()) - 5)
        found: list[Timed] = []
        deadline = time.monotonic() + self._plan.patience
        for board in shipped():
            try:
                for timed in timings(asker(filled), board, filled, LAST_HOUR, self._plan.rounds):
                    found.append(timed)
                    if time.monotonic() > deadline:
                        return found
            except (QueryError, OSError) as error:
                _tell(f"{board.uid}: {str(error)[:200]}")
                found += [Timed(panel.name, "", [math.inf], 0, False) for panel in board.panels]
        return found

    def _size(self) -> Size:
        counts = Counts(get(f"{self._site.url}/metrics"))
        rows = counts.total("vm_rows", 'type="storage/')
        data = counts.total("vm_data_size_bytes", 'type="storage/')
        index = counts.total("vm_data_size_bytes", 'type="indexdb/')
        return Size(int(rows), int(data), int(index))


def _tell(what: str) -> None:
    print(f"scale: {time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)
