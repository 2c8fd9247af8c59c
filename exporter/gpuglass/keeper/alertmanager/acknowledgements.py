"""Acknowledgements end when their alerts do: a duty."""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from prometheus_client.metrics_core import Metric as Family

from gpuglass.catalogue import keeper as metrics
from gpuglass.keeper.alertmanager import silences
from gpuglass.keeper.alertmanager.api import Alertmanager, AlertmanagerError, Silence
from gpuglass.keeper.metrics import counter, gauge
from gpuglass.keeper.reporter import Reporter

_log = logging.getLogger(__name__)
# Always fires. Where it is missing alerts do not come through, and none that is missing has ended.
WATCHDOG = "GPUStackWatchdog"


@dataclass(frozen=True)
class State:
    """What there is to say about the last check. Replaced, never changed: threads read it."""

    held: int | None = None
    ended: int = 0
    errors: int = 0


class AcknowledgementsKeeper:
    """Ends the acknowledgements of alerts that are gone, and renews those of alerts that are not.

    An alert is gone when it has been missing for ``patience``, while others came through. So a
    restart of Alertmanager or vmalert, after which alerts come in again one by one, ends none.

    Args:
        alertmanager: Where alerts and silences are.
        interval: Seconds between two checks.
        patience: Seconds for which an alert has to be missing.
        clock: Gives Unix time in seconds.
        steady: Gives seconds that nobody sets.
    """

    name = "acknowledgements"

    def __init__(
        self,
        alertmanager: Alertmanager,
        interval: float = 30.0,
        patience: float = 600.0,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self.interval = interval
        self.state = State()
        self._alertmanager = alertmanager
        self._patience = patience
        self._clock, self._steady = clock, steady
        self._missing_since: dict[str, float] = {}
        good = "Alertmanager answers: acknowledgements are looked after again"
        self._reporter = Reporter(_log, good, logging.WARNING)

    def check(self) -> None:
        """Look once. Errors are logged and counted, not raised."""
        try:
            held = self._held()
            firing = [alert.labels for alert in self._alertmanager.alerts()] if held else []
        except AlertmanagerError as failure:
            error = str(failure)
            # Nobody knows what there was in the meantime.
            self._missing_since.clear()
            self.state = replace(self.state, held=None)
        else:
            error = self._see_to(held, firing)
        if error:
            self.state = replace(self.state, errors=self.state.errors + 1)
        self._reporter.tell(error, "; acknowledgements stay as they are")

    def collect(self) -> Iterable[Family]:
        """What there is to say about the last check."""
        state = self.state
        if state.held is not None:
            held = gauge(metrics.ACKNOWLEDGEMENTS)
            held.add_metric([], state.held)
            yield held
        for metric, value in (
            (metrics.ACKNOWLEDGEMENTS_ENDED, state.ended),
            (metrics.ALERTMANAGER_ERRORS, state.errors),
        ):
            family = counter(metric)
            family.add_metric([], value)
            yield family

    def _held(self) -> list[Silence]:
        return [s for s in self._alertmanager.silences() if silences.is_acknowledgement(s)]

    def _see_to(self, held: list[Silence], firing: list[dict[str, str]]) -> str:
        """Renew and end what is due; the first refusal, or nothing: one must not stop the rest."""
        missing = [s for s in held if silences.acknowledged(s) not in firing]
        gone = self._gone(missing if self._come_through(firing) else [])
        ended, errors = 0, []
        for silence in held:
            try:
                if silence in gone:
                    self._end(silence)
                    ended += 1
                elif silence not in missing:
                    self._renew(silence)
            except AlertmanagerError as failure:
                errors.append(str(failure))
        self.state = replace(self.state, held=len(held) - ended)
        return errors[0] if errors else ""

    def _come_through(self, firing: list[dict[str, str]]) -> bool:
        return any(labels.get("alertname") == WATCHDOG for labels in firing)

    def _gone(self, missing: list[Silence]) -> list[Silence]:
        """Those that have been missing for long enough, at every look."""
        now = self._steady()
        self._missing_since = {s.id: self._missing_since.get(s.id, now) for s in missing}
        return [s for s in missing if now - self._missing_since[s.id] >= self._patience]

    def _renew(self, silence: Silence) -> None:
        ends = self._clock() + silences.ACK_SECONDS
        if silence.ends < ends - silences.ACK_SECONDS / 2:
            self._alertmanager.put(replace(silence, ends=ends))

    def _end(self, silence: Silence) -> None:
        self._alertmanager.expire(silence.id)
        self.state = replace(self.state, ended=self.state.ended + 1)
        labels = silences.acknowledged(silence)
        _log.info(
            "%s: ended, and so the acknowledgement of %s: %s",
            " ".join(labels.get(name, "") for name in ("alertname", "node", "gpu")).strip(),
            silence.author,
            silence.comment,
        )
