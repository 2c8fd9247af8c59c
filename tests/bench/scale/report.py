"""The report on scale: what each fleet took, whether it was held, and what each thing costs."""

import math
from collections.abc import Sequence

from tests.bench.dashboards.part import LAST_HOUR, medians, slower_than
from tests.bench.scale.part import TOGETHER, Plan, Results, Seen
from tests.bench.stage import GPUS, PROCESSES_PER_GPU
from tests.bench.text import Rows, table, written_by

from gpuglass.keeper.rollups import plan as tiers

_DAY = 86400
_QUEUE_MB = 10.0
_EXPORTERS = "stand-in exporters"
_HEAD = """# How large a fleet one host holds

{written}
{gpus} stand-in H200 in a node, {processes} processes on each: the exporter's real page,
{samples:,} samples, recorded for {record} s with all on and carried on, so that counters go on.
One process shows it for every node, at an address of its own on the loopback, with names and
UUIDs of its own, in gzip as the exporter does. The host's programs are those of `setup.sh --host`
but Grafana, as it starts them, on the same machine; targets come through the keeper. Each fleet
has the nodes of the one before, and is looked at for {watch:g} s, {settle:g} s after its first
scrapes were stored. Before, VictoriaMetrics was given an hour of it: what dashboards ask for, a
value every 30 s, and of the last {whole} nodes all of the last ten minutes.

*Held* is what keeps up: of the scrapes that are due 99 % come and succeed, and vmagent has
nothing waiting; no evaluation of a rule is left out, and none fails; rolling up a minute of the
fleet, and its share of the hours, takes less than a minute; 95 of 100 queries of the dashboards
take {goal:g} ms at most.

{held}
{first}
## What it took

{took}
CPUs that were busy, and MiB of memory (RSS), by program; in the last column with what rolling up
the whole fleet takes besides.

{programs}
The rest of the machine kept {noise} CPUs busy meanwhile. Where it is much, the figures tell
little.

## Rules

The groups that take most of their interval: seconds of an evaluation, and of the interval.

{rules}
## Rollups

By `vmalert -replay`, as the keeper runs it, while the fleet is scraped: ten minutes of {whole}
nodes at once, and the hour up to now. *A minute of all* is what the fleet needs each minute at that
rate, minutes and hours together; at 60 s it does not keep up.

{rollups}
## Dashboards

Every query of every panel over the last hour, one after the other, as in
[dashboards](dashboards.md), while the fleet is scraped; for {patience:g} s at most. A query that
is refused, as where too many wait, takes without end.

{panels}
## Disk

Of the samples, as they lie there while they are scraped, before they are merged for good; a day
at this interval. [storage](storage.md) tells it of merged ones, and of tiers.

{disk}
"""


def render(results: Results, plan: Plan, command: str) -> str:
    """The report.

    Args:
        results: What was measured.
        plan: How.
        command: What was run to get them.
    """
    seen = results.seen
    return _HEAD.format(
        written=written_by(command),
        gpus=GPUS,
        processes=PROCESSES_PER_GPU,
        samples=results.samples,
        record=plan.record,
        watch=plan.watch,
        settle=plan.settle,
        patience=plan.patience,
        whole=TOGETHER,
        goal=LAST_HOUR.goal,
        held=_held(seen),
        first=_first(seen),
        took=_took(seen, results.samples),
        programs=_programs(seen),
        noise=", ".join(f"{one.load.others:.2f}" for one in seen),
        rules=_rules(seen),
        rollups=_rollups(seen),
        panels=_panels(seen),
        disk=_disk(seen, results.samples),
    )


def troubles(seen: Seen) -> dict[str, str]:
    """What of a fleet is not held, with its figure."""
    load, found = seen.load, {}
    if load.made * load.good < 0.99:
        found["scrapes"] = f"{load.made * load.good:.1%} of the scrapes"
    if load.pending > _QUEUE_MB:
        found["storing"] = f"{load.pending:.0f} MB wait in vmagent"
    missed = sum(group.missed for group in load.groups)
    if missed or load.errors:
        found["rules"] = f"{missed:.0f} evaluations left out, {load.errors:.0f} failed"
    if math.isinf(minute_of_all(seen)):
        found["rollups"] = "they fail"
    elif minute_of_all(seen) > 60:
        found["rollups"] = f"{minute_of_all(seen):.0f} s for a minute"
    slow = p95(seen)
    if slow > LAST_HOUR.goal:
        found["panels"] = "refused" if math.isinf(slow) else f"p95 {slow:,.0f} ms"
    return found


def minute_of_all(seen: Seen) -> float:
    """Seconds for a minute of all nodes, and their share of the hours."""
    return seen.step.nodes * (seen.minutes.each + seen.hour.each / 60)


