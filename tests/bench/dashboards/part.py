"""How long the queries of the dashboards take, by the real storages."""

import math
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.bench.dashboards import fill
from tests.bench.dashboards.fill import Series
from tests.bench.measure import Clocks, Machine
from tests.bench.stage import GPUS, PROCESSES_PER_GPU
from tests.bench.storage.disk import DAY
from tests.bench.storage.node import record
from tests.bench.storage.programs import HOUR, RAW, Programs, Storage
from tests.bench.text import Rows, Spread, table, written_by, yes
from tests.dashboards.boards import Board, shipped
from tests.dashboards.grafana import ALL, Grafana, Question, Source
from tests.dashboards.interpolation import Range
from tests.rules.conftest import RECORDS

_PATIENCE = 60.0
# What raw storage needs for the last hour: rules and panels look farther back.
_LOOK_BACK = 2 * 3600
_SLOWEST = 12


class View(NamedTuple):
    """What is looked at.

    Attributes:
        name: Of the time range.
        seconds: Its length.
        goal: Milliseconds that 95 of 100 queries may take.
    """

    name: str
    seconds: int
    goal: float


VIEWS = LAST_HOUR, LAST_MONTH = View("last hour", 3600, 300), View("last 30 days", 30 * DAY, 800)
_INTERVALS = {"vm-raw": 5.0, "vm-1m": 60.0, "vm-1h": 3600.0}
# Where one alone can be chosen.
_ALONE = {"node": "node-000", "gpu": "0"}
_WORD = re.compile(r"[a-zA-Z_][a-zA-Z0-9_:]*")


@dataclass(frozen=True)
class Plan:
    """How much to measure.

    Attributes:
        minutes: Of the recording of a node.
        rounds: How often each query is asked.
        nodes: Of the large fleet, with 8 GPUs each.
        few: Of the small one.
        days: That there are samples of.
        step: Seconds between two scrapes.
        slow: The same of the small fleet, a month of which takes long to store.
    """

    minutes: float = 1.0
    rounds: int = 3
    nodes: int = 125
    few: int = 2
    days: int = 30
    step: int = 5
    slow: int = 60


QUICK = Plan(0.5, 1, 2, 1, 1, 60, 60)


class Timed(NamedTuple):
    """A query, and what it took.

    Attributes:
        panel: Its dashboard and panel.
        letter: Of the query.
        milliseconds: Of each round, until the last byte of the answer; without end if refused.
        size: Bytes of the answer.
        empty: Whether there was nothing to answer.
    """

    panel: str
    letter: str
    milliseconds: list[float]
    size: int
    empty: bool


class Result(NamedTuple):
    """What was measured of a storage profile.

    Attributes:
        profile: Its name.
        gpus: How many.
        views: By the time range the queries.
        others: CPUs that the rest of the machine kept busy meanwhile.
    """

    profile: str
    gpus: int
    views: dict[View, list[Timed]]
    others: float


class Filled(NamedTuple):
    """A storage profile, filled.

    Attributes:
        profile: Its name.
        gpus: How many.
        sources: Its data sources by uid.
        end: The newest time.
    """

    profile: str
    gpus: int
    sources: dict[str, Storage]
    end: int


def run(plan: Plan) -> list[Result]:
    """Fill both profiles and ask, one after the other."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as running:
        return [measure(filled, plan.rounds) for filled in prepare(plan, Path(name), running)]


def prepare(plan: Plan, folder: Path, running: ExitStack) -> list[Filled]:
    """Fill the storages, which then run until ``running`` ends."""
    programs = Programs(folder)
    recording = record(programs, plan.minutes)[1]
    words = fill.asked() | {word for path in RECORDS for word in _WORD.findall(path.read_text())}
    end = int(time.time()) // 3600 * 3600

    def node() -> Series:
        return fill.raw(recording, _LOOK_BACK, plan.step, words)

    results, hours = fill.recorded(programs, node(), end)

    def storage(name: str, kind: str = RAW) -> Storage:
        _tell(f"filling {name}")
        return running.enter_context(programs.storage(name, kind))

    raw = storage("raw")
    for series in (node(), results, fill.tiers(end)):
        fill.pour(programs, raw, series, end, plan.nodes)
    tier = storage("hour", HOUR)
    fill.pour(programs, tier, fill.carried(hours, plan.days * 24), end, plan.nodes)
    one = storage("single")
    seconds = plan.days * DAY
    long, short = fill.asked(tiers_alone=True), fill.asked() - fill.asked(tiers_alone=True)
    for series in (
        fill.raw(recording, seconds, plan.slow, long),
        fill.raw(recording, _LOOK_BACK, plan.slow, short),
        fill.carried(results, seconds // results.step),
    ):
        fill.pour(programs, one, series, end, plan.few)
    for each in (raw, tier, one):
        each.settle()
    return [
        Filled("tiered", plan.nodes * GPUS, {"vm-raw": raw, "vm-1m": tier, "vm-1h": tier}, end),
        Filled("single", plan.few * GPUS, dict.fromkeys(_INTERVALS, one), end),
    ]


def measure(filled: Filled, rounds: int) -> Result:
    """Ask all queries of all panels, of all that there is, one after the other."""
    grafana = asker(filled)
    machine, own = Machine(), time.process_time()
    clocks = [Clocks(one.pid) for one in set(filled.sources.values())]
    views = {
        view: [
            timed for board in shipped() for timed in timings(grafana, board, filled, view, rounds)
        ]
        for view in VIEWS
    }
    used = sum(clock.used() for clock in clocks) + time.process_time() - own
    return Result(filled.profile, filled.gpus, views, machine.others(used))


def asker(filled: Filled) -> Grafana:
    """What asks a storage profile as Grafana does."""
    sources = {uid: Source(one.url, _INTERVALS[uid]) for uid, one in filled.sources.items()}
    return Grafana(sources, _PATIENCE)


def timings(
    grafana: Grafana, board: Board, filled: Filled, view: View, rounds: int
) -> Iterator[Timed]:
    """Ask the queries of a dashboard, one after the other.

    Args:
        grafana: What asks.
        board: The dashboard.
        filled: What is asked.
        view: The time range.
        rounds: How often each is asked, after once that does not count.

    Raises:
        QueryError: What can be chosen is not told.
    """
    range = Range(filled.end - view.seconds, filled.end)
    fixed = {name: value for name, value in _ALONE.items() if name in board.alone}
    chosen = grafana.variables(board, range, ALL, fixed)
    tier = "vm-1h" if (filled.profile, view) == ("tiered", LAST_MONTH) else "vm-raw"
    if chosen.get("tier", tier) != tier:
        raise RuntimeError(f"{filled.profile}, {view.name}: {chosen} instead of {tier}")
    for panel in board.panels:
        for query in panel.queries:
            question = grafana.question(board, panel, query, chosen, range)
            answer = _answer(question)
            times = [_once(question) for _ in [None] * rounds]
            yield Timed(panel.name, query.ref, times, len(answer), b'"result":[]' in answer)


def _once(question: Question) -> float:
    begin = time.perf_counter()
    answered = _answer(question)
    return 1000 * (time.perf_counter() - begin) if answered else math.inf


def _answer(question: Question) -> bytes:
    """What is answered; nothing if it is refused or does not come, as where too much is asked."""
    try:
        return question.put(_PATIENCE)
    except OSError as error:
        _tell(f"{question.arguments['query'][:60]}: {error}")
        return b""


def _tell(what: str) -> None:
    print(f"dashboards: {what}", file=sys.stderr, flush=True)


_TEXT = """# How long dashboards take

