"""What GPUs did in the last five minutes, for pages that are opened: small and bounded."""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isnan, nan
from typing import NamedTuple

from gpuglass.catalogue import device as metrics
from gpuglass.catalogue.model import Metric
from gpuglass.probe.frames import Column

SECONDS = 300.0
# One point a second at most, however often the GPUs are read.
_POINTS = 300
# A reading may come a little early.
_STEP_SECONDS = 0.9


class _Kept(NamedTuple):
    """What is kept of a GPU.

    Attributes:
        metric: Of several values, as of fans, the highest counts.
        label: The label that the metric has to have; empty for any.
        digits: Decimal places that can be seen in a small picture.
    """

    metric: Metric
    label: str
    digits: int


_KEPT = (
    _Kept(metrics.UTILIZATION, "", 3),
    _Kept(metrics.MEMORY_USED, "", -6),
    _Kept(metrics.POWER, "", 1),
    _Kept(metrics.TEMPERATURE, "core", 1),
    _Kept(metrics.CLOCK, "sm", -6),
    _Kept(metrics.FAN_SPEED, "", 2),
)


class History:
    """The last five minutes of one GPU: some 10 KiB."""

    def __init__(self) -> None:
        self._times = array("d", [0.0]) * _POINTS
        self._values = [array("f", [nan]) * _POINTS for _ in _KEPT]
        self._places: list[list[tuple[str, int]]] = [[] for _ in _KEPT]
        self._next = 0
        self._last = 0.0

    def arrange(self, groups: Mapping[str, Sequence[Column]]) -> None:
        """Take where the values stand from now on: the columns of each group of facts."""
        self._places = [
            [
                (name, position)
                for name, columns in groups.items()
                for position, column in enumerate(columns)
                if column.metric == kept.metric.name and kept.label in ("", *column.labels)
            ]
            for kept in _KEPT
        ]

    def take(self, at: float, value: Callable[[str, int], float | None]) -> None:
        """Take a point, unless the last one is too young.

        Args:
            at: When it was read, in seconds of CLOCK_MONOTONIC.
            value: Tells what stands at a position of a group.
        """
        if at - self._last < _STEP_SECONDS:
            return
        self._times[self._next] = self._last = at
        for values, places in zip(self._values, self._places, strict=True):
            found = [v for place in places if (v := value(*place)) is not None]
            values[self._next] = max(found, default=nan)
        self._next = (self._next + 1) % _POINTS

    def document(self, now: float) -> dict[str, list[float | None]]:
        """The points, oldest first.

        Args:
            now: In seconds of CLOCK_MONOTONIC.

        Returns:
            ``age``, the seconds from each point to now, and the values of each metric by its name.
        """
        order = [i for i in self._order() if 0 < self._times[i] >= now - SECONDS]
        found: dict[str, list[float | None]] = {
            "age": [round(now - self._times[i], 1) for i in order]
        }
        for kept, values in zip(_KEPT, self._values, strict=True):
            points = [None if isnan(values[i]) else round(values[i], kept.digits) for i in order]
            if any(point is not None for point in points):
                found[kept.metric.name] = points
        return found

    def _order(self) -> Iterator[int]:
        yield from range(self._next, _POINTS)
        yield from range(self._next)
