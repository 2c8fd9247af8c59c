"""The exporter's facts about itself."""

import platform
import resource

import psutil

import gpuglass
from gpuglass.catalogue import exporter as metrics
from gpuglass.catalogue.model import Series
from gpuglass.pipeline.devices import Status
from gpuglass.pipeline.page import Block

_BUILD = Block(
    (Series(metrics.BUILD_INFO, (gpuglass.__version__, platform.python_version())),), [1.0]
)
_PROCESSES = (
    Series(metrics.PROCESS_CPU, ("exporter",)),
    Series(metrics.PROCESS_MEMORY, ("exporter",)),
    Series(metrics.PROCESS_CPU, ("probe",)),
    Series(metrics.PROCESS_MEMORY, ("probe",)),
)


class Itself:
    """Collectors' statuses, and what the processes cost."""

    def __init__(self) -> None:
        self._exporter = psutil.Process()
        self._probe: psutil.Process | None = None
        self._processes = Block()
        self._collectors: tuple[str, ...] = ()
        self._statuses: tuple[Series, ...] = ()
        self._failing: tuple[tuple[str, str], ...] = ()
        self._failures: tuple[Series, ...] = ()

    def read_processes(self, probe: int | None) -> None:
        """Read what the exporter and the probe use.

        Args:
            probe: The process id of the probe; ``None`` while there is none.
        """
        if self._probe is None or self._probe.pid != probe:
            self._probe = _process(probe)
        # Every probe that has ended is a child that was waited for.
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu, memory = _usage(self._probe)
        self._processes = Block(
            _PROCESSES,
            [*_usage(self._exporter), ended.ru_utime + ended.ru_stime + (cpu or 0.0), memory],
        )

    def blocks(self, statuses: list[Status]) -> list[Block]:
        """The page's part, with how each collector does."""
        collectors = tuple(status.collector for status in statuses)
        if collectors != self._collectors:
            self._collectors = collectors
            self._statuses = tuple(
                Series(metric, (collector,))
                for collector in collectors
                for metric in (
                    metrics.COLLECTOR_SUCCESS,
                    metrics.COLLECTOR_DURATION,
                    metrics.COLLECTOR_LAST_SUCCESS,
                    metrics.DATA_AGE,
                )
            )
        failing = tuple((s.collector, s.failure) for s in statuses if s.failure)
        if failing != self._failing:
            self._failing = failing
            self._failures = tuple(Series(metrics.COLLECTOR_FAILURE, labels) for labels in failing)
        values: list[float | None] = []
        for status in statuses:
            success = 0.0 if status.failure else 1.0
            values += [success, status.duration, status.last_success, status.age]
        return [
            _BUILD,
            self._processes,
            Block(self._statuses, values),
            Block(self._failures, [1.0] * len(failing)),
        ]


def _process(pid: int | None) -> psutil.Process | None:
    try:
        return psutil.Process(pid) if pid else None
    except psutil.Error:
        return None


def _usage(process: psutil.Process | None) -> tuple[float | None, float | None]:
    """CPU seconds and resident bytes of a process; ``None`` where it is gone."""
    if process is None:
        return None, None
    try:
        with process.oneshot():
            times = process.cpu_times()
            return times.user + times.system, float(process.memory_info().rss)
    except psutil.Error:
        return None, None
