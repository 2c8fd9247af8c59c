"""One run over a tier: compare, replay what is missing, note what is done."""

import threading
import time
from collections.abc import Collection
from dataclasses import dataclass

from gpuglass.keeper.rollups import plan
from gpuglass.keeper.rollups.ledger import Counts, Ledger
from gpuglass.keeper.rollups.plan import SCRAPE, Source, Span, Tier
from gpuglass.keeper.rollups.replay import Replayer, ReplayError, StoppedError
from gpuglass.keeper.victoriametrics import QueryError


@dataclass(frozen=True)
class Pushed:
    """The nodes that push, of which samples may come late, in the order of their times.

    Attributes:
        nodes: Which.
        now: The time of the run, as Unix time.
        patience: Seconds for which a window waits for the rest of its samples.
    """

    nodes: Collection[str] = ()
    now: float = 0.0
    patience: float = 0.0


class Run:
    """What one run does and finds.

    Attributes:
        done: How many windows of nodes were rolled up and noted.
        newly_late: How many were found that have samples which came too late.
        found_in: The spans in which something was missing.
        arriving: Whose samples were on their way, so that their windows wait.
        troubles: What went wrong.
    """

    def __init__(
        self,
        tier: Tier,
        ledger: Ledger,
        replayer: Replayer,
        stop: threading.Event,
        settle: float,
        pushed: Pushed = Pushed(),
    ) -> None:
        self._pushed = pushed
        self.done = self.newly_late = 0
        self.found_in: set[Span] = set()
        self.arriving: set[Source] = set()
        self.troubles: list[str] = []
        self._tier, self._ledger, self._replayer = tier, ledger, replayer
        self._stop, self._settle_seconds = stop, settle
        self._started = ""
        # Replayed, and not noted yet; each with the time at which it was written.
        self._unsettled: list[tuple[float, Counts]] = []
        self._waiting: list[Counts] = []

    @property
    def pending(self) -> int:
        """How many windows of nodes were found missing and are not noted."""
        return sum(_size(counts) for counts in self._waiting)

    @property
    def oldest_pending(self) -> int | None:
        """The oldest of them."""
        windows = (w for counts in self._waiting for found in counts.values() for w in found)
        return min(windows, default=None)

    def over(self, spans: list[Span]) -> None:
        """Fill what is missing in these spans.

        Raises:
            QueryError: A storage does not answer.
            StoppedError: The keeper ends.
        """
        self._started = self._ledger.tier_started()
        differing = self.differing(spans)
        if not differing:
            return
        at_rest = self._at_rest(differing)
        for span in differing:
            self._fill(span, at_rest)
            self._settle(self._settle_seconds)
        if self._unsettled:
            self._pause(self._unsettled[-1][0] + self._settle_seconds - time.monotonic())
            self._settle(0)

    def differing(self, spans: list[Span]) -> list[Span]:
        """The spans worth a closer look: whole ones are summed up first, which is cheap.

        Raises:
            QueryError: A storage does not answer.
        """
        whole = [span for span in spans if self._is_whole(span)]
        if not whole:
            return spans
        extent = Span(whole[0].start, whole[-1].end)
        raw = self._ledger.raw(extent, self._tier.span)
        ends = plan.differing(raw, *self._ledger.kept(extent, self._tier.span))
        return [span for span in spans if not self._is_whole(span) or span.end in ends]

    def _at_rest(self, spans: list[Span]) -> dict[tuple[Source, Span], float]:
        """How many samples of each span there are, of sources of which none come in just now.

        Those of a node that was cut off come in all at once, and the window that has arrived in
        part when it is rolled up stays like that. So what is on its way waits for a later run.
        """
        before = self._sums(spans)
        self._pause(self._settle_seconds)
        after = self._sums(spans)
        return {key: samples for key, samples in after.items() if samples == before.get(key)}

    def _sums(self, spans: list[Span]) -> dict[tuple[Source, Span], float]:
        sums = {}
        for span in spans:
            for source, windows in self._ledger.raw(span, span.end - span.start).items():
                sums[source, span] = windows[span.end]
        return sums

    def _is_whole(self, span: Span) -> bool:
        return span.end - span.start == self._tier.span

    def _fill(self, span: Span, at_rest: dict[tuple[Source, Span], float]) -> None:
        step = self._tier.step
        raw = self._ledger.raw(span, step)
        gaps = plan.compare(raw, *self._ledger.kept(span, step))
        if gaps.late:
            self._ledger.note_late(gaps.late)
            self.newly_late += gaps.newly_late
        self._hold(gaps)
        if gaps.missing:
            self.found_in.add(span)
        for source in list(gaps.missing):
            if sum(raw[source].values()) != at_rest.get((source, span)):
                self._waiting.append({source: gaps.missing.pop(source)})
                self.arriving.add(source)
        replays = list(plan.replays(gaps, step))
        self._waiting += [plan.filled(gaps, replay) for replay in replays]
        for replay in replays:
            self._replay(replay, gaps)

    def _hold(self, gaps: plan.Gaps) -> None:
        """Leave alone the windows of a worker after which nothing has come from it yet.

        It may have been cut off in the midst of one, and storage that is written once cannot take
        the rest of it later. What comes after is the sign that all of it is there.
        """
        pushed = self._pushed
        sources = [s for s in gaps.missing if s.kind == SCRAPE and s.node in pushed.nodes]
        if not sources:
            return
        nodes = [source.node for source in sources]
        newest = self._ledger.newest(nodes, pushed.now, pushed.patience)
        for source in sources:
            whole = max(newest.get(source.node, 0.0), pushed.now - pushed.patience)
            found = gaps.missing.pop(source)
            complete = {window: samples for window, samples in found.items() if window < whole}
            if complete:
                gaps.missing[source] = complete

    def _replay(self, replay: plan.Replay, gaps: plan.Gaps) -> None:
        """Fill what is waiting to be filled by a replay, in smaller and smaller parts if need be.

        A machine that is too busy answers small queries in time, and one node's windows must not
        hold up all others. A storage that is down does.
        """
        if self._stop.is_set():
            raise StoppedError
        windows = plan.filled(gaps, replay)
        try:
            self._replayer.run(replay)
        except ReplayError as error:
            self._ledger.check()
            halves = replay.halves()
            if not halves:
                self.troubles.append(str(error))
                return
            self._waiting.remove(windows)
            self._waiting += [plan.filled(gaps, half) for half in halves]
            for half in halves:
                self._replay(half, gaps)
        else:
            self._unsettled.append((time.monotonic(), windows))

    def _settle(self, seconds: float) -> None:
        """Note what was written at least so many seconds ago."""
        ripe = [(when, w) for when, w in self._unsettled if when <= time.monotonic() - seconds]
        if not ripe:
            return
        if self._ledger.tier_started() != self._started:
            raise QueryError("the tier was started again before it had all on its disk")
        for entry in ripe:
            self._ledger.note(entry[1])
            self.done += _size(entry[1])
            self._unsettled.remove(entry)
            self._waiting.remove(entry[1])

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(max(0.0, seconds)):
            raise StoppedError


def _size(counts: Counts) -> int:
    return sum(map(len, counts.values()))
