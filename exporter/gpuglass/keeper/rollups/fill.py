"""Fills a tier from all that the raw storage has, however far that goes back."""

import threading
import time
from collections.abc import Callable, Iterator

from gpuglass.keeper.rollups import plan
from gpuglass.keeper.rollups.ledger import Ledger
from gpuglass.keeper.rollups.plan import Span, Tier
from gpuglass.keeper.rollups.replay import Replayer, StoppedError
from gpuglass.keeper.rollups.run import Run

_DAY = 86400
# Spans of one run: it waits twice for storages to come to rest.
_AT_ONCE = 100
# VictoriaMetrics writes what it has taken to its disk every 5 s.
_SETTLE = 10.0
# For every 10 s it looks whether series of other days have come.
_PATIENCE = 40.0
_GLANCE = 2.0


class Filler:
    """Fills one tier.

    Args:
        tier: Which one.
        ledger: What the raw storage has and the tier was made of.
        replayer: Fills windows.
        stop: Set when work is to end.
        clock: Gives Unix time in seconds.
        settle: Seconds after which the tier has on its disk what it has taken.
    """

    def __init__(
        self,
        tier: Tier,
        ledger: Ledger,
        replayer: Replayer,
        stop: threading.Event,
        clock: Callable[[], float] = time.time,
        settle: float = _SETTLE,
    ) -> None:
        self.tier = tier
        self._ledger, self._replayer = ledger, replayer
        self._stop, self._clock, self._settle = stop, clock, settle

    def fill(self) -> Iterator[tuple[Span, int, list[str]]]:
        """Fill what is missing, oldest first, a stretch of time after the other.

        What is younger than a day is not looked at: the keeper makes that as it comes.

        Yields:
            What was gone through, how many windows of nodes were rolled up, and what went wrong.

        Raises:
            QueryError: A storage does not answer.
            StoppedError: It was told to end. What was done stays.
        """
        for some in self._stretches():
            run = self._run()
            run.over(some)
            yield Span(some[0].start, some[-1].end), run.done, run.troubles

    def lacking(self) -> list[Span]:
        """The spans of which the tier lacks what the raw storage has.

        Raises:
            QueryError: A storage does not answer.
        """
        return [span for some in self._stretches() for span in self._run().differing(some)]

    def await_complete(self) -> list[Span]:
        """As ``lacking``, right after filling: what was written last is found after some seconds.

        Raises:
            QueryError: A storage does not answer.
            StoppedError: It was told to end.
        """
        end = time.monotonic() + _PATIENCE
        while (found := self.lacking()) and time.monotonic() < end:
            if self._stop.wait(_GLANCE):
                raise StoppedError
        return found

    def _run(self) -> Run:
        return Run(self.tier, self._ledger, self._replayer, self._stop, self._settle)

    def _stretches(self) -> Iterator[list[Span]]:
        # What a storage is about to drop may be gone in part.
        look_back = self._ledger.kept_for() - _DAY
        newest = self._clock() - _DAY
        spans = plan.spans(self.tier, self._clock(), look_back)
        spans = [span for span in spans if span.end <= newest]
        for start in range(0, len(spans), _AT_ONCE):
            yield spans[start : start + _AT_ONCE]
