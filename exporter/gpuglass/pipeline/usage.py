"""Who uses one GPU: its processes as they are, and what their owners have used so far.

What the GPU's own counters grow by from one reading to the next is split among the processes that
are there, so that the owners' counters add up to the GPU's, to the last joule.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from gpuglass.catalogue import processes as metrics
from gpuglass.catalogue.model import Series
from gpuglass.owners import Owner, Process
from gpuglass.pipeline.page import Block
from gpuglass.probe.frames import ProcessRow

UNATTRIBUTED = Owner("unattributed")
# Takes what more owners use than there are series for.
_OTHERS = Owner("others")
# An owner that left stays on the page for this long, so that every scraper sees its last values.
_LEFT_SECONDS = 600.0
_MOST_OWNERS = 64
# A second or so of a caller that asks a hundred times a second.
_LOOKS = 100
# A gap longer than this is nobody's time: it was not seen who held the GPU.
_LONGEST_GAP = 60.0


class Resolver(Protocol):
    """Tells who owns a process, without waiting."""

    def look_up(self, gpus: Mapping[int, Iterable[str]]) -> None:
        """Ask for processes: for each pid the index and the UUID of what it uses."""
        ...

    def known(self, pids: Iterable[int]) -> Mapping[int, Process | None]:
        """Those that were looked up: ``None`` for one that is gone or hidden."""
        ...


class Used(NamedTuple):
    """What was used of a GPU: seconds busy, joules, and seconds in which it was held."""

    busy: float = 0.0
    energy: float = 0.0
    allocated: float = 0.0

    def plus(self, other: "Used") -> "Used":
        """The sum of both."""
        return Used(
            self.busy + other.busy, self.energy + other.energy, self.allocated + other.allocated
        )


@dataclass
class _Account:
    """What an owner has used, and holds now."""

    used: Used = field(default_factory=Used)
    processes: int = 0
    memory: float | None = None
    seen_at: float = 0.0


class Usage:
    """The processes and owners of one GPU.

    Args:
        uuid: The GPU's identity.
        resolver: Tells who owns a process.
        most: How many processes have series of their own.
    """

    def __init__(self, uuid: str, resolver: Resolver, most: int) -> None:
        self._labels = ("", uuid)
        self._resolver = resolver
        self._most = most
        self._accounts: dict[Owner, _Account] = {UNATTRIBUTED: _Account()}
        self._pending: dict[int, Used] = {}
        self._counted: tuple[float | None, float | None] = (None, None)
        self._allocated = 0.0
        self._time: float | None = None
        self._rows: Sequence[ProcessRow] = []
        self._unknown = False
        self._looks = 0
        self._shape: tuple[object, ...] = ()
        self._series: tuple[Series, ...] = ()
        self._values: list[float | None] = []

    def announce(self, index: int) -> None:
        """Take the GPU's index, which may change while the exporter runs."""
        self._labels = (str(index), self._labels[1])
        self._shape = ()

    def take(
        self,
        rows: Sequence[ProcessRow] | None,
        time: float,
        busy: float | None,
        energy: float | None,
    ) -> None:
        """Take who is on the GPU.

        Args:
            rows: The processes; ``None`` if it was not told this time.
            time: When, in seconds of CLOCK_MONOTONIC.
            busy: The GPU's busy seconds by now, if it has that counter.
            energy: The joules that it has used by now, if it has that counter.
        """
        self._rows = rows or []
        self._looks = 0
        if rows is None:
            self._series, self._values, self._shape, self._unknown = (), [], (), False
            return
        self._resolver.look_up({row.pid: self._labels for row in rows})
        self._divide(rows, self._delta(rows, time, busy, energy))
        self._look()

    def block(self) -> Block:
        """The GPU's part of the page, with those whose owners are known by now."""
        if self._unknown:
            self._look()
        return Block(self._series, self._values)

    def settled(self) -> bool:
        """Whether it is known who all are, or there was time enough to find out."""
        if self._unknown:
            self._look()
        return not self._unknown or self._looks > _LOOKS

    def _look(self) -> None:
        """Find the owners, and write what is known; a process has no series before."""
        people = self._resolver.known([row.pid for row in self._rows])
        self._unknown = len(people) < len(self._rows)
        self._looks += 1
        self._settle(people)
        self._hold(people)
        self._write(people)

    def _delta(
        self, rows: Sequence[ProcessRow], time: float, busy: float | None, energy: float | None
    ) -> Used:
        """What was used since the last time."""
        passed = 0.0 if self._time is None else time - self._time
        before = self._counted
        self._time, self._counted = time, (busy, energy)
        held = passed if rows and 0 < passed <= _LONGEST_GAP else 0.0
        self._allocated += held
        return Used(_growth(before[0], busy), _growth(before[1], energy), held)

    def _divide(self, rows: Sequence[ProcessRow], delta: Used) -> None:
        """Give each process its part."""
        if not rows:
            self._credit(UNATTRIBUTED, delta)
        memory = _shares({row.pid: float(row.memory or 0) for row in rows})
        sm = {row.pid: row.use[0] for row in rows if row.use}
        active = _shares(sm) if any(sm.values()) else memory
        for pid, part in memory.items():
            share = active.get(pid, 0.0)
            used = Used(delta.busy * share, delta.energy * share, delta.allocated * part)
            self._pending[pid] = self._pending.get(pid, Used()).plus(used)

    def _settle(self, people: Mapping[int, Process | None]) -> None:
        """Give each owner what its processes have got."""
        here = {row.pid for row in self._rows}
        for pid in [pid for pid in self._pending if pid in people or pid not in here]:
            person = people.get(pid)
            self._credit(person.owner if person else UNATTRIBUTED, self._pending.pop(pid))

    def _credit(self, owner: Owner, used: Used) -> None:
        account = self._account(owner)
        account.used = account.used.plus(used)

    def _account(self, owner: Owner) -> _Account:
        """The account of an owner who is there now; or of all others, if it is full."""
        time = self._time or 0.0
        if owner not in self._accounts and len(self._accounts) >= _MOST_OWNERS:
            gone = [
                other
                for other, account in self._accounts.items()
                if account.seen_at < time and other not in (UNATTRIBUTED, _OTHERS)
            ]
            if not gone:
                owner = _OTHERS
            else:
                del self._accounts[min(gone, key=lambda other: self._accounts[other].seen_at)]
        account = self._accounts.setdefault(owner, _Account())
        account.seen_at = time
        return account

    def _hold(self, people: Mapping[int, Process | None]) -> None:
        """Note what each owner holds now; forget those who left long ago."""
        time = self._time or 0.0
        held: dict[Owner, list[int | None]] = {}
        for row in self._rows:
            if row.pid in people:
                person = people[row.pid]
                held.setdefault(person.owner if person else UNATTRIBUTED, []).append(row.memory)
        for owner, account in self._accounts.items():
            account.processes, account.memory = 0, None
            if owner in held:
                account.seen_at = time
        for owner, amounts in held.items():
            account = self._account(owner)
            account.processes += len(amounts)
            known = [amount for amount in amounts if amount is not None]
            if known:
                account.memory = (account.memory or 0.0) + sum(known)
        self._accounts = {
            owner: account
            for owner, account in self._accounts.items()
            if owner == UNATTRIBUTED or time - account.seen_at <= _LEFT_SECONDS
        }

    def _write(self, people: Mapping[int, Process | None]) -> None:
        rows = [row for row in self._rows if row.pid in people]
        shown, rest = rows, rows[:0]
        if len(rows) > self._most:
            ranked = sorted(rows, key=lambda row: (-(row.memory or 0), row.pid))
            shown, rest = ranked[: self._most], ranked[self._most :]
        shown = sorted(shown, key=lambda row: row.pid)
        shape = (
            *((*row[:2], *row[3:5], people.get(row.pid)) for row in shown),
            bool(rest),
            *self._accounts,
        )
        if shape != self._shape:
            self._shape = shape
            self._series = tuple(self._build_series(shown, people, bool(rest)))
        values: list[float | None] = [float(len(self._rows)), self._allocated]
        for row in shown:
            person = people.get(row.pid)
            values += [1.0, person.start_time if person else None, row.memory]
            values += row.use or _NO_USE
        if rest:
            values.append(sum(row.memory or 0 for row in rest))
            values += _sums(rest)
        for account in self._accounts.values():
            values += [float(account.processes), account.memory, *account.used]
        self._values = values

    def _build_series(
        self, shown: Sequence[ProcessRow], people: Mapping[int, Process | None], others: bool
    ) -> Iterable[Series]:
        yield Series(metrics.PROCESSES, self._labels)
        yield Series(metrics.ALLOCATED, self._labels)
        for row in shown:
            person = people.get(row.pid)
            name, owner = (person.name, person.owner) if person else ("", _NOBODY)
            labels = (*self._labels, str(row.pid), name, owner.user)
            command = person.command if person else ""
            instance = (row.gpu_instance, row.compute_instance)
            yield Series(metrics.PROCESS_INFO, (*labels, row.type, *instance, *owner[1:], command))
            yield Series(metrics.PROCESS_START, labels)
            for metric in _OF_PROCESS:
                yield Series(metric, labels)
        if others:
            for metric in _OF_PROCESS:
                yield Series(metric, (*self._labels, "others", "", ""))
        for owner in self._accounts:
            for metric in _OF_OWNER:
                yield Series(metric, (*self._labels, *owner))


