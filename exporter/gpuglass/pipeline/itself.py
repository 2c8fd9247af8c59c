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
_WEB = (Series(metrics.WEB_CONFIGURATION_VALID), Series(metrics.WEB_CERTIFICATE_EXPIRY))


class Itself:
    """Collectors' statuses, and what the processes cost."""

    def __init__(self) -> None:
        self._exporter = psutil.Process()
        self._probes: dict[int, psutil.Process] = {}
        self._processes = Block()
        self._collectors: list[str] = []
        self._statuses: tuple[Series, ...] = ()
        self._failing: list[tuple[str, str]] = []
        self._failures: tuple[Series, ...] = ()
        self._capabilities: dict[str, str] = {}
        self._owners: tuple[Series, ...] = ()
        self._web = Block()

    def web_configuration(self, valid: bool, expiry: float | None) -> None:
        """Take whether the web configuration is in force as it is, and its certificate's end."""
        self._web = Block(_WEB, [1.0 if valid else 0.0, expiry])

    def read_processes(self, probes: list[int]) -> None:
        """Read what the exporter and the probes use.

        Args:
            probes: The process ids of all probes that have not been waited for.
        """
        self._probes = {
            pid: process for pid in probes if (process := self._probes.get(pid) or _process(pid))
        }
        # The other probes are children that were waited for.
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        usages = [_usage(process) for process in self._probes.values()]
        cpu = ended.ru_utime + ended.ru_stime + sum(cpu for cpu, _ in usages if cpu)
        memory = [memory for _, memory in usages if memory is not None]
        self._processes = Block(
            _PROCESSES, [*_usage(self._exporter), cpu, sum(memory) if memory else None]
        )

    def owners(self, capabilities: dict[str, str]) -> Block:
        """What can be told of processes' owners: by part the reason why not, or an empty text."""
        if capabilities != self._capabilities:
            self._capabilities = capabilities
            self._owners = tuple(Series(metrics.OWNERS, part) for part in capabilities.items())
        return Block(self._owners, [0.0 if why else 1.0 for why in capabilities.values()])

    def blocks(self, statuses: list[Status]) -> list[Block]:
        """The page's part, with how each collector does."""
        collectors = [status.collector for status in statuses]
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
        failing = [(status.collector, status.failure) for status in statuses if status.failure]
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
            self._web,
            Block(self._statuses, values),
            Block(self._failures, [1.0] * len(failing)),
        ]


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None


def _usage(process: psutil.Process) -> tuple[float | None, float | None]:
    """CPU seconds and resident bytes of a process; ``None`` where it is gone."""
    try:
        with process.oneshot():
            times = process.cpu_times()
            return times.user + times.system, float(process.memory_info().rss)
    except psutil.Error:
        return None, None