{written}
Every query of every panel, closed rows included, with all that can be chosen chosen, put to
VictoriaMetrics as Grafana puts it (the same interval, at most 1,000 points), one after the other,
with `nocache=1`: once, and then {rounds} times, which count, each until the last byte of the
answer. Grafana's own work, several questions at a time and caches are not in it. Milliseconds; a
query's is the median of its times.

{nodes} nodes with 8 GPUs and {processes} processes on each GPU in `tiered` storage, {few} in
`single`: the real page of one node, recorded, carried on and stored as that of many, every
{step} s, and every {slow} s in `single`; with what vmalert records of it and, in the tier of one
hour, what the keeper keeps of it.
Of {days} days in `single` there is what is asked over the whole time range, and of the last two
hours the rest. Scrapes every 5 s, the default, make {more:.0f} times as many samples there, and
queries over all of them take up to so many times as long. Our own programs are not among what is
stored.

{views}
## The slowest

{slowest}
The rest of the machine kept {noise} CPUs busy meanwhile. Where it is much, the times tell little.
"""


def render(results: Sequence[Result], plan: Plan, command: str) -> str:
    """The report."""
    rows: Rows = []
    for result in results:
        for view, queries in result.views.items():
            times = medians(queries)
            p95 = slower_than(times, 0.95)
            rows.append(
                (
                    f"`{result.profile}`, {result.gpus:,} GPUs, {view.name}",
                    f"{len(times)}",
                    f"{sum(timed.empty for timed in queries)}",
                    *(f"{value:,.1f}" for value in (statistics.median(times), p95, times[-1])),
                    f"<= {view.goal:g}",
                    yes(p95 <= view.goal),
                )
            )
    columns = (
        "",
        "queries",
        "with nothing to tell",
        "p50",
        "p95",
        "slowest",
        "goal for p95",
        "met?",
    )
    return _TEXT.format(
        written=written_by(command),
        rounds=plan.rounds,
        nodes=plan.nodes,
        few=plan.few,
        processes=PROCESSES_PER_GPU,
        step=plan.step,
        slow=plan.slow,
        more=plan.slow / 5,
        days=plan.days,
        views=table(columns, rows),
        slowest=_slowest(results),
        noise=Spread.of(result.others for result in results).show(),
    )


def medians(queries: Iterable[Timed]) -> list[float]:
    """What each query took, in order of time."""
    return sorted(statistics.median(timed.milliseconds) for timed in queries)


def slower_than(times: Sequence[float], share: float) -> float:
    """The least of the times, which are in order, that such a share does not exceed."""
    return times[max(0, math.ceil(share * len(times)) - 1)]


def _slowest(results: Sequence[Result]) -> str:
    found = [
        (statistics.median(timed.milliseconds), result, view, timed)
        for result in results
        for view, queries in result.views.items()
        for timed in queries
    ]
    found.sort(key=lambda one: -one[0])
    rows = [
        (
            f"{timed.panel}, {timed.letter}",
            f"`{result.profile}`, {view.name}",
            f"{took:,.0f}",
            f"{timed.size / 1e3:,.0f}",
        )
        for took, result, view, timed in found[:_SLOWEST]
    ]
    return table(("panel and query", "where", "ms", "kB"), rows, 2)
