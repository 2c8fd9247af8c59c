"""A recording carried on for longer than it was made: its moments again, each drawn at random.

Whole stretches that come back would compress far better than what a node goes on to say; so would
short ones. Gauges have the values of the moment; what accumulates grows by what it grew by up to
the moment, so that it never runs back.
"""

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from functools import cache
from itertools import accumulate
from operator import itemgetter
from typing import NamedTuple

from tests.bench.storage.node import Labels, Recording

_GROWS = ("_total", "_timestamp_seconds", "host_uptime_seconds")


class Line(NamedTuple):
    """A series.

    Attributes:
        labels: Of it, with its name.
        values: As JSON has them, with commas between.
    """

    labels: Labels
    values: str

    @property
    def name(self) -> str:
        """Its metric, without what a rollup adds."""
        return dict(self.labels)["__name__"].partition(":")[0]

    def __len__(self) -> int:
        return self.values.count(",") + 1


def longer(recording: Recording, count: int, step: int, piece: int = 1) -> Iterator[Line]:
    """The series of a longer time.

    Args:
        recording: What is carried on; of scrapes at every second.
        count: How many scrapes.
        step: Seconds between two scrapes.
        piece: How many moments follow each other as they did in the recording.
    """
    moments = _moments(recording.scrapes, count, step, piece)
    for labels, texts in recording.series.items():
        yield Line(labels, _values(dict(labels)["__name__"], texts, moments, step))


def exported(text: str) -> Iterator[Line]:
    """The series of what VictoriaMetrics exports."""
    for line in text.splitlines():
        metric, _, rest = line.removeprefix('{"metric":').partition(',"values":[')
        values, _, _ = rest.partition('],"timestamps":[')
        yield Line(tuple(sorted(json.loads(metric).items())), values)


def dated(lines: Iterable[Line], step: int, start: "int | dict[str, int]") -> Iterator[str]:
    """Series with times, as VictoriaMetrics imports them.

    Args:
        lines: The series.
        step: Seconds between two samples.
        start: Unix time of the first sample, for all or by the name of the metric.
    """

    @cache
    def times(first: int, count: int) -> str:
        return ",".join(map(str, range(1000 * first, 1000 * (first + step * count), 1000 * step)))

    for line in lines:
        first = start if isinstance(start, int) else start[line.name]
        metric = json.dumps(dict(line.labels))
        moments = times(first, len(line))
        yield f'{{"metric":{metric},"values":[{line.values}],"timestamps":[{moments}]}}'


def _moments(recorded: int, count: int, step: int, piece: int) -> list[int]:
    """Which moment of the recording each scrape shows."""
    choose = random.Random(2)
    moments: list[int] = []
    reach = _reach(recorded, step)
    length = max(1, min(piece, (recorded - reach) // step))
    while len(moments) < count:
        first = choose.randrange(reach, recorded - (length - 1) * step)
        moments += range(first, first + length * step, step)
    return moments[:count]


def _reach(recorded: int, step: int) -> int:
    """How many moments back what accumulates is looked at."""
    return min(step, recorded // 2)


def _values(name: str, texts: list[str], moments: Sequence[int], step: int) -> str:
    if len(set(texts)) == 1:
        return ",".join([texts[0]] * len(moments))
    pick = itemgetter(*moments)
    if not name.endswith(_GROWS):
        return ",".join(pick(texts))
    # Whole numbers of the last decimal place, for sums of floats would make places of their own.
    places = max(0, *(-int(Decimal(text).as_tuple().exponent) for text in texts))
    whole = [int(Decimal(text).scaleb(places)) for text in texts]
    reach = _reach(len(texts), step)
    grown = [(now - then) * step // reach for then, now in zip(whole, whole[reach:], strict=False)]
    sums = accumulate(pick([0] * reach + grown), initial=whole[0])
    next(sums)
    return ",".join(f"{value}e-{places}" for value in sums)
