"""Runs the host collectors, each as often as it is worth."""

import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from gpuglass.catalogue.model import Series
from gpuglass.host.registry import Collector
from gpuglass.pipeline.devices import Status
from gpuglass.pipeline.page import Block

_log = logging.getLogger(__name__)


@dataclass
class _State:
    patience: float
    block: Block = field(default_factory=Block)
    failure: str = "starting"
    duration: float | None = None
    last_success: float | None = None
    read_at: float | None = None


class Hosts:
    """The host's facts, read in threads of their own.

    Args:
        collectors: What to read.
        fast: Seconds between two runs of a collector.
        slow: Seconds between two runs of a collector that says that it is slow.

    Attributes:
        changed_at: When something new was read last, in seconds of CLOCK_MONOTONIC.
    """

    def __init__(self, collectors: Iterable[Collector], fast: float, slow: float) -> None:
        self._tempos = (fast, slow)
        self._states = {
            collector: _State(max(3 * self._tempos[collector.slow], 10.0))
            for collector in collectors
        }
        self.changed_at = 0.0

    def start(self) -> None:
        """Read everything from now on."""
        fast = [collector for collector in self._states if not collector.slow]
        # A slow one may hang, in a dead network file system for one: it gets a thread of its own.
        alone = [[collector] for collector in self._states if collector.slow]
        for group in [fast, *alone]:
            if group:
                threading.Thread(
                    target=self._repeat, args=(group,), name=group[0].name, daemon=True
                ).start()

    def blocks(self, now: float) -> tuple[list[Block], list[Status]]:
        """The page's part: what is not older than three of its intervals.

        Args:
            now: In seconds of CLOCK_MONOTONIC.

        Returns:
            The part, and how each collector does.
        """
        blocks, statuses = [], []
        for collector, state in self._states.items():
            age = now - state.read_at if state.read_at else None
            failure = state.failure
            if not failure and age is not None and age > state.patience:
                failure = "silent"
            if not failure:
                blocks.append(state.block)
            statuses.append(
                Status(collector.name, failure, state.duration, state.last_success, age)
            )
        return blocks, statuses

    def complete(self) -> bool:
        """Whether each collector has run."""
        return all(state.failure != "starting" for state in self._states.values())

    def _repeat(self, collectors: list[Collector]) -> None:
        interval = self._tempos[collectors[0].slow]
        while True:
            for collector in collectors:
                _read(collector, self._states[collector])
            self.changed_at = time.monotonic()
            time.sleep(interval - time.monotonic() % interval)


def _read(collector: Collector, state: _State) -> None:
    begin = time.monotonic()
    try:
        samples = collector.read()
    except Exception as error:  # one collector's fault must not end the others
        if not state.failure or state.failure == "starting":
            _log.warning("collector %s fails: %s", collector.name, error)
        state.failure = "no_permission" if isinstance(error, PermissionError) else "error"
        return
    finally:
        state.duration = time.monotonic() - begin
    series = tuple(Series(sample.metric, sample.labels) for sample in samples)
    # The page works its arrangement out anew for a new tuple: keep the old one while it holds.
    known = state.block.series
    state.block = Block(known if known == series else series, [s.value for s in samples])
    state.failure = ""
    state.last_success = time.time() // 1
    state.read_at = time.monotonic()
