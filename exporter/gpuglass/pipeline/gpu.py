"""What is known of one GPU: its last readings, and the counters that outlive the probe."""

import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from gpuglass.catalogue import activity, bounds, gpu, mig, processes
from gpuglass.catalogue import device as metrics
from gpuglass.catalogue.groups import CORE, PROCESSES, patience
from gpuglass.catalogue.model import Metric, Series, Type
from gpuglass.pipeline.counters import Counter, Highest
from gpuglass.pipeline.history import History
from gpuglass.pipeline.page import Block
from gpuglass.pipeline.usage import Usage
from gpuglass.probe.frames import Column, Device, Processes, Reading

_BY_NAME = {metric.name: metric for metric in gpu.METRICS}

# Counters that are integrated where the driver has none: the sampled metric, and the counter.
_SAMPLED = {
    metrics.UTILIZATION: metrics.BUSY_SECONDS,
    metrics.MEMORY_ACTIVITY: metrics.MEMORY_ACTIVITY_SECONDS,
    metrics.ENGINE_UTILIZATION: metrics.ENGINE_BUSY_SECONDS,
    metrics.POWER: metrics.ENERGY,
    metrics.CLOCK_EVENT_REASON: metrics.THROTTLE_SECONDS,
    activity.SM_ACTIVE: activity.SM_ACTIVE_SECONDS,
    activity.DRAM_ACTIVE: activity.DRAM_ACTIVE_SECONDS,
    activity.PCIE_RATE: metrics.PCIE_BYTES,
    mig.SM_ACTIVE: mig.SM_ACTIVE_SECONDS,
    mig.DRAM_ACTIVE: mig.DRAM_ACTIVE_SECONDS,
}
# The highest value that was seen of another metric: what a link can do is only seen under load.
_BEST = {
    metrics.PCIE_GENERATION: metrics.PCIE_GENERATION_BEST,
    metrics.PCIE_WIDTH: metrics.PCIE_WIDTH_BEST,
}
# Those of them whose samples are means over the time between two readings: nothing is missed.
_MONITORED = frozenset(
    {
        activity.SM_ACTIVE_SECONDS,
        activity.DRAM_ACTIVE_SECONDS,
        metrics.PCIE_BYTES,
        mig.SM_ACTIVE_SECONDS,
        mig.DRAM_ACTIVE_SECONDS,
    }
)
# What holds clocks down. The other reasons are no loss: idle, and clocks that somebody chose.
_THROTTLE_REASONS = frozenset(
    {
        "sw_power_cap",
        "hw_slowdown",
        "sync_boost",
        "sw_thermal",
        "hw_thermal",
        "hw_power_brake",
        "board_limit",
        "reliability",
    }
)

# A driver may write its counters less often than we read them.
_LATE_SECONDS = 10.0
# A GPU that the driver lists no longer is shown as down for so long.
_GONE_SECONDS = 3600.0

_Key = tuple[Metric, tuple[str, ...]]


class _Sampled(NamedTuple):
    """A counter to integrate from the value at ``position`` of a group."""

    position: int
    counter: Counter


class _Best(NamedTuple):
    """The highest of the values at ``position`` of a group."""

    position: int
    highest: Highest


class _Followed(NamedTuple):
    """The driver's counter at ``position`` of a group, and the published one.

    ``growth`` is by how much it can grow in a second.
    """

    position: int
    wraps: int
    growth: float
    counter: Counter


class _Section:
    """The values of one group.

    Attributes:
        columns: What they are.
        values: The last ones; ``None`` where there is none.
        read: Whether they were ever read.
        follow: The counters that the driver or the probe has.
        sampled: The counters to integrate.
        best: The highest values to keep.
        patience: A gap longer than this many seconds is not integrated: nobody saw it.
    """

    def __init__(self, columns: list[Column], interval: float) -> None:
        self.columns = columns
        self.values: list[float | None] = [None] * len(columns)
        self.read = False
        self.follow: list[_Followed] = []
        self.sampled: list[_Sampled] = []
        self.best: list[_Best] = []
        self.patience = patience(interval)

    def take(self, values: list[float | None], at: float) -> None:
        for position, wraps, growth, counter in self.follow:
            value = values[position]
            if value is not None:
                passed = at - counter.followed_at + _LATE_SECONDS
                counter.follow(value, wraps, growth * passed)
                counter.followed_at = at
                values[position] = counter.total
        for position, counter in self.sampled:
            counter.integrate(values[position], at, self.patience)
        for position, highest in self.best:
            highest.take(values[position])
        self.values = values
        self.read = True


