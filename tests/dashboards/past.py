"""How what a page said becomes older samples: what was recorded repeats itself, backwards in time.

Whatever the recording shows has a period that divides its own. Gauges have the values of the same
moment of an earlier period. Counters are less by what they grew by since then; they may begin
below 0, which is nothing to what they grow by.
"""

import bisect
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tests.bench.storage.longer import Line, dated
from tests.integration.stack import Labels, Samples

# Of our own components, whose counters do not all say so.
_GROW = ("_total", "_sum", "_count", "_bucket", "_timestamp_seconds", "_uptime_seconds")
# A series that was there when the recording began had a sample so many seconds before, at most.
_FRESH = 3.0


class Past(NamedTuple):
    """Some of the past, of which a sample of each series is made.

    Attributes:
        step: Seconds between two of them.
        first: Unix time of the first.
        last: Of the last.
    """

    step: int
    first: int
    last: int


class Recorded:
    """Series, and the part of them that repeats itself.

    Args:
        series: By their labels what was stored of them.
        start: When the part begins: a moment after which all series had the next sample.
        period: Its length in seconds.
        fresh: How old the newest sample may be at its beginning.
    """

    def __init__(
        self, series: Mapping[Labels, Samples], start: float, period: float, fresh: float = _FRESH
    ) -> None:
        self._series, self._start, self._period, self._fresh = series, start, period, fresh

    def before(self, past: Past, **labels: str) -> Iterator[str]:
        """What these series would have said earlier, as VictoriaMetrics imports it.

        Args:
            past: When.
            labels: In place of those that they have.
        """
        moments = range(past.first, past.last + 1, past.step)
        turns = [divmod(at - self._start, self._period) for at in moments]
        lines = self._lines(turns)
        if labels:
            lines = (Line(_with(line.labels, labels), line.values) for line in lines)
        return dated(lines, past.step, past.first)

    def _lines(self, turns: Sequence[tuple[float, float]]) -> Iterator[Line]:
        phases = [phase for _, phase in turns]
        for labels, samples in self._series.items():
            part = self._part(samples)
            if not part:
                continue
            times = [at for at, _ in part]
            picked = [part[max(0, bisect.bisect(times, phase) - 1)][1] for phase in phases]
            growth = _growth(part) * self._period
            if growth and dict(labels)["__name__"].endswith(_GROW):
                picked = [
                    round(value + turn * growth, 9)
                    for value, (turn, _) in zip(picked, turns, strict=True)
                ]
            yield Line(labels, ",".join(map(repr, picked)))

    def _part(self, samples: Samples) -> Samples:
        """The samples of a period with the one before it, by the time since its beginning."""
        times = [at for at, _ in samples]
        first = bisect.bisect(times, self._start) - 1
        if first < 0 or times[first] < self._start - self._fresh:
            return []
        end = bisect.bisect(times, self._start + self._period)
        return [(at - self._start, value) for at, value in samples[first:end]]


def _growth(part: Samples) -> float:
    """By how much it grew a second."""
    (first, before), (last, after) = part[0], part[-1]
    return (after - before) / (last - first) if last > first else 0.0


def _with(labels: Labels, more: Mapping[str, str]) -> Labels:
    return tuple(sorted({**dict(labels), **more}.items()))
