"""Pages of exporters, taken for seconds and played for hours.

What a fault that stays does to a page is seen within seconds; many rules wait for hours. So the
pages of one stage are played in a loop, in which what grew goes on growing: counters, and ages.
Times of events are moved with the pages that tell of them.
"""

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from gpuglass.catalogue import exporter, gpu, host, keeper
from gpuglass.catalogue.model import Type

_TYPES = {m.name: m.type for module in (exporter, gpu, host, keeper) for m in module.METRICS}
_SAMPLE = re.compile(r"^([a-z_0-9]+)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Key = tuple[tuple[str, str], ...]
Samples = dict[Key, float]


class Taken(NamedTuple):
    """One page, with the Unix time at which it was taken."""

    at: float
    samples: Samples


def read(text: str, metrics: Collection[str], **labels: str) -> Samples:
    """The samples of these metrics on a page, with more labels."""
    found = {}
    for line in text.splitlines():
        match = _SAMPLE.match(line)
        if match and match[1] in metrics:
            named = {"__name__": match[1], **labels, **dict(_LABEL.findall(match[2] or ""))}
            found[tuple(sorted(named.items()))] = float(match[3])
    return found


class Stage(NamedTuple):
    """Pages, the last of which is taken for the first one of the next round.

    Attributes:
        pages: At least two.
        seconds: For how long they are played.
    """

    pages: Sequence[Taken]
    seconds: float


def play(stages: Sequence[Stage], start: float) -> Iterator[str]:
    """The lines of VictoriaMetrics's JSON, one for each series.

    Args:
        stages: One after the other.
        start: The Unix time at which the first begins.
    """
    series: dict[Key, tuple[list[int], list[float]]] = defaultdict(lambda: ([], []))
    for stage in stages:
        for key in set[Key]().union(*(page.samples for page in stage.pages)):
            _play(key, stage, start, *series[key])
        start += stage.seconds
    for key, (times, values) in series.items():
        yield json.dumps({"metric": dict(key), "timestamps": times, "values": values})


def _play(key: Key, stage: Stage, start: float, times: list[int], values: list[float]) -> None:
    """Add what a series is in a stage to what it was before."""
    first, last = stage.pages[0], stage.pages[-1]
    name = dict(key)["__name__"]
    growth = _growth(name, key, stage)
    moved = start - first.at if name.endswith("_timestamp_seconds") else 0.0
    if _TYPES.get(name) is Type.COUNTER and values and key in first.samples:
        # The stage before was played for longer than it took.
        moved = max(0.0, values[-1] - first.samples[key])
    shown = [page for page in stage.pages[:-1] if key in page.samples]
    offsets = [start + page.at - first.at for page in shown]
    shows = [page.samples[key] + moved for page in shown]
    for number in range(round(stage.seconds / (last.at - first.at))):
        later, more = number * (last.at - first.at), number * growth
        times += [round((offset + later) * 1000) for offset in offsets]
        values += [value + more for value in shows]


def _growth(name: str, key: Key, stage: Stage) -> float:
    """By how much a series is larger after each round."""
    first, last = (page.samples.get(key) for page in (stage.pages[0], stage.pages[-1]))
    if first is None or last is None:
        return 0.0
    grown = last - first
    seconds = stage.pages[-1].at - stage.pages[0].at
    if _TYPES.get(name) is Type.COUNTER:
        return max(0.0, grown)
    # Times are told in whole seconds: what goes with the clock may seem to be ahead or behind.
    is_age = name.endswith("_seconds") and grown > 0 and abs(grown - seconds) < 0.5 * seconds + 1
    return seconds if is_age else 0.0
