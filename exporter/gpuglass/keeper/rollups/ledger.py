"""What the raw storage has, what a tier was made of, and the notes about it in the tier.

Whether a scrape is in the raw storage is seen by series that each page has once: one at its
beginning, one near its end, and vmagent's own ``up`` after it, because a page can be cut in two on
its way. How many of them a window had when it was rolled up stands in the tier, as a series that
the keeper writes when the rollups of that window are safely there.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator

from gpuglass.catalogue import device, exporter, rollups
from gpuglass.keeper.rollups.plan import RULES, SCRAPE, Source, Span, Windows
from gpuglass.keeper.victoriametrics import Labels, Points, VictoriaMetrics

_SENTINELS = "|".join((device.DEVICES.name, exporter.BUILD_INFO.name, "up"))
# vmalert writes its results together, and this one always.
_WATCHDOG = 'ALERTS{alertname="GPUStackWatchdog"}'
_SAMPLES, _LATE = rollups.SAMPLES.name, rollups.LATE_SAMPLES.name
# Lines of one request that notes what was rolled up.
_BATCH = 10_000
_RECENT = 3600.0

Counts = dict[Source, dict[int, float]]


class Ledger:
    """The books of one tier.

    Args:
        raw: The raw storage.
        tier: The tier's.
    """

    def __init__(self, raw: VictoriaMetrics, tier: VictoriaMetrics) -> None:
        self._raw, self._tier = raw, tier

    def raw(self, span: Span, step: int) -> Counts:
        """How many of the series above each window of the span has in the raw storage.

        Raises:
            QueryError: The raw storage does not answer.
        """
        found: Counts = {}
        scraped = f'sum by (node) (count_over_time({{__name__=~"{_SENTINELS}"}}[{step}s]))'
        written = f"sum(count_over_time({_WATCHDOG}[{step}s]))"
        for kind, promql in ((SCRAPE, scraped), (RULES, written)):
            for labels, points in self._over(self._raw, promql, span, step):
                found[Source(kind, labels.get("node", ""))] = _by_window(points)
        return found

    def newest(self, nodes: Collection[str], now: float, seconds: float) -> dict[str, float]:
        """The time of each node's newest sample, as Unix time; of none that is older.

        Args:
            nodes: Which.
            now: The time at which to look.
            seconds: How far back.

        Raises:
            QueryError: The raw storage does not answer.
        """
        found: dict[str, float] = {}
        # A long look is for those alone who are not seen by the short one.
        for length in (min(_RECENT, seconds), seconds):
            missing = [node for node in nodes if node not in found]
            if missing and length > 0:
                named = json.dumps("|".join(map(re.escape, missing)))
                promql = f"max by (node) (tlast_over_time(up{{node=~{named}}}[{length:.0f}s]))"
                found.update(
                    (s.get("node", ""), value) for s, value in self._raw.query(promql, now)
                )
        return found

    def kept(self, span: Span, step: int) -> tuple[Counts, Counts]:
        """How many were rolled up in each window of the span, and how many came too late.

        Raises:
            QueryError: The tier does not answer.
        """
        both: dict[str, Counts] = {_SAMPLES: {}, _LATE: {}}
        for name, counts in both.items():
            promql = f"sum by (source, node) (sum_over_time({name}[{step}s]))"
            for labels, points in self._over(self._tier, promql, span, step):
                counts[_source(labels)] = _by_window(points)
        return both[_SAMPLES], both[_LATE]

    def note(self, rolled_up: Windows) -> None:
        """Write into the tier how many samples windows were made of.

        Raises:
            QueryError: The tier does not take it.
        """
        self._write(_SAMPLES, rolled_up)

    def note_late(self, late: Windows) -> None:
        """Write into the tier how many samples came too late for windows, in all.

        Raises:
            QueryError: The tier does not take it.
        """
        self._write(_LATE, late)

    def check(self) -> None:
        """See that both storages answer.

        Raises:
            QueryError: One does not.
        """
        for storage in (self._raw, self._tier):
            list(storage.query("1"))

    def tier_started(self) -> str:
        """What changes whenever the tier's process starts again; empty if it does not tell.

        Raises:
            QueryError: The tier does not answer.
        """
        lines = self._tier.metrics().splitlines()
        return next((line for line in lines if line.startswith("vm_app_start_timestamp")), "")

    def kept_for(self) -> float:
        """How many seconds back both storages have everything.

        Raises:
            QueryError: One does not tell.
        """
        return min(self._raw.retention(), self._tier.retention())

    def _over(
        self, storage: VictoriaMetrics, promql: str, span: Span, step: int
    ) -> Iterator[tuple[Labels, Points]]:
        return storage.query_range(promql, span.start + step, span.end, step)

    def _write(self, name: str, windows: Windows) -> None:
        lines = list(_lines(name, windows))
        for start in range(0, len(lines), _BATCH):
            self._tier.write(lines[start : start + _BATCH])


def _source(labels: Labels) -> Source:
    return Source(labels.get("source", ""), labels.get("node", ""))


def _by_window(points: Points) -> dict[int, float]:
    return {round(moment): value for moment, value in points}


def _lines(name: str, windows: Windows) -> Iterable[str]:
    for source, counts in windows.items():
        node = source.node.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
        labels = f'source="{source.kind}"' + (f',node="{node}"' if node else "")
        for window, samples in counts.items():
            yield f"{name}{{{labels}}} {samples:.0f} {window * 1000}"
