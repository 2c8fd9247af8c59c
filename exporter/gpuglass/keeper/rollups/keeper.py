"""A tier is kept complete by one run after the other: when they come, and what they tell."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family

from gpuglass.catalogue import rollups as metrics
from gpuglass.keeper.metrics import counter, gauge
from gpuglass.keeper.reporter import Reporter
from gpuglass.keeper.rollups import plan
from gpuglass.keeper.rollups.ledger import Ledger
from gpuglass.keeper.rollups.plan import Tier
from gpuglass.keeper.rollups.replay import Replayer, StoppedError
from gpuglass.keeper.rollups.run import Pushed, Run
from gpuglass.keeper.victoriametrics import QueryError

_log = logging.getLogger(__name__)

_FIRST = 5.0
_RETRY = 60.0
_DAY = 86400.0
# VictoriaMetrics writes what it has taken to its disk every 5 s.
_SETTLE = 10.0


@dataclass(frozen=True)
class State:
    """What there is to say about the runs. Replaced, never changed: threads read it."""

    last_success: float | None = None
    duration: float | None = None
    windows: int = 0
    late_windows: int = 0
    failures: int = 0
    pending: int = 0
    oldest_pending: int | None = None


class RollupKeeper:
    """Keeps one tier complete: a duty.

    Args:
        tier: Which one.
        ledger: What the raw storage has and the tier was made of.
        replayer: Fills windows.
        look_back: Seconds that the first run, and one a day, looks back; less than the raw
            storage keeps.
        stop: Set when the keeper is to end.
        clock: Gives Unix time in seconds.
        settle: Seconds after which the tier has on its disk what it has taken.
        pushed: Gives the names of the nodes that push.
    """

    def __init__(
        self,
        tier: Tier,
        ledger: Ledger,
        replayer: Replayer,
        look_back: float,
        stop: threading.Event,
        clock: Callable[[], float] = time.time,
        settle: float = _SETTLE,
        pushed: Callable[[], Collection[str]] = frozenset,
    ) -> None:
        self._pushed = pushed
        self.name = f"rollup {tier.name}"
        self.interval = _FIRST
        self.state = State()
        self._tier, self._ledger, self._replayer = tier, ledger, replayer
        self._look_back = look_back
        self._stop, self._clock, self._settle_seconds = stop, clock, settle
        self._last_full: float | None = None
        self._failed_runs = 0
        self._reporter = Reporter(_log, f"tier {tier.name}: complete again")

    def check(self) -> None:
        """Fill what is missing now. What goes wrong is logged and counted, not raised."""
        began, now = time.monotonic(), self._clock()
        # What waits longer than that would be too old to be looked at.
        pushed = Pushed(self._pushed(), now, max(0.0, self._look_back - 2 * _DAY))
        run = Run(
            self._tier, self._ledger, self._replayer, self._stop, self._settle_seconds, pushed
        )
        try:
            self._look(run, now)
        except QueryError as error:
            run.troubles.append(str(error))
        except StoppedError:
            return
        self._report(run)
        self._take(run, now, time.monotonic() - began)

    def collect(self) -> Iterable[Family]:
        """What there is to say about the runs up to now."""
        state, tier = self.state, [self._tier.name]
        values: list[tuple[GaugeMetricFamily | CounterMetricFamily, float | None]] = [
            (gauge(metrics.LAST_SUCCESS), state.last_success and round(state.last_success)),
            (gauge(metrics.DURATION), state.duration and round(state.duration, 1)),
            (gauge(metrics.PENDING), state.pending),
            (gauge(metrics.LAG), self._lag(state)),
            (counter(metrics.WINDOWS), state.windows),
            (counter(metrics.LATE_WINDOWS), state.late_windows),
            (counter(metrics.FAILURES), state.failures),
        ]
        for family, value in values:
            if value is not None:
                family.add_metric(tier, value)
                yield family

    def _lag(self, state: State) -> float:
        oldest = state.oldest_pending
        return 0 if oldest is None else max(0, round(self._clock() - oldest))

    def _look(self, run: "Run", now: float) -> None:
        """Look back as far as it is due, and farther when what was missing may begin earlier."""
        spans = plan.spans(self._tier, now, self._look_back)
        newest = self._tier.closed(now) - self._tier.look_back
        recent = [span for span in spans if span.end > newest]
        if self._full_is_due(now):
            recent = spans
        run.over(recent)
        if recent and len(recent) < len(spans) and recent[0] in run.found_in:
            run.over(spans[: -len(recent)])
            recent = spans
        if len(recent) == len(spans) and not run.troubles and not run.arriving:
            self._last_full = now

    def _full_is_due(self, now: float) -> bool:
        return self._last_full is None or abs(now - self._last_full) >= _DAY

    def _report(self, run: "Run") -> None:
        tier = self._tier.name
        if run.done:
            _log.info("tier %s: %d windows of nodes rolled up", tier, run.done)
        if run.newly_late:
            _log.warning(
                "tier %s: %d windows of nodes got samples after they had been rolled up; "
                "they stay without them",
                tier,
                run.newly_late,
            )
        trouble = run.troubles[0] if run.troubles else ""
        self._reporter.tell(
            trouble and f"tier {tier}: {trouble}", "; what is missing is tried again"
        )

    def _take(self, run: "Run", now: float, duration: float) -> None:
        failed = bool(run.troubles)
        self._failed_runs = self._failed_runs + 1 if failed else 0
        state = replace(
            self.state,
            duration=duration,
            windows=self.state.windows + run.done,
            late_windows=self.state.late_windows + run.newly_late,
            failures=self.state.failures + failed,
        )
        # A run that could not look has found nothing pending, which is no news.
        if not failed or run.pending:
            state = replace(state, pending=run.pending, oldest_pending=run.oldest_pending)
        self.state = state if failed else replace(state, last_success=now)
        self.interval = self._tier.next_run(self._clock()) - self._clock()
        if failed or run.arriving:
            self.interval = min(self.interval, _RETRY * 2 ** min(max(self._failed_runs, 1) - 1, 6))
