"""Which windows a tier lacks, and the replays that fill them. Pure: no clock, no storage.

A window is named by its end: the window ``t`` of a tier holds the samples after ``t - step`` up to
and including ``t``. Times are whole seconds of Unix time.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

# A query of vmalert takes so many windows of nodes at most: what it answers is held in memory.
_MOST_NODE_WINDOWS = 500
_MOST_NODES = 50


class Source(NamedTuple):
    """Whose samples are complete or missing together.

    Attributes:
        kind: ``scrape`` for what vmagent scrapes, ``rules`` for what vmalert writes.
        node: The node that is scraped; empty for our own components and for rules.
    """

    kind: str
    node: str = ""


SCRAPE, RULES = "scrape", "rules"

Windows = Mapping[Source, Mapping[int, float]]


@dataclass(frozen=True)
class Tier:
    """One tier.

    Attributes:
        name: Its resolution as people write it.
        step: Seconds of a window.
        delay: Seconds after its end at which a window is closed.
        span: Seconds that are compared as a whole first, and rolled up together; many steps.
        interval: Seconds from one run to the next.
        look_back: Seconds that every run looks back; the first one of a day looks farther.
    """

    name: str
    step: int
    delay: int
    span: int
    interval: int
    look_back: int

    def closed(self, now: float) -> int:
        """The newest window that is closed."""
        return int(now - self.delay) // self.step * self.step

    def next_run(self, now: float) -> float:
        """When the next windows of a run have just closed."""
        return (int(now - self.delay) // self.interval + 1) * self.interval + self.delay


MINUTE = Tier("1m", step=60, delay=600, span=3600, interval=600, look_back=6 * 3600)
HOUR = Tier("1h", step=3600, delay=1800, span=86400, interval=3600, look_back=2 * 86400)


class Span(NamedTuple):
    """Time after ``start`` up to and including ``end``; both are ends of windows."""

    start: int
    end: int


@dataclass(frozen=True)
class Replay:
    """One run of vmalert: the windows ``first`` to ``last`` of some nodes of one kind.

    Attributes:
        most: How many windows of nodes one query may ask for.
    """

    kind: str
    nodes: tuple[str, ...]
    first: int
    last: int
    most: int = _MOST_NODE_WINDOWS

    @property
    def windows_per_query(self) -> int:
        """How many windows one query may ask for."""
        return max(1, self.most // len(self.nodes))

    def halves(self) -> tuple["Replay", ...]:
        """The same with queries that ask for half as much; none where they ask for the least."""
        middle, most = len(self.nodes) // 2, self.most // 2
        if middle:
            parts = (self.nodes[:middle], self.nodes[middle:])
            return tuple(replace(self, nodes=nodes, most=most) for nodes in parts)
        return (replace(self, most=most),) if self.windows_per_query > 1 else ()


@dataclass(frozen=True)
class Gaps:
    """What a tier lacks in one span.

    Attributes:
        missing: By source the windows that were never rolled up, with the samples they have.
        late: By source the windows that have more samples than were known, with all samples that
            came after they had been rolled up: storage that is written once cannot take them.
        newly_late: How many windows of ``late`` had no such sample before.
        fixed: By source the windows that another replay would change.
    """

    missing: dict[Source, dict[int, float]]
    late: dict[Source, dict[int, float]]
    newly_late: int
    fixed: dict[Source, set[int]]


def spans(tier: Tier, now: float, look_back: float) -> list[Span]:
    """The time to look at, oldest first; all but the last are whole spans.

    What is older than ``look_back`` is never in it: the raw storage may have lost a part of it.
    """
    closed = tier.closed(now)
    first = -int(-(closed - look_back) // tier.span) * tier.span
    starts = range(first, closed, tier.span)
    return [Span(start, min(start + tier.span, closed)) for start in starts]


def differing(raw: Windows, kept: Windows, late: Windows) -> set[int]:
    """The windows in which some source has more samples than are known; arguments as below."""
    gaps = compare(raw, kept, late)
    both = (gaps.missing, gaps.late)
    return {window for found in both for windows in found.values() for window in windows}


def compare(raw: Windows, kept: Windows, late: Windows) -> Gaps:
    """Hold what the raw storage has against what the tier was made of.

    Args:
        raw: By source and window, the samples that there are.
        kept: By source and window, the samples that were rolled up.
        late: By source and window, the samples that are known to have come later.
    """
    missing: dict[Source, dict[int, float]] = {}
    more: dict[Source, dict[int, float]] = {}
    newly_late = 0
    for source, windows in raw.items():
        rolled_up, too_late = kept.get(source, {}), late.get(source, {})
        for window, samples in windows.items():
            if window not in rolled_up:
                missing.setdefault(source, {})[window] = samples
            elif samples > rolled_up[window] + too_late.get(window, 0):
                more.setdefault(source, {})[window] = samples - rolled_up[window]
                newly_late += window not in too_late
    fixed = {source: {*late.get(source, ()), *more.get(source, ())} for source in missing}
    return Gaps(missing, more, newly_late, fixed)


def replays(gaps: Gaps, step: int) -> Iterator[Replay]:
    """The fewest replays that fill what is missing and leave alone what is fixed, oldest first.

    Windows that are neither may lie between: they get the values again that they have.

    Args:
        gaps: What there is to fill.
        step: Seconds of a window.
    """
    together: dict[tuple[int, int, str], list[str]] = defaultdict(list)
    for source, windows in gaps.missing.items():
        for first, last in _runs(sorted(windows), gaps.fixed[source], step):
            together[first, last, source.kind].append(source.node)
    for (first, last, kind), nodes in sorted(together.items()):
        named = sorted(node for node in nodes if node)
        if len(named) < len(nodes):
            yield Replay(kind, ("",), first, last)
        for start in range(0, len(named), _MOST_NODES):
            yield Replay(kind, tuple(named[start : start + _MOST_NODES]), first, last)


def filled(gaps: Gaps, replay: Replay) -> dict[Source, dict[int, float]]:
    """What of the missing a replay fills."""
    found = {}
    for node in replay.nodes:
        windows = gaps.missing[Source(replay.kind, node)]
        found[Source(replay.kind, node)] = {
            window: samples
            for window, samples in windows.items()
            if replay.first <= window <= replay.last
        }
    return found


def _runs(windows: list[int], fixed: set[int], step: int) -> Iterator[tuple[int, int]]:
    """The first and last of each stretch without a fixed window in it."""
    first = last = windows[0]
    for window in windows[1:]:
        if any(between in fixed for between in range(last + step, window, step)):
            yield first, last
            first = window
        last = window
    yield first, last
