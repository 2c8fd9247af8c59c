"""The report on storage: tables of sizes and times, in Markdown."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tests.bench.stage import GPUS, PROCESSES_PER_GPU
from tests.bench.storage.answers import questions
from tests.bench.storage.disk import DAY, Disk, Part, Stored
from tests.bench.storage.fleet import Answers
from tests.bench.storage.node import INTERVALS
from tests.bench.text import Rows, table, written_by, yes

_MONTH = 30
_YEAR = 365
_GOAL = 5
_DEAREST = 15
_GPU, _PROCESSES, _HOST, _EXPORTER = "GPUs", "their processes", "host", "exporter and scrapes"
_GROUPS = (_GPU, _PROCESSES, _HOST, _EXPORTER)
# The first that fits; what is of the exporter and of scrapes has no beginning in common.
_BEGINNINGS = {
    "gpu_process_": _PROCESSES,
    "gpu_owner_": _PROCESSES,
    "gpu_": _GPU,
    "host_": _HOST,
    "": _EXPORTER,
}
# What CudaScope's table of samples has, as far as the stand-in driver's card has it.
_SAME = (
    *("gpu_utilization_ratio", "gpu_memory_activity_ratio", "gpu_memory_used_bytes"),
    *("gpu_memory_total_bytes", "gpu_temperature_celsius", "gpu_fan_speed_ratio"),
    *("gpu_power_watts", "gpu_power_limit_watts", "gpu_clock_hertz", "gpu_performance_state"),
    *("gpu_pcie_bytes_total", "gpu_engine_utilization_ratio"),
)


class Stated(NamedTuple):
    """What CudaScope states of a tier, for one GPU.

    Attributes:
        text: In its words.
        size: In bytes.
        rows: For which it states it.
    """

    text: str
    size: float
    rows: int

    @property
    def per_value(self) -> float:
        """Bytes of a value."""
        return self.size / self.rows / _FACTS


_FACTS = 14
STATED = {
    "raw": Stated("8 MB a day", 8e6, DAY),
    "minute": Stated("4 MB a month", 4e6, _MONTH * DAY // 60),
    "hour": Stated("1 MB a year", 1e6, _YEAR * 24),
}


@dataclass(frozen=True)
class Tier:
    """A tier in the report.

    Attributes:
        title: What it is called.
        stated: With what of CudaScope's it is compared.
        stored: What was measured.
        index: Bytes a series of the index takes, by how many days it is of.
        metrics: What each metric takes.
        kept: Days, by default.
    """

    title: str
    stated: str
    stored: Stored
    index: Callable[[float], float]
    metrics: Mapping[str, Part]
    kept: int

    def data(self, days: float) -> float:
        """Bytes of so many days without the index."""
        return self.stored.size.data / self.stored.days * days

    def total(self, days: float) -> float:
        """Bytes of so many days."""
        return self.data(days) + self.index(days) * self.stored.series

    def share(self, *groups: str) -> tuple[int, float]:
        """How many series some groups have, and which part of the data is theirs."""
        parts = [part for name, part in self.metrics.items() if _group(name) in groups]
        whole = sum(part.data / part.samples * part.series for part in self.metrics.values())
        some = sum(part.data / part.samples * part.series for part in parts)
        return sum(part.series for part in parts), some / whole

    def per_value(self, names: tuple[str, ...] = ()) -> float:
        """Bytes of a value with its index, of some metrics or of all, over a month."""
        samples = self.stored.a_day / self.stored.series * _MONTH
        index = self.index(_MONTH) / samples
        if not names:
            return self.stored.size.per_sample + index
        parts = [self.metrics[name] for name in names if name in self.metrics]
        return sum(part.data for part in parts) / sum(part.samples for part in parts) + index


def _group(name: str) -> str:
    return next(group for begin, group in _BEGINNINGS.items() if name.startswith(begin))


def tiers(disk: Disk) -> list[Tier]:
    """The tiers that were measured."""

    def daily(days: float) -> float:
        day, month = (one.size.index / one.series for one in (disk.raw, disk.sparse))
        if days > disk.sparse.days:
            return month * days / disk.sparse.days
        return day + (month - day) * (days - disk.raw.days) / (disk.sparse.days - disk.raw.days)

    def monthly(days: float) -> float:
        # It is there from the first day of a month on.
        return disk.hour.size.index / disk.hour.series * max(1, days / disk.hour.days)

    raw, minute, hour = disk.raw.metrics, disk.minute.metrics, disk.hour.metrics
    return [
        Tier("raw, 1 s", "raw", disk.second, daily, raw, 7),
        Tier("raw, 5 s", "raw", disk.raw, daily, raw, 7),
        Tier("1 minute", "minute", disk.minute, daily, minute, 30),
        Tier("1 hour", "hour", disk.hour, monthly, hour, 400),
    ]


_HEAD = """# What history costs: disk and questions

