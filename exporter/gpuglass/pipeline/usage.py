"""Who uses one GPU: its processes as they are, and what their owners have used so far.

What the GPU's own counters grow by from one reading to the next is split among the processes that
are there, so that the owners' counters add up to the GPU's, to the last joule.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from gpuglass.catalogue import processes as metrics
from gpuglass.catalogue.model import Series
from gpuglass.owners import Owner, Process
from gpuglass.pipeline.page import Block
from gpuglass.probe.frames import PROCESS_VALUES
from gpuglass.probe.frames import Process as Listed

UNATTRIBUTED = Owner("unattributed")
# Takes what more owners use than there are series for.
_OTHERS = Owner("others")
# An owner that left stays on the page for this long, so that every scraper sees its last values.
_LEFT_SECONDS = 600.0
_MOST_OWNERS = 64
# A new owner's counters show 0 for this long: increase() sees what it uses from its first second
# on only if a scrape has seen them at 0, also of one who leaves before the next scrape.
_FIRST_SECONDS = 15.0
# A second or so of a caller that asks a hundred times a second.
_LOOKS = 100
# What a display's server keeps on a card that it does not draw with.
_DISPLAY_BYTES = 32 * 2**20
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


_NOTHING = Used()


@dataclass
class _Account:
    """What an owner has used, and holds now."""

    opened_at: float
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
        self._accounts: dict[Owner, _Account] = {UNATTRIBUTED: _Account(-_FIRST_SECONDS)}
        self._pending: dict[int, Used] = {}
        self._counted: tuple[float | None, float | None] = (None, None)
        self._allocated = 0.0
        self._time: float | None = None
        self._unseen = False
        self._coming: Sequence[Listed] | None = None
        self._listed: Sequence[Listed] | None = None
        self._pids: list[int] = []
        self._names: dict[int, tuple[str, ...]] = {}
        self._use: Sequence[float | None] = []
        self._people: Mapping[int, Process | None] = {}
        self._groups: dict[Owner, list[int]] = {}
        self._written: object = None
        self._unknown = False
        self._looks = 0
        self._changed = False
        self._shape: tuple[object, ...] = ()
        self._series: tuple[Series, ...] = ()
        self._values: list[float | None] = []

    def announce(self, index: int) -> None:
        """Take the GPU's index, which may change while the exporter runs."""
        self._labels = (str(index), self._labels[1])
        self._names = self._name()
        self._shape = ()

    def enter(self, listed: Sequence[Listed] | None) -> None:
        """Take who is on the GPU from now on: they are there once it is known what they use.

        Args:
            listed: The processes; ``None`` where the driver does not tell.
        """
        self._coming = listed
        if listed is None:
            self._list(None)

    def _list(self, listed: Sequence[Listed] | None) -> None:
        self._listed = listed
        self._pids = [process.pid for process in listed or ()]
        self._names = self._name()
        self._use = [None] * (len(self._pids) * PROCESS_VALUES)
        self._groups = {}
        self._people = {}
        self._unknown = bool(self._pids)
        self._looks = 0
        if listed is None:
            self._shape, self._series, self._values, self._changed = (), (), [], False

    def look_away(self) -> None:
        """Take the news that nobody looks for a while: what is used in it is nobody's."""
        self._unseen = True

    def take(
        self,
        values: Sequence[float | None],
        time: float,
        busy: float | None,
        energy: float | None,
    ) -> None:
        """Take what those who are on the GPU use.

        Args:
            values: ``PROCESS_VALUES`` for each of them.
            time: When, in seconds of CLOCK_MONOTONIC.
            busy: The GPU's busy seconds by now, if it has that counter.
            energy: The joules that it has used by now, if it has that counter.
        """
        if self._coming is not None:
            self._list(self._coming)
            self._coming = None
        if self._listed is None or len(values) != len(self._pids) * PROCESS_VALUES:
            return
        self._use = values
        self._resolver.look_up(self._names)
        delta = self._delta(time, busy, energy)
        if self._unseen:
            self._credit(UNATTRIBUTED, delta)
        else:
            self._divide(delta)
        self._unseen = False
        self._look()

    def block(self) -> Block:
        """The GPU's part of the page, with those whose owners are known by now."""
        if self._unknown:
            self._look()
        if self._changed:
            self._changed = False
            self._hold()
            self._write()
        return Block(self._series, self._values)

    def free(self) -> bool:
        """Whether it is known that nobody is on the GPU, but displays, which let it sleep."""
        if self._listed is None or self._coming is not None:
            return False
        memory = self._use[0::PROCESS_VALUES]
        return all(
            process.type == "graphics" and (used or 0) <= _DISPLAY_BYTES
            for process, used in zip(self._listed, memory, strict=True)
        )

    def settled(self) -> bool:
        """Whether it is known who all are, or there was time enough to find out."""
        if self._coming is not None:
            return False
        if self._unknown:
            self._look()
        return not self._unknown or self._looks > _LOOKS

    def _look(self) -> None:
        """Find the owners; a process has no series before its own is known."""
        people = self._resolver.known(self._pids)
        if people != self._people or not self._groups:
            self._people = people
            self._group()
        self._unknown = len(people) < len(self._names)
        self._looks += 1
        self._settle()
        self._changed = True

    def _name(self) -> dict[int, tuple[str, ...]]:
        """By pid what a job's file may call what the process is on."""
        names: dict[int, tuple[str, ...]] = {}
        for process in self._listed or ():
            there = names.get(process.pid, self._labels)
            if process.gpu_instance:
                there += (f"{self._labels[0]}.{process.gpu_instance}", process.instance_uuid)
            names[process.pid] = there
        return names

    def _group(self) -> None:
        """Find each owner's processes, by their positions in the list."""
        self._groups = {}
        for position, pid in enumerate(self._pids):
            if pid in self._people:
                person = self._people[pid]
                owner = person.owner if person else UNATTRIBUTED
                self._groups.setdefault(owner, []).append(position)

    def _delta(self, time: float, busy: float | None, energy: float | None) -> Used:
        """What was used since the last time."""
        passed = 0.0 if self._time is None else time - self._time
        before = self._counted
        self._time, self._counted = time, (busy, energy)
        seen = self._pids and not self._unseen
        held = passed if seen and 0 < passed <= _LONGEST_GAP else 0.0
        self._allocated += held
        return Used(_growth(before[0], busy), _growth(before[1], energy), held)

    def _divide(self, delta: Used) -> None:
        """Give each process its part."""
        if not self._pids:
            self._credit(UNATTRIBUTED, delta)
            return
        sm = self._use[1::PROCESS_VALUES]
        held = _shares(self._use[0::PROCESS_VALUES])
        active = _shares(sm) if any(sm) else held
        for pid, share, part in zip(self._pids, active, held, strict=True):
            used = Used(delta.busy * share, delta.energy * share, delta.allocated * part)
            before = self._pending.get(pid)
            self._pending[pid] = before.plus(used) if before else used

    def _settle(self) -> None:
        """Give each owner what its processes have got."""
        for owner, positions in self._groups.items():
            for position in positions:
                used = self._pending.pop(self._pids[position], None)
                if used:
                    self._credit(owner, used)
        for pid in self._pending.keys() - self._pids:
            self._credit(UNATTRIBUTED, self._pending.pop(pid))

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
        account = self._accounts.setdefault(owner, _Account(time))
        account.seen_at = time
        return account

    def _hold(self) -> None:
        """Note what each owner holds now; forget those who left long ago."""
        time = self._time or 0.0
        for owner, account in self._accounts.items():
            account.processes, account.memory = 0, None
            if owner in self._groups:
                account.seen_at = time
        memory = self._use[0::PROCESS_VALUES]
        for owner, positions in self._groups.items():
            account = self._account(owner)
            account.processes += len({self._pids[p] for p in positions})
            known = [amount for p in positions if (amount := memory[p]) is not None]
            if known:
                account.memory = (account.memory or 0.0) + sum(known)
        for owner in [o for o, a in self._accounts.items() if time - a.seen_at > _LEFT_SECONDS]:
            if owner != UNATTRIBUTED:
                del self._accounts[owner]

    def _write(self) -> None:
        positions = [p for p, pid in enumerate(self._pids) if pid in self._people]
        shown, rest = positions, positions[:0]
        if len(positions) > self._most:
            ranked = sorted(positions, key=lambda p: (-(self._row(p)[0] or 0), self._pids[p]))
            shown, rest = sorted(ranked[: self._most]), ranked[self._most :]
        shape = (shown, bool(rest), *self._accounts)
        if shape != self._shape or self._written != (self._listed, self._people):
            self._shape, self._written = shape, (self._listed, self._people)
            self._series = tuple(self._build_series(shown, bool(rest)))
        values: list[float | None] = [float(len(self._names)), self._allocated]
        for p in shown:
            person = self._people[self._pids[p]]
            values += (1.0, person.start_time if person else None)
            values += self._row(p)
        if rest:
            columns = zip(*map(self._row, rest), strict=True)
            values += [_sum(column) for column in columns]
        new = (self._time or 0.0) - _FIRST_SECONDS
        busy, energy = self._counted
        for account in self._accounts.values():
            used = _NOTHING if account.opened_at > new else account.used
            values += (float(account.processes), account.memory)
            # What the card does not count for itself, as busy time in MIG mode, is nobody's either.
            values += (
                None if busy is None else used.busy,
                None if energy is None else used.energy,
                used.allocated,
            )
        self._values = values

    def _row(self, position: int) -> Sequence[float | None]:
        """The values of one process."""
        return self._use[position * PROCESS_VALUES : (position + 1) * PROCESS_VALUES]

    def _build_series(self, shown: Sequence[int], others: bool) -> Iterable[Series]:
        yield Series(metrics.PROCESSES, self._labels)
        yield Series(metrics.ALLOCATED, self._labels)
        for position in shown:
            process = (self._listed or [])[position]
            person = self._people[process.pid]
            name, owner, command = ("", _NOBODY, "")
            if person:
                name, owner, command = person.name, person.owner, person.command
            instance = (process.gpu_instance, process.compute_instance)
            labels = (*self._labels, str(process.pid), name, owner.user, *instance)
            yield Series(metrics.PROCESS_INFO, (*labels, process.type, *owner[1:], command))
            yield Series(metrics.PROCESS_START, labels)
            for metric in _OF_PROCESS:
                yield Series(metric, labels)
        if others:
            for metric in _OF_PROCESS:
                yield Series(metric, (*self._labels, "others", "", "", "", ""))
        for owner in self._accounts:
            for metric in _OF_OWNER:
                yield Series(metric, (*self._labels, *owner))


_NOBODY = Owner()
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


def _shares(weights: Sequence[float | None]) -> list[float]:
    """Each weight as a share of all; equal shares where there is no weight."""
    whole = sum([weight or 0.0 for weight in weights])
    if whole <= 0:
        return [1 / len(weights)] * len(weights)
    return [(weight or 0.0) / whole for weight in weights]


def _sum(values: Iterable[float | None]) -> float | None:
    """The sum of those that are known; ``None`` where none is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None
