"""What a node's samples take on disk in each tier."""

import sys
import threading
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from typing import NamedTuple

from tests.bench.stage import ROOT
from tests.bench.storage.longer import Line, dated, exported, longer
from tests.bench.storage.node import NODE, Recording
from tests.bench.storage.programs import HOUR, MINUTE, Programs, Size, Storage

from gpuglass.keeper.rollups.plan import SCRAPE, Replay
from gpuglass.keeper.rollups.replay import Replayer

DAY = 86400
_FOLDER = ROOT / "victoriametrics" / "rules" / "rollups"
# A full block of a series.
BLOCK = 8192
# A month of every 5 s would take many minutes to store.
_SPARSE = 300
_RULES = {MINUTE: "minute.yml", HOUR: "hour.yml"}
# Midnight, the first of a month of 31 days.
_START = int(datetime(2026, 7, 1, tzinfo=timezone.utc).timestamp())


class Part(NamedTuple):
    """What a metric, or several, take.

    Attributes:
        series: How many.
        samples: How many were measured.
        data: Bytes of them.
    """

    series: int
    samples: int
    data: int


class Stored(NamedTuple):
    """What was measured of a storage that a node's samples were put into.

    Attributes:
        step: Seconds between two samples of a series.
        series: How many.
        days: Of which it holds the samples.
        size: On disk.
        metrics: What each metric takes, measured apart from the others; empty if it was not.
    """

    step: int
    series: int
    days: float
    size: Size
    metrics: dict[str, Part]

    @property
    def a_day(self) -> float:
        """Samples a day."""
        return self.size.samples / self.days


class Disk(NamedTuple):
    """All that was measured.

    Attributes:
        recorded: What was recorded, by the seconds between two scrapes.
        again: The recording repeated as a whole, for as long as ``second``.
        second: Raw at 1 s.
        raw: Raw at 5 s, a day of it.
        sparse: Raw at a few samples an hour, for as long as the hours.
        minute: The tier of one minute, made of ``raw``.
        hour: The tier of one hour, made of ``sparse``.
    """

    recorded: dict[int, Recording]
    again: Stored
    second: Stored
    raw: Stored
    sparse: Stored
    minute: Stored
    hour: Stored


def measure(
    programs: Programs, recorded: dict[int, Recording], second: int, days: float, month: int
) -> Disk:
    """Store what was recorded in all tiers.

    Args:
        programs: The real ones.
        recorded: The recordings, by the seconds between two scrapes.
        second: How many scrapes at 1 s are carried on for.
        days: How long scrapes at 5 s are carried on for.
        month: How many days the tier of one hour is measured for.
    """
    pages = recorded[1]
    again = _raw(programs, pages, second, 1, piece=pages.scrapes)
    carried = _raw(programs, pages, second, 1)
    with programs.storage("raw") as raw:
        stored = _store(raw, longer(pages, int(days * DAY / 5), 5), 5)
        metrics = _apart(programs, longer(pages, min(BLOCK, int(days * DAY / 5)), 5), 5)
        minute = _tier(programs, raw, MINUTE, 60, days)
    with programs.storage("sparse") as raw:
        sparse = _store(raw, longer(pages, month * DAY // _SPARSE, _SPARSE), _SPARSE)
        hour = _tier(programs, raw, HOUR, 3600, month)
    return Disk(recorded, again, carried, stored._replace(metrics=metrics), sparse, minute, hour)


def _say(what: str) -> None:
    print(f"storage: {what}", file=sys.stderr, flush=True)


def _raw(programs: Programs, pages: Recording, count: int, step: int, piece: int = 1) -> Stored:
    with programs.storage("raw") as storage:
        return _store(storage, longer(pages, count, step, piece), step)


def _store(storage: Storage, lines: Iterable[Line], step: int) -> Stored:
    """Put series into an empty storage."""
    _say(f"storing samples of every {step} s")
    series = 0

    def counted() -> Iterator[Line]:
        nonlocal series
        for line in lines:
            series += 1
            yield line

    # The first sample lies in the first window, the last one is the end of the last.
    storage.take(dated(counted(), step, _START + step))
    size = storage.settle()
    return Stored(step, series, size.samples / series * step / DAY, size, {})


def _tier(programs: Programs, raw: Storage, kind: str, step: int, days: float) -> Stored:
    """Fill a tier as the keeper does, and measure it."""
    rules = _FOLDER / _RULES[kind]
    _say(f"rolling up by {rules.name}")
    with programs.storage("tier", kind) as tier:
        replayer = Replayer(programs.bin / "vmalert", rules, raw.url, tier.url, threading.Event())
        first, last = _START + step, _START + int(days * DAY) // step * step
        replayer.run(Replay(SCRAPE, (NODE,), first, last))
        size = tier.settle()
        lines = list(exported(tier.export().decode()))
        metrics = _apart(programs, lines, step)
        return Stored(step, len(lines), (last - first + step) / DAY, size, metrics)


def _apart(programs: Programs, lines: Iterable[Line], step: int) -> dict[str, Part]:
    """What each metric takes: in a month of its own it has files of its own."""
    _say(f"storing each metric apart, samples of every {step} s")
    starts: dict[str, int] = {}
    months = _months()
    parts: dict[str, Part] = {}

    def noted() -> Iterator[Line]:
        for line in lines:
            if line.name not in starts:
                starts[line.name] = next(months)
            series, samples, _ = parts.get(line.name, Part(0, 0, 0))
            parts[line.name] = Part(series + 1, samples + len(line), 0)
            yield line

    with programs.storage("apart") as storage:
        storage.take(dated(noted(), step, starts))
        storage.settle()
        sizes = storage.months()
    for name, start in starts.items():
        month = datetime.fromtimestamp(start, timezone.utc).strftime("%Y_%m")
        parts[name] = parts[name]._replace(data=sizes[month])
    return parts


def _months() -> Iterator[int]:
    """The first moments of months, all of them of 31 days."""
    for year in range(1971, 2026):
        for month in (1, 3, 5, 7, 8, 10, 12):
            yield int(datetime(year, month, 1, tzinfo=timezone.utc).timestamp())