class Gpu:
    """One GPU.

    Args:
        uuid: Its identity.
        intervals: Seconds between two readings of each of its groups, the core first.
        usage: Keeps its processes and owners.

    Attributes:
        address: Its PCI address, such as ``0000:3b:00.0``; empty if unknown.
        index: NVML's index of it.
        down: Why it does not answer; empty while it does.
        gone_at: When the driver listed it no longer, in seconds of CLOCK_MONOTONIC; 0 if it does.
        heard_at: When it was announced or read last, in seconds of CLOCK_MONOTONIC.
        read_at: When it was read last, in seconds of CLOCK_MONOTONIC; 0 before the first time.
        duration: How many seconds that took.
        history: What it did of late.
    """

    def __init__(self, uuid: str, intervals: Mapping[str, float], usage: Usage) -> None:
        self.uuid = uuid
        self.address = ""
        self._usage = usage
        self.index = -1
        self.down = "starting"
        self.gone_at = 0.0
        self.heard_at = 0.0
        self.read_at = 0.0
        self.duration = 0.0
        self.history = History()
        self._intervals = intervals
        self._patience = patience(min(intervals.values()))
        self._counters: dict[_Key, Counter] = {}
        self._highest: dict[Metric, Highest] = {}
        self._sections: dict[str, _Section] = {}
        self._constant: list[float | None] = []
        self._state: tuple[Series, ...] = ()
        self._series: tuple[Series, ...] = ()
        self._facts: Block | None = None
        self._awaits_use = False
        self._new_probe = False

    def announce(self, frame: Device) -> None:
        """Take the columns of a probe's plan for this GPU."""
        old = self._sections
        self._sections = {
            # What is planned as before goes on: only the others have no values yet.
            name: old[name]
            if name in old and old[name].columns == columns and not self.down
            else _Section(columns, self._intervals[name])
            for name, columns in frame.columns.items()
            if name != PROCESSES
        }
        if self.down:  # a new probe will tell who is there; one that plans anew has told
            self._awaits_use = PROCESSES in frame.columns and PROCESSES not in frame.refused
        given = {(c.metric, c.labels) for columns in frame.columns.values() for c in columns}
        sampled: list[_Key] = []
        best: list[Metric] = []
        for section in self._sections.values():
            if not section.read or self._new_probe:
                section.follow = list(self._counted(section.columns))
            integrated = list(self._to_integrate(section.columns, given))
            section.sampled = [item for item, _ in integrated]
            sampled += [key for _, key in integrated]
            kept = list(self._to_keep(section.columns))
            section.best = [item for item, _ in kept]
            best += [metric for _, metric in kept]
        self.history.arrange({name: s.columns for name, s in self._sections.items()})
        labels = (str(frame.index), self.uuid)
        sources = list(dict.fromkeys(self._sources(frame, sampled)))
        self._new_probe = False
        self.heard_at, self.gone_at = time.monotonic(), 0.0
        self.index = frame.index
        self.address = frame.info["pci_bus_id"]
        self._usage.announce(frame.index)
        groups = [(name, frame.refused.get(name, "")) for name in frame.columns]
        self._constant = [1.0 for _ in sources]
        self._constant += [0.0 if why else 1.0 for _, why in groups]
        self._state = (
            Series(metrics.INFO_, (*labels, *(frame.info[n] for n in metrics.INFO_.labels[2:]))),
            Series(metrics.UP, labels),
            Series(metrics.DATA_AGE, labels),
        )
        self._series = (
            *(Series(metrics.SOURCE, (*labels, *source)) for source in sources),
            *(Series(metrics.CAPABILITY, (*labels, *group)) for group in groups),
            *(
                Series(_BY_NAME[column.metric], (*labels, *column.labels))
                for section in self._sections.values()
                for column in section.columns
            ),
            *(Series(metric, (*labels, *part)) for metric, part in sampled),
            *(Series(metric, labels) for metric in best),
        )
        self._facts = None

    def read(self, frame: Reading) -> None:
        """Take a reading."""
        for name, values in frame.values.items():
            if name in self._sections:
                self._sections[name].take(values, frame.time)
        if PROCESSES in frame.values:
            busy, energy = self._total(metrics.BUSY_SECONDS), self._total(metrics.ENERGY)
            self._usage.take(frame.values[PROCESSES], frame.time, busy, energy)
        if CORE in frame.values:
            self.down = ""
            self.read_at = self.heard_at = frame.time
            self.duration = frame.duration
            self.history.take(frame.time, lambda name, i: self._sections[name].values[i])
        self._facts = None

    def lose(self, reason: str) -> None:
        """Take the news that the GPU does not answer any more."""
        self.down = reason

    def renew(self) -> None:
        """Take the news that another probe is about to read the GPU."""
        self._new_probe = True

    def leave(self) -> None:
        """Take the news that the driver lists the GPU no longer."""
        if not self.gone_at:
            self.gone_at = time.monotonic()
        self.down = "not_listed"

    def shown(self, now: float) -> bool:
        """Whether the GPU is on the page: for a while after it left, so that this is seen."""
        return not self.gone_at or now - self.gone_at <= _GONE_SECONDS

    def rest(self, reason: str) -> None:
        """Take the news that it is left alone for a while, and why."""
        self.down = reason
        self._usage.look_away()

    def settled(self) -> bool:
        """Whether it has been read, or is known not to answer."""
        return self.down not in ("", "starting") or self._complete()

    def _complete(self) -> bool:
        """Whether every group has been read since the last announcement."""
        read = bool(self._sections) and all(s.read for s in self._sections.values())
        return read and not self._awaits_use and self._usage.settled()

    def trouble(self, now: float) -> str:
        """Why what is known is not the present; empty while it is."""
        if self.down:
            return self.down
        return "silent" if now - self.read_at > self._patience else ""

    def work(self, now: float) -> float | None:
        """The seconds it was busy so far; ``None`` if somebody is on it, or if it is not known."""
        if self.trouble(now) or not self._usage.free():
            return None
        return self._total(metrics.BUSY_SECONDS)

    def enter(self, frame: Processes) -> None:
        """Take who is on the GPU from now on."""
        self._usage.enter(frame.processes)
        self._awaits_use = False

    def blocks(self, now: float) -> list[Block]:
        """The GPU's part of the page: only that it is down, while it is."""
        up = not self.trouble(now)
        age = round(now - self.read_at, 1) if self.read_at else None
        state = Block(self._state, [1.0, float(up), age])
        if up:
            self._facts = self._facts or self._collect()
            return [state, self._facts, self._usage.block()]
        return [state, Block(self._series, [None] * len(self._series))]

    def _collect(self) -> Block:
        """Put together what has been read: the same block until the next reading."""
        sections = self._sections.values()
        values = self._constant.copy()
        for section in sections:
            values += section.values
        values += [item.counter.total for section in sections for item in section.sampled]
        values += [item.highest.value for section in sections for item in section.best]
        return Block(self._series, values)

    def _total(self, metric: Metric) -> float | None:
        """A counter of the whole GPU, if this card has it."""
        counter = self._counters.get((metric, ()))
        return counter.total if counter else None

    def _counter(self, metric: Metric, labels: tuple[str, ...]) -> Counter:
        return self._counters.setdefault((metric, labels), Counter())

    def _counted(self, columns: list[Column]) -> Iterator[_Followed]:
        for position, column in enumerate(columns):
            metric = _BY_NAME[column.metric]
            if metric.type is not Type.COUNTER:
                continue
            counter = self._counter(metric, column.labels)
            if column.wraps or column.source != "driver":
                # Lower than before can now also mean a driver that was loaded anew, or a new probe.
                counter.forget()
            yield _Followed(position, column.wraps, bounds.growth(column.metric), counter)

    def _to_integrate(
        self, columns: list[Column], from_driver: set[tuple[str, tuple[str, ...]]]
    ) -> Iterator[tuple[_Sampled, _Key]]:
        for position, column in enumerate(columns):
            metric = _SAMPLED.get(_BY_NAME[column.metric])
            if metric is None or (metric.name, column.labels) in from_driver:
                continue
            if metric is metrics.THROTTLE_SECONDS and column.labels[0] not in _THROTTLE_REASONS:
                continue
            counter = self._counter(metric, column.labels)
            yield _Sampled(position, counter), (metric, column.labels)

    def _to_keep(self, columns: list[Column]) -> Iterator[tuple[_Best, Metric]]:
        for position, column in enumerate(columns):
            metric = _BEST.get(_BY_NAME[column.metric])
            if metric:
                yield _Best(position, self._highest.setdefault(metric, Highest())), metric

    def _sources(self, frame: Device, sampled: list[_Key]) -> Iterator[tuple[str, str, str]]:
        """Each counter that the driver does not have, its source, and why it has none if so."""
        given = {column.metric for columns in frame.columns.values() for column in columns}
        for columns in frame.columns.values():
            for column in columns:
                if _BY_NAME[column.metric].type is Type.COUNTER and column.source != "driver":
                    yield column.metric, column.source, ""
        for metric, _ in sampled:
            yield metric.name, "gpm" if metric in _MONITORED else "sampled", ""
        without_use = [w for name, _, w in frame.missing if name == processes.PROCESS_SM.name]
        if PROCESSES in frame.columns and PROCESSES not in frame.refused:
            basis = ("memory", without_use[0]) if without_use else ("sm", "")
            yield processes.OWNER_BUSY.name, *basis
            yield processes.OWNER_ENERGY.name, *basis
        for name, labels, why in frame.missing:
            metric = _BY_NAME[name]
            # Some cards have one part of a metric, others another one.
            absent = name not in given and (metric, labels) not in sampled
            if metric.type is Type.COUNTER and absent:
                yield name, "absent", why
