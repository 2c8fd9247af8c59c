"""What is known of one GPU: its last readings, and the counters that outlive the probe."""

from collections.abc import Iterator
from typing import NamedTuple

from gpuglass.catalogue import device as metrics
from gpuglass.catalogue.model import Metric, Series, Type
from gpuglass.pipeline.counters import Counter
from gpuglass.pipeline.page import Block
from gpuglass.probe.frames import Column, Device, Down, Reading

_BY_NAME = {metric.name: metric for metric in metrics.METRICS}

# Counters that are integrated where the driver has none: the sampled metric, and the counter.
_SAMPLED = {
    metrics.UTILIZATION: metrics.BUSY_SECONDS,
    metrics.MEMORY_ACTIVITY: metrics.MEMORY_ACTIVITY_SECONDS,
    metrics.ENGINE_UTILIZATION: metrics.ENGINE_BUSY_SECONDS,
    metrics.POWER: metrics.ENERGY,
    metrics.CLOCK_EVENT_REASON: metrics.THROTTLE_SECONDS,
}
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

_Key = tuple[Metric, tuple[str, ...]]


class _Sampled(NamedTuple):
    """A counter to integrate from the fast group's value at ``position``."""

    position: int
    counter: Counter


class Gpu:
    """One GPU.

    Args:
        uuid: Its identity.
        interval: Seconds between two readings of its fast group.

    Attributes:
        index: NVML's index of it.
        down: Why it does not answer; empty while it does.
        read_at: When it was read last, in seconds of CLOCK_MONOTONIC; 0 before the first time.
        duration: How many seconds that took.
        complete: Whether every group has been read since the last announcement.
    """

    def __init__(self, uuid: str, interval: float) -> None:
        self.uuid = uuid
        self.index = -1
        self.down = "starting"
        self.read_at = 0.0
        self.duration = 0.0
        self.complete = False
        self._patience = max(3 * interval, 5.0)
        self._counters: dict[_Key, Counter] = {}
        self._columns: dict[str, list[Column]] = {}
        self._values: dict[str, list[float | None]] = {}
        self._unread: set[str] = set()
        self._follow: dict[str, list[tuple[int, Column, Counter]]] = {}
        self._sampled: list[_Sampled] = []
        self._constant: list[float | None] = []
        self._series: tuple[Series, ...] = ()

    def announce(self, frame: Device) -> None:
        """Take the columns of a probe's plan for this GPU."""
        self._columns = frame.columns
        self._values = {group: [None] * len(c) for group, c in frame.columns.items()}
        self._unread = set(frame.columns)
        self.complete = False
        self._follow = {
            group: list(self._driver_counters(columns)) for group, columns in frame.columns.items()
        }
        from_driver = {
            (column.metric, column.labels) for c in frame.columns.values() for column in c
        }
        sampled = list(self._to_integrate(frame.columns["fast"], from_driver))
        self._sampled = [item for item, _ in sampled]
        labels = (str(frame.index), self.uuid)
        sources = list(dict.fromkeys(self._sources(frame, [key for _, key in sampled])))
        self.index = frame.index
        self._constant = [1.0] * len(sources)
        self._series = (
            Series(metrics.INFO_, (*labels, *(frame.info[n] for n in metrics.INFO_.labels[2:]))),
            Series(metrics.UP, labels),
            Series(metrics.DATA_AGE, labels),
            *(Series(metrics.SOURCE, (*labels, *source)) for source in sources),
            *(
                Series(_BY_NAME[column.metric], (*labels, *column.labels))
                for columns in frame.columns.values()
                for column in columns
            ),
            *(Series(metric, (*labels, *part)) for _, (metric, part) in sampled),
        )

    def read(self, frame: Reading) -> None:
        """Take a reading."""
        if frame.group not in self._values:
            return
        values = frame.values
        for position, column, counter in self._follow[frame.group]:
            value = values[position]
            if value is not None:
                counter.follow(value, column.wraps)
                values[position] = counter.total
        self._values[frame.group] = values
        self._unread.discard(frame.group)
        self.complete = not self._unread
        if frame.group != "fast":
            return
        for position, counter in self._sampled:
            counter.integrate(values[position], frame.time, self._patience)
        self.down = ""
        self.read_at = frame.time
        self.duration = frame.duration

    def lose(self, frame: Down) -> None:
        """Take the news that the GPU does not answer any more."""
        self.down = frame.reason

    def settled(self) -> bool:
        """Whether it has been read, or is known not to answer."""
        return self.complete or self.down not in ("", "starting")

    def trouble(self, now: float) -> str:
        """Why what is known is not the present; empty while it is."""
        if self.down:
            return self.down
        return "silent" if now - self.read_at > self._patience else ""

    def block(self, now: float) -> Block:
        """The GPU's part of the page: only that it is down, while it is."""
        up = not self.trouble(now)
        age = round(now - self.read_at, 1) if self.read_at else None
        values: list[float | None] = [1.0, float(up), age]
        if up:
            values += self._constant
            for group in self._columns:
                values += self._values[group]
            values += [sampled.counter.total for sampled in self._sampled]
        else:
            values += [None] * (len(self._series) - len(values))
        return Block(self._series, values)

    def _counter(self, metric: Metric, labels: tuple[str, ...]) -> Counter:
        return self._counters.setdefault((metric, labels), Counter())

    def _driver_counters(self, columns: list[Column]) -> Iterator[tuple[int, Column, Counter]]:
        for position, column in enumerate(columns):
            metric = _BY_NAME[column.metric]
            if metric.type is not Type.COUNTER:
                continue
            counter = self._counter(metric, column.labels)
            if column.wraps:
                # Lower than before can now also mean a driver that was loaded anew.
                counter.forget()
            yield position, column, counter

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

    def _sources(self, frame: Device, sampled: list[_Key]) -> Iterator[tuple[str, str, str]]:
        """Each counter, where it comes from, and why where it comes from nowhere."""
        for columns in frame.columns.values():
            for column in columns:
                if _BY_NAME[column.metric].type is Type.COUNTER:
                    yield column.metric, "driver", ""
        for metric, _ in sampled:
            yield metric.name, "sampled", ""
        for name, labels, why in frame.missing:
            metric = _BY_NAME[name]
            if metric.type is Type.COUNTER and (metric, labels) not in sampled:
                yield name, "absent", why
