"""The report: tables of figures and goals, in Markdown."""

import math
import statistics
from collections.abc import Callable

from tests.bench.client import Scrape, Scrapes
from tests.bench.measure import Memory
from tests.bench.page import Page
from tests.bench.rounds import CONSTANT, GPUGLASS, NVITOP, Bench, Results
from tests.bench.servers import NVITOP_EXPORTER
from tests.bench.text import Rows, Spread, p99, table, written_by, yes

_ENCODINGS: dict[str, Callable[[Scrapes], list[Scrape]]] = {
    "plain": lambda scrapes: scrapes.plain,
    "gzip": lambda scrapes: scrapes.gzip,
}
_STATISTICS: dict[str, Callable[[list[float]], float]] = {
    "median": statistics.median,
    "p99": p99,
}


# How many times nvitop-exporter's CPU was that of the first version, which knew only what is
# comparable: the ratio holds on other machines too.
_FIRST_CPU_RATIO = {"zero": 6.8, "realistic": 7.7}


def render(bench: Bench, command: str) -> str:
    """The whole report.

    Args:
        bench: The results.
        command: What was run to get them.
    """
    parts = [_HEAD.format(written=written_by(command), **_method(bench))]
    for latency, results in bench.results.items():
        goals = _goals(latency, results, bool(bench.plan.off))
        parts.append(f"## Driver with {latency} latency\n\n{goals}")
        parts.append(f"What is on the pages:\n\n{_pages(results.pages)}")
    parts.append(_memory(bench))
    parts.append(_noise(bench))
    return "\n".join(parts)


def _method(bench: Bench) -> dict[str, str]:
    plan = bench.plan
    return {
        "rounds": str(plan.rounds),
        "scrapes": str(plan.scrapes),
        "window": f"{plan.window:g}",
        "starts": str(plan.rounds * plan.starts),
        "nvitop": NVITOP_EXPORTER,
        "title": "Beside nvitop-exporter" + (", with what both have" if plan.off else ""),
        "on": _CORE_ONLY if plan.off else "All of gpuglass is on.",
    }


_CORE_ONLY = """Of
gpuglass only what nvitop-exporter has too, and what belongs to it, is on: no processes, no GPM, no
sample buffers and so on; [the other comparison](compare.md) has all of it."""
_HEAD = """# {title}

{written}
8 stand-in H200 (`simulator/`) with 64 processes on them, 8 a GPU, each of them a real one.
gpuglass, nvitop-exporter {nvitop} and a constant server run one after the other, in another order
in each of {rounds} rounds, on the same Python. The constant server is aiohttp with the bytes of
gpuglass's own page: the floor for whatever answers with them. {on}

- *Scrapes*: {scrapes} plain and {scrapes} gzip ones a round, by turns, from another process; a new
  TCP connection each; from before connect to the last byte; random pauses of 50 to 150 ms. All
  read the GPUs every second, their default. *Where fresh*: only the scrapes that were answered
  with another page than the one before, and so were the first to meet a frame of readings.
  gpuglass writes its page when a round of readings is in, 50 ms after its tick, in the forms
  (plain, gzip) that somebody asked for within the last two intervals: a scrape rarely pays for it.
- *CPU*: user and system seconds of the process and its children in windows of {window} s, at 1 s
  sampling, with 4 gzip scrapes.
- *Memory*: at the end of each window. PSS divides a page that several processes share among them
  (other Python programs on the machine take a share too); RSS counts it in each.
- *Start*: from exec to a page with the power of all 8 GPUs; {starts} starts.

Figures are the median of the rounds [least - most]; ratios are taken within a round.
"""


def _goals(latency: str, results: Results, core: bool) -> str:
    head = ("figure", GPUGLASS, CONSTANT, NVITOP, "ratio", "goal", "met?")
    rows: Rows = []
    for encoding in _ENCODINGS:
        rows += _scrape_rows(results, encoding, "median", fresh_only=True)
        rows += _scrape_rows(results, encoding, "p99")
        rows.append(_everyday_row(results, encoding))
    fresh = Spread.of(turn[GPUGLASS].fresh() for turn in results.scrapes)
    rows.append(("scrapes that met a fresh page", fresh.show("{:.0%}"), "", "", "", "", ""))
    rows.append(_cpu_row(results, 5.0, "<= 1/5"))
    if not core:
        least = _FIRST_CPU_RATIO[latency] / 2
        rows.append(_cpu_row(results, least, f"<= 1/{least:.1f}: twice the first version's"))
    rows += _memory_rows(results)
    ours, theirs = Spread.of(results.starts[GPUGLASS]), Spread.of(results.starts[NVITOP])
    rows.append(
        ("start, s", ours.show(), "", theirs.show(), "", "<= 0.8 s", yes(ours.median <= 0.8))
    )
    return table(head, rows)


def _times(
    results: Results, server: str, encoding: str, statistic: str, fresh_only: bool = False
) -> list[float]:
    select, reduce = _ENCODINGS[encoding], _STATISTICS[statistic]
    turns = (
        [one.milliseconds for one in select(turn[server]) if one.fresh or not fresh_only]
        for turn in results.scrapes
    )
    # In a quick turn it may be that none has met a fresh page.
    return [reduce(times) if times else math.nan for times in turns]