{written}
## Disk

gpuglass with all on, and 8 stand-in H200, all of them busy at loads that change every second or
two, with {processes} processes on each, of users, containers and jobs. Its pages were scraped by
vmagent into VictoriaMetrics for {minutes:.0f} minutes, once a second and once every 5 s, all with
the flags that setup.sh gives them. What vmagent itself stores of each scrape is counted too.

A day, and a month for the tier of one hour, were not waited for. They are made of the moments that
were recorded at 1 s: gauges have the values of a moment, counters grow by what they grew by up to
it. Each moment is drawn at random, which takes somewhat more than moments that follow each other;
the whole recording over and over would take a fraction of it, as the third line below shows. The
tiers were filled by `vmalert -replay` with `victoriametrics/rules/rollups/`: one minute from a day
of raw at 5 s, one hour from {month:.0f} days of raw at {sparse} s (so that the extremes of an hour
are of few samples, and vary more than they would). All sizes are after a forced merge; 1 MB is
10^6 bytes.

{compression}
VictoriaMetrics makes an index for each month, which grows each day, but for that of the tier of one
hour, which has no parts for days. *With its index*, below, is what a value takes of a month of data
and index.

### A node, and a GPU

A GPU is an eighth of what the GPUs and their processes take. *Kept* is what lies there at the
retention that tiered storage has by default; VictoriaMetrics drops old samples a file at a time, so
that up to another month may lie there. Single storage has raw alone, for 400 days.

{sizes}
At the defaults a node takes **{tiered:.0f} MB** in tiered storage (raw at 5 s), and {single:.1f} GB
at 5 s or {fast:.1f} GB at 1 s in single storage; 125 such nodes, 1,000 GPUs, take {fleet:.0f} GB in
tiered storage. The tier of one hour has no series of processes.

{groups}
### Beside CudaScope

CudaScope states for SQLite and one GPU 8 MB a day raw at 1 s, 4 MB a month at 1 minute and 1 MB a
year at 1 hour. A row of its tables has some 14 values: of a minute the averages and, of some facts,
the greatest value, so not three of each; of an hour fewer. All are counted as 14 here, in its
favour. Were they three of each, a value would take {three[0]:.2f} and {three[1]:.2f} bytes. *The
same facts*: the metrics of ours that say what its columns say. Both of ours are with the index.

{beside}
### What takes most

The {dearest} metrics that take most of raw storage at 5 s, without the index.