_NOBODY = Owner()
_NO_USE = (None, None, None, None)
_OF_PROCESS = (
    metrics.PROCESS_MEMORY,
    metrics.PROCESS_SM,
    metrics.PROCESS_MEMORY_ACTIVITY,
    metrics.PROCESS_ENCODER,
    metrics.PROCESS_DECODER,
)
_OF_OWNER = (
    metrics.OWNER_PROCESSES,
    metrics.OWNER_MEMORY,
    metrics.OWNER_BUSY,
    metrics.OWNER_ENERGY,
    metrics.OWNER_ALLOCATED,
)


def _growth(before: float | None, now: float | None) -> float:
    return 0.0 if before is None or now is None else max(0.0, now - before)


def _shares(weights: Mapping[int, float]) -> dict[int, float]:
    """Each weight as a share of all; equal shares where there is no weight."""
    whole = sum(weights.values())
    if whole <= 0:
        return dict.fromkeys(weights, 1 / len(weights)) if weights else {}
    return {pid: weight / whole for pid, weight in weights.items()}


def _sums(rows: Sequence[ProcessRow]) -> list[float | None]:
    totals: dict[int, float] = defaultdict(float)
    for row in rows:
        for position, share in enumerate(row.use or ()):
            totals[position] += share
    return [totals.get(position) for position in range(len(_NO_USE))]