def _scrape_rows(results: Results, encoding: str, statistic: str, fresh_only: bool = False) -> Rows:
    figure = f"/metrics {encoding}, {statistic}{' where fresh' if fresh_only else ''}, ms"
    ours = _times(results, GPUGLASS, encoding, statistic, fresh_only)
    floor, theirs = (_times(results, server, encoding, statistic) for server in (CONSTANT, NVITOP))
    least = {"median": 12, "p99": 6}[statistic]
    above = Spread.of(a / b for a, b in zip(ours, floor, strict=True))
    below = Spread.of(b / a for a, b in zip(ours, theirs, strict=True))
    mine = Spread.of(ours).show()
    return [
        (
            *(figure, mine, Spread.of(floor).show(), "", above.show()),
            *("<= 1.5", yes(above.median <= 1.5)),
        ),
        (
            *(figure, mine, "", Spread.of(theirs).show(), below.show("1/{:.1f}")),
            *(f"<= 1/{least}", yes(below.median >= least)),
        ),
    ]


def _everyday_row(results: Results, encoding: str) -> tuple[str, ...]:
    spreads = (
        Spread.of(_times(results, server, encoding, "median")).show()
        for server in (GPUGLASS, CONSTANT, NVITOP)
    )
    return (f"/metrics {encoding}, median of all, ms", *spreads, "", "", "")


def _cpu_row(results: Results, least: float, goal: str) -> tuple[str, ...]:
    ours = [turn[GPUGLASS].cpu for turn in results.windows]
    theirs = [turn[NVITOP].cpu for turn in results.windows]
    below = Spread.of(b / a for a, b in zip(ours, theirs, strict=True))
    return (
        *("CPU at 1 s, s a minute", Spread.of(ours).show(), "", Spread.of(theirs).show()),
        *(below.show("1/{:.1f}"), goal, yes(below.median >= least)),
    )


def _memory_rows(results: Results) -> Rows:
    def total(server: str, kind: str) -> Spread:
        return Spread.of(
            sum(getattr(memory, kind) for memory in turn[server].memory) for turn in results.windows
        )

    pss, rss = total(GPUGLASS, "pss"), total(GPUGLASS, "rss")
    form = "{:.1f}"
    return [
        (
            *("memory, PSS, MiB", pss.show(form), "", total(NVITOP, "pss").show(form), ""),
            *("<= 60 MiB", yes(pss.median <= 60)),
        ),
        ("memory, RSS, MiB", rss.show(form), "", total(NVITOP, "rss").show(form), "", "", ""),
    ]


def _pages(pages: dict[str, Page]) -> str:
    ours, theirs = pages[GPUGLASS], pages[NVITOP]
    rows: Rows = []
    for name, label in {
        "plain": "bytes, plain",
        "gzip": "bytes, gzip",
        "families": "families",
        "samples": "samples",
        "gpu_families": "families of a GPU's own facts",
        "gpu_samples": "samples of one GPU's own facts",
        "process_samples": "samples of processes on GPUs",
    }.items():
        rows.append((label, f"{getattr(ours, name):,}", f"{getattr(theirs, name):,}"))
    return table(("", GPUGLASS, NVITOP), rows)


def _memory(bench: Bench) -> str:
    first = next(iter(bench.results.values()))
    measured = first.windows[-1][GPUGLASS].memory
    head = ("", "PSS, MiB", "of it in no file", "RSS, MiB")
    rows: Rows = []
    for role, steps in bench.imports.items():
        before = Memory("", 0, 0, 0)
        for step in steps:
            sign = "+ " if before.name else ""
            rows.append(_memory_row(f"{role}: {sign}{step.name}", step, before))
            before = step
        running = next((memory for memory in measured if memory.name == role), None)
        if running:
            name = f"{role}: + at work, {running.threads} threads"
            rows.append(_memory_row(name, running, before))
            rows.append(_memory_row(f"**{role}**", running, Memory("", 0, 0, 0)))
    return (
        "## Where the memory goes\n\n"
        "What each import adds, in an interpreter alone, and then what the running process has\n"
        "beyond that.\n\n" + table(head, rows)
    )


def _memory_row(name: str, now: Memory, before: Memory) -> tuple[str, ...]:
    return (
        name,
        f"{now.pss - before.pss:.1f}",
        f"{now.anonymous - before.anonymous:.1f}",
        f"{now.rss - before.rss:.1f}",
    )


def _noise(bench: Bench) -> str:
    scraping = Spread.of(cpus for results in bench.results.values() for cpus in results.others)
    watching = Spread.of(
        window.others
        for results in bench.results.values()
        for turn in results.windows
        for window in turn.values()
    )
    return (
        "## Noise\n\n"
        f"The rest of the machine kept {scraping.show()} CPUs busy during the scrapes and\n"
        f"{watching.show()} during the CPU windows. Where it is much, trust ratios, not times.\n"
    )