def _rolling(seen: Seen) -> float:
    """CPUs that rolling up all nodes keeps busy; without end where it fails."""
    if seen.minutes.trouble or seen.hour.trouble:
        return math.inf
    minutes, hour = (
        rolled.cpu / (rolled.nodes * rolled.windows) for rolled in (seen.minutes, seen.hour)
    )
    return seen.step.nodes * (minutes + hour / 60) / 60


def p95(seen: Seen) -> float:
    """Milliseconds that 95 of 100 queries take at most."""
    return slower_than(medians(seen.panels), 0.95)


def _name(seen: Seen) -> str:
    return f"{seen.step.nodes:,} nodes, {seen.step.interval} s"


_PARTS = ("scrapes", "storing", "rules", "rollups", "panels")


def _held(seen: Sequence[Seen]) -> str:
    rows: Rows = []
    for one in seen:
        found = troubles(one)
        rows.append((_name(one), *(found.get(part) or "held" for part in _PARTS)))
    return table(("fleet", *_PARTS), rows, 1 + len(_PARTS))


def _first(seen: Sequence[Seen]) -> str:
    for one in seen:
        found = troubles(one)
        if found:
            return f"What breaks first: {', '.join(found)}, at {_name(one)}.\n"
    return "Nothing broke.\n"


def _took(seen: Sequence[Seen], samples: int) -> str:
    columns = (
        *("fleet", "GPUs", "samples a second", "due", "active series", "scrapes made"),
        *("of them good", "p99 of a scrape, s", "waiting in vmagent, MB"),
    )
    rows: Rows = [
        (
            *(_name(one), f"{one.step.nodes * GPUS:,}", f"{one.load.samples:,.0f}"),
            f"{one.step.nodes * samples / one.step.interval:,.0f}",
            *(f"{one.load.series:,.0f}", f"{one.load.made:.1%}", f"{one.load.good:.1%}"),
            *(f"{one.load.slow:.2f}", f"{one.load.pending:.1f}"),
        )
        for one in seen
    ]
    return table(columns, rows)


def _programs(seen: Sequence[Seen]) -> str:
    names = list(seen[0].load.use)
    columns = ["fleet", *names, f"all but {_EXPORTERS}", "CPUs, with rollups"]
    rows: Rows = []
    for one in seen:
        use = one.load.use
        own = [used for name, used in use.items() if name != _EXPORTERS]
        cells = [f"{use[name].cpus:.2f}, {use[name].rss:,.0f}" for name in names]
        total = f"{sum(used.cpus for used in own):.2f}, {sum(used.rss for used in own):,.0f}"
        rolling = f"{sum(used.cpus for used in own) + _rolling(one):.2f}"
        rows.append((_name(one), *cells, total, rolling))
    return table(columns, rows)


def _rules(seen: Sequence[Seen]) -> str:
    rows: Rows = []
    for one in seen:
        for group in one.load.groups[:4]:
            figures = (f"{group.seconds:.2f}", f"{group.interval:g}", f"{group.missed:.0f}")
            rows.append((_name(one), group.name, *figures))
    return table(("fleet", "group", "seconds", "interval", "left out"), rows, 2)


def _rollups(seen: Sequence[Seen]) -> str:
    columns = (
        *("fleet", "ten minutes, s", "of CPU", "an hour, s", "of CPU"),
        *("ms for a node's minute", "a minute of all, s"),
    )
    rows: Rows = [
        (
            _name(one),
            *(f"{one.minutes.seconds:.1f}", f"{one.minutes.cpu:.1f}"),
            *(f"{one.hour.seconds:.1f}", f"{one.hour.cpu:.1f}"),
            *(f"{1000 * one.minutes.each:.1f}", f"{minute_of_all(one):.1f}"),
        )
        for one in seen
    ]
    trouble = "".join(
        f"\n{_name(one)}, tier of {name}: {rolled.trouble}\n"
        for one in seen
        for name, rolled in ((tiers.MINUTE.name, one.minutes), (tiers.HOUR.name, one.hour))
        if rolled.trouble
    )
    return table(columns, rows) + trouble


def _panels(seen: Sequence[Seen]) -> str:
    rows: Rows = []
    for one in seen:
        times = medians(one.panels)
        refused = sum(map(math.isinf, times))
        figures = (slower_than(times, 0.5), slower_than(times, 0.95), times[-1])
        shown = (f"{value:,.0f}" for value in figures)
        rows.append((_name(one), f"{len(times)}", *shown, f"{refused}"))
    columns = ("fleet", "queries asked", "p50, ms", "p95, ms", "slowest, ms", "refused")
    return table(columns, rows)


def _disk(seen: Sequence[Seen], samples: int) -> str:
    rows: Rows = []
    for one in seen:
        a_day = one.step.nodes * samples * _DAY / one.step.interval * one.size.per_sample / 1e9
        index = one.size.index / 1e6
        rows.append((_name(one), f"{one.size.per_sample:.3f}", f"{a_day:.1f}", f"{index:,.0f}"))
    return table(("fleet", "bytes a sample", "GB a day", "MB of index by now"), rows)