{metrics}
"""


def render(disk: Disk, answers: list[Answers], rounds: int, command: str) -> str:
    """The report.

    Args:
        disk: What a node takes.
        answers: What questions cost.
        rounds: How often each was asked.
        command: What was run to get them.
    """
    found = tiers(disk)
    raw = {"second": found[0], "five": found[1]}
    tiered = sum(tier.total(tier.kept) for tier in found[1:])
    head = _HEAD.format(
        written=written_by(command),
        processes=PROCESSES_PER_GPU,
        minutes=disk.recorded[1].scrapes / 60,
        month=disk.hour.days,
        sparse=disk.sparse.step,
        compression=_compression(disk),
        sizes=_sizes(found),
        tiered=tiered / 1e6,
        fleet=125 * tiered / 1e9,
        single=raw["five"].total(400) / 1e9,
        fast=raw["second"].total(400) / 1e9,
        groups=_groups(found[1:]),
        beside=_beside(found),
        three=[STATED[name].per_value / 3 for name in ("minute", "hour")],
        dearest=_DEAREST,
        metrics=_metrics(found[1:]),
    )
    return head + questions(answers, rounds)


def _compression(disk: Disk) -> str:
    columns = ("", "series", "samples each", "bytes a sample", "index, bytes a series")
    rows: Rows = []

    def row(name: str, stored: Stored) -> None:
        each = f"{stored.size.samples / stored.series:,.0f}"
        size = (f"{stored.size.per_sample:.3f}", f"{stored.size.index / stored.series:,.0f}")
        rows.append((name, f"{stored.series:,}", each, *size))

    for seconds in INTERVALS:
        one = disk.recorded[seconds]
        series = len(one.series) + one.partial
        row(f"recorded at {seconds} s", Stored(seconds, series, 1, one.size, {}))
    row("1 s, the recording repeated as a whole", disk.again)
    row("1 s, carried on", disk.second)
    row("5 s, carried on", disk.raw)
    row(f"{disk.sparse.step} s, carried on", disk.sparse)
    row("1 minute", disk.minute)
    row("1 hour", disk.hour)
    return table(columns, rows)


def _sizes(found: list[Tier]) -> str:
    columns = (
        *("", "values a day, node", "bytes a value, with its index"),
        *("MB a day, GPU", "MB a day, node", "kept, days", "kept, MB, node", "MB a year, node"),
    )
    rows: Rows = []
    for tier in found:
        day = tier.total(_MONTH) / _MONTH / 1e6
        series, share = tier.share(_GPU, _PROCESSES)
        index = tier.index(_MONTH) * series / _MONTH
        gpu = (tier.data(1) * share + index) / GPUS / 1e6
        rows.append(
            (
                *(tier.title, f"{tier.stored.a_day:,.0f}", f"{tier.per_value():.3f}"),
                *(f"{gpu:.3f}", f"{day:.3f}", f"{tier.kept}"),
                *(f"{tier.total(tier.kept) / 1e6:.1f}", f"{_YEAR * day:,.0f}"),
            )
        )
    return table(columns, rows)


def _groups(found: list[Tier]) -> str:
    head = ("series and share of the data", *_GROUPS)
    rows: Rows = []
    for tier in found:
        shares = [tier.share(group) for group in _GROUPS]
        rows.append((tier.title, *(f"{series:,}, {share:.0%}" for series, share in shares)))
    return table(head, rows)


def _beside(found: list[Tier]) -> str:
    columns = (
        *("", "CudaScope states", "bytes a value", "ours", "ratio"),
        *("ours, the same facts", "ratio", "goal", "met?"),
    )
    rows: Rows = []
    for tier in found:
        theirs = STATED[tier.stated]
        every, same = tier.per_value(), tier.per_value(_SAME)
        met = yes(theirs.per_value / every >= _GOAL)
        rows.append(
            (
                *(tier.title, theirs.text, f"{theirs.per_value:.2f}"),
                *(f"{every:.3f}", f"1/{theirs.per_value / every:.1f}"),
                *(f"{same:.3f}", f"1/{theirs.per_value / same:.1f}", f"<= 1/{_GOAL}", met),
            )
        )
    return table(columns, rows)


def _metrics(found: list[Tier]) -> str:
    raw = found[0].metrics
    dearest = sorted(raw, key=lambda name: -raw[name].data)[:_DEAREST]
    columns = ["", "series"]
    for tier in found:
        columns += [f"{tier.title}: bytes a value", "of all data"]
    rows: Rows = []
    for name in dearest:
        cells = [name, f"{raw[name].series}"]
        for tier in found:
            part = tier.metrics.get(name)
            whole = sum(one.data for one in tier.metrics.values())
            size = (f"{part.data / part.samples:.2f}", f"{part.data / whole:.1%}") if part else ()
            cells += size or ("", "")
        rows.append(tuple(cells))
    return table(columns, rows)
