"""Who of the workers is there, whose clock is wrong, and who is to leave the list: a duty.

A worker's samples bear its own time, and come late after an outage. So it counts as there whenever
its newest sample has become another, by the monitor's clock; what time the sample bears says
nothing of that.
"""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from prometheus_client.metrics_core import Metric as Family

from gpuglass.catalogue import exporter
from gpuglass.catalogue import keeper as metrics
from gpuglass.keeper.lock import locked
from gpuglass.keeper.metrics import gauge
from gpuglass.keeper.reporter import Reporter
from gpuglass.keeper.victoriametrics import QueryError, VictoriaMetrics
from gpuglass.keeper.workers import edit
from gpuglass.keeper.workers.file import FILE, Worker
from gpuglass.keeper.workers.keeper import MODE
from gpuglass.text.files import replace as replace_file

_log = logging.getLogger(__name__)

_RECENT, _DAY = 600, 86400
# VictoriaMetrics takes no samples from farther ahead.
_AHEAD = 2 * _DAY
# Who has not been seen for so long is looked for farther back, which costs more, only once in
# so many checks.
_LONG, _SELDOM = 7200.0, 20
# A worker that was added may take so long until it first pushes.
_GRACE = 3600.0


@dataclass(frozen=True)
class Seen:
    """What is known of one worker.

    Attributes:
        newest: The time that its newest sample bears; None before the first.
        at: When that was new, by the monitor's clock; before the first, when it is due.
        offset: Seconds that its clock is ahead of the monitor's, as it has measured.
    """

    newest: float | None
    at: float
    offset: float | None = None


class Attendance:
    """Looks who pushes, and takes out of the list who was there for a while only.

    Args:
        directory: The folder with the list.
        workers: Gives who is in it.
        storage: Where their samples are.
        clock: Gives Unix time in seconds.
    """

    name = "workers seen"

    def __init__(
        self,
        directory: Path,
        workers: Callable[[], Iterable[Worker]],
        storage: VictoriaMetrics,
        interval: float = 15.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.interval = interval
        self.seen: dict[str, Seen] = {}
        self._lives: dict[str, float | None] = {}
        self._file = directory / FILE
        self._workers, self._storage, self._clock = workers, storage, clock
        self._checks = 0
        self._reporter = Reporter(_log, "workers: can be looked for again")

    def check(self) -> None:
        """Look once, and take out of the list whose time is over. What goes wrong is logged."""
        workers = {worker.name: worker for worker in self._workers()}
        now = self._clock()
        try:
            self.seen = self._look(workers, now) if workers else {}
            self._lives = {name: worker.life for name, worker in workers.items()}
            self._expire(workers, now)
            self._reporter.tell("")
        except (QueryError, edit.EditError) as error:
            self._reporter.tell(f"workers: {error}")
        except OSError as error:
            self._reporter.tell(f"workers: {error.filename or self._file}: {error.strerror}")

    def collect(self) -> Iterable[Family]:
        """What there is to say of each worker."""
        now = self._clock()
        silent, offset = gauge(metrics.WORKER_SILENT), gauge(metrics.WORKER_CLOCK_OFFSET)
        for name, seen in sorted(self.seen.items()):
            ephemeral = "no" if self._lives.get(name) is None else "yes"
            silent.add_metric([ephemeral, name], max(0, round(now - seen.at)))
            # An old one says nothing of now.
            if seen.offset is not None and now - seen.at < _RECENT:
                offset.add_metric([name], round(seen.offset, 1))
        yield from (silent, offset)

    def _look(self, workers: dict[str, Worker], now: float) -> dict[str, Seen]:
        newest, offsets = self._newest(now, workers)
        self._checks += 1
        return {
            name: self._update(worker, newest.get(name), offsets.get(name), now)
            for name, worker in workers.items()
        }

    def _update(
        self, worker: Worker, newest: float | None, offset: float | None, now: float
    ) -> Seen:
        before = self.seen.get(worker.name)
        if before is None:
            # What was there before this keeper: not later than now, whatever the worker's clock.
            due = (worker.added or now) + _GRACE
            return Seen(newest, due if newest is None else min(newest, now), offset)
        if newest is not None and newest != before.newest:
            return Seen(newest, now, offset)
        return replace(before, offset=offset)

    def _newest(
        self, now: float, workers: dict[str, Worker]
    ) -> tuple[dict[str, float], dict[str, float]]:
        """The time of each worker's newest sample, and what it says of its clock there."""
        newest: dict[str, float] = {}
        offsets: dict[str, float] = {}
        for at, seconds in ((now + _AHEAD, _AHEAD), (now, _RECENT)):
            self._ask(at, seconds, "", newest, offsets)
        missing = [
            name
            for name in workers
            if name not in newest and (self._checks % _SELDOM == 0 or self._was_seen(name, now))
        ]
        if missing:
            longest = max(workers[name].life or 0.0 for name in missing)
            filters = ",node=~" + _alternatives(missing)
            self._ask(now, max(2 * _DAY, longest + _DAY), filters, newest, offsets)
        for name in workers:
            known = self.seen.get(name)
            if name not in newest and known is not None and known.newest is not None:
                newest[name] = known.newest
        return newest, offsets

    def _was_seen(self, name: str, now: float) -> bool:
        seen = self.seen.get(name)
        return seen is not None and seen.newest is not None and now - seen.at < _LONG

    def _ask(
        self,
        at: float,
        seconds: float,
        filters: str,
        newest: dict[str, float],
        offsets: dict[str, float],
    ) -> None:
        """Add what a stretch of time has of those who are not in it yet."""
        range = f"[{seconds:.0f}s]"
        times = f'max by (node) (tlast_over_time(up{{job="gpu"{filters}}}{range}))'
        found = {labels.get("node", ""): value for labels, value in self._storage.query(times, at)}
        name = exporter.PUSH_CLOCK_OFFSET.name
        clocks = f'last_over_time({name}{{job="gpu"{filters}}}{range})'
        told = {labels.get("node", ""): value for labels, value in self._storage.query(clocks, at)}
        for node in found.keys() - newest.keys():
            newest[node] = found[node]
            if node in told:
                offsets[node] = told[node]

    def _expire(self, workers: dict[str, Worker], now: float) -> None:
        gone = [
            name
            for name, seen in self.seen.items()
            if (life := workers[name].life) is not None and now - seen.at > life
        ]
        if not gone:
            return
        with locked(self._file.parent):
            content = self._file.read_bytes()
            replace_file(self._file, edit.remove(FILE, content, gone), MODE, self._file.stat())
        for name in gone:
            del self.seen[name]
            _log.info("worker %s was silent for its whole time and left the list", name)


def _alternatives(names: Iterable[str]) -> str:
    # Their names have no other character that means something.
    return '"' + "|".join(name.replace(".", "[.]") for name in names) + '"'
