"""All parts of the exporter together, and the page that they make."""

import asyncio
import contextlib
import errno
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from gpuglass.catalogue import exporter, gpu, host
from gpuglass.catalogue.groups import PROCESSES
from gpuglass.host.cards import Cards
from gpuglass.host.registry import Collector
from gpuglass.owners import OwnerPaths, Resolver
from gpuglass.pipeline.devices import Devices
from gpuglass.pipeline.forms import Forms
from gpuglass.pipeline.gate import Gate
from gpuglass.pipeline.hosts import Hosts
from gpuglass.pipeline.itself import Itself
from gpuglass.pipeline.kernel_log import KernelLog
from gpuglass.pipeline.page import Block
from gpuglass.pipeline.release import Release
from gpuglass.pipeline.sleep import Sleep
from gpuglass.pipeline.supervisor import PATIENCE, Patience, Supervisor
from gpuglass.pipeline.usage import Usage
from gpuglass.pipeline.xids import Xids
from gpuglass.probe.request import Request

_log = logging.getLogger(__name__)

METRICS = (*gpu.METRICS, *host.METRICS, *exporter.METRICS)

_SELF_SECONDS = 5.0
# News of the host wait so long for those of the GPUs, which come 50 ms later: one page for both.
_TOGETHER_SECONDS = 0.1
# Whoever asked in so many of the last intervals will ask again soon.
_OFTEN = 2
# Whoever waits for the next round is told that all is well this often, however seldom it comes.
_LONGEST_ROUND = 15.0


@dataclass(frozen=True)
class Settings:
    """What the user decides.

    Attributes:
        node: The ``node`` label of every sample.
        groups: Seconds between two readings of each group of a GPU's facts, the core first; empty
            to read no GPUs.
        fast: Seconds between two readings.
        slow: Seconds between two readings of what changes rarely.
        deadline: Seconds of silence after which the probe is replaced.
        owners: Where the files are that tell who owns a process.
        commands: Whether command lines are published.
        most_processes: How many processes of a GPU have series of their own.
        kernel_log: Where the kernel log is; ``None`` publishes no XIDs.
        each_nvlink: Whether each NVLink has series of its own, not only their sum.
        patience: How long a GPU that does not answer is left alone.
        cards: The cards that are not to be woken or kept awake; ``None`` reads them all the time.
        sleep_after: Seconds of idleness after which cards that may sleep are let go.
    """

    node: str
    groups: dict[str, float]
    fast: float
    slow: float
    deadline: float
    owners: OwnerPaths = field(default_factory=OwnerPaths)
    commands: bool = False
    most_processes: int = 32
    kernel_log: Path | None = None
    each_nvlink: bool = False
    patience: Patience = PATIENCE
    cards: Cards | None = None
    sleep_after: float = 30.0


class Exporter:
    """Reads GPUs and host, and renders the page.

    Args:
        settings: What the user decides.
        collectors: The host collectors to run.
    """

    def __init__(self, settings: Settings, collectors: Iterable[Collector]) -> None:
        self._settings = settings
        self._forms = Forms(settings.node, METRICS, settings.fast)
        self._xids = Xids()
        self._kernel_log = self._open_kernel_log()
        self._resolver = Resolver(settings.owners, settings.commands)
        self._devices = Devices(
            settings.groups,
            self._xids,
            lambda uuid: Usage(uuid, self._resolver, settings.most_processes),
        )
        request = Request(
            settings.groups,
            settings.kernel_log is not None and self._kernel_log is None,
            settings.each_nvlink,
        )
        gate = Gate(self._devices)
        self._release = Release(gate)
        self._sleep = None
        if settings.cards and settings.groups:
            self._sleep = Sleep(settings.cards, self._devices, gate, settings.sleep_after)
        self._supervisor = Supervisor(
            self._devices, request, settings.deadline, settings.patience, gate
        )
        self._hosts = Hosts(collectors, settings.fast, settings.slow)
        self._self = Itself()
        self._tasks: list[asyncio.Task[None]] = []
        self._updated_at = 0.0
        # When somebody last asked for the page in each form: OpenMetrics or not, gzip or not.
        self._asked_at: dict[tuple[bool, bool], float] = {}
        self._round = asyncio.Event()

    def start(self) -> None:
        """Start reading; needs a running event loop."""
        tasks: list[Callable[[], Awaitable[None]]] = []
        if self._settings.groups:
            tasks.append(self._supervisor.run)
        if self._sleep:
            # Before the probe can start and wake them.
            self._sleep.look(time.monotonic())
            tasks.append(self._sleep.run)
        if self._kernel_log:
            tasks.append(self._kernel_log.run)
        if PROCESSES in self._settings.groups:
            self._resolver.start()
        tasks += [self._watch_processes, self._follow]
        self._tasks = [asyncio.create_task(_keep(task)) for task in tasks]
        self._hosts.start()

    async def stop(self) -> None:
        """Ask the probe to end, and wait until it has."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._resolver.stop()
        if self._kernel_log:
            self._kernel_log.close()

    def complete(self) -> bool:
        """Whether every GPU and every collector has been read, or has told why it cannot be."""
        return self._hosts.complete() and (not self._settings.groups or self._devices.complete())

    def trouble(self) -> str:
        """Why the GPUs cannot be read; empty while they can, or are not to be."""
        if not self._settings.groups:
            return ""
        return self._devices.status(time.monotonic()).failure

    def web_configuration(self, valid: bool, expiry: float | None) -> None:
        """Take what is to be told of the web configuration.

        Args:
            valid: Whether the file is in force as it is now.
            expiry: The Unix time at which the certificate in force ends, if there is one.
        """
        self._self.web_configuration(valid, expiry)
        self._updated_at = 0.0  # not on the page yet

    async def release(self, seconds: float) -> tuple[float | None, list[int]]:
        """Let go of the GPUs for a while, and wait until that is done.

        Args:
            seconds: For how long from now.

        Returns:
            The Unix time at which they are taken back, ``None`` if no GPUs are read; and the
            processes that still have them because they do not end.
        """
        if not self._settings.groups:
            return None, []
        return self._release.begin(seconds), await self._supervisor.gone()

    def take_back(self) -> bool:
        """Read the GPUs again; whether they were let go."""
        return self._release.end()

    def page(self, openmetrics: bool = False, gzip: bool = False) -> bytes:
        """The page as it is now.

        Args:
            openmetrics: Whether to write OpenMetrics rather than Prometheus text.
            gzip: Whether to compress it.

        Returns:
            The body of the answer.
        """
        now = self._asked_at[openmetrics, gzip] = time.monotonic()
        self._look(now)
        return self._forms.page(openmetrics, gzip)

    def snapshot(self, gzip: bool = False) -> bytes:
        """The same facts as JSON.

        Args:
            gzip: Whether to compress it.

        Returns:
            The body of the answer.
        """
        self._look(time.monotonic())
        return self._forms.snapshot(gzip)

    def history(self) -> bytes:
        """What the GPUs did in the last five minutes, as JSON."""
        return self._forms.history(self._devices.histories(time.monotonic()))

    async def round(self) -> None:
        """Wait until there is something new, or for as long as that may take."""
        seconds = min(1.5 * self._settings.fast, _LONGEST_ROUND)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._round.wait(), seconds)

    def _open_kernel_log(self) -> KernelLog | None:
        path = self._settings.kernel_log
        if path is None or not self._settings.groups:
            return None
        try:
            log = KernelLog(
                path,
                lambda gpu, xid, time: self._xids.add(gpu, xid, 1, time),
                self._kernel_log_is,
            )
        except OSError as error:
            self._kernel_log_is(errno.errorcode.get(error.errno or 0, "error").lower())
            return None
        self._kernel_log_is("")
        return log

    def _kernel_log_is(self, why: str) -> None:
        """Take why the kernel log cannot be read; empty if it can."""
        if why:
            self._xids.hidden_by_kernel(why)
        else:
            self._xids.told_by_kernel()

    def _is_old(self, now: float) -> bool:
        """Whether there are news that are not on the page, or its ages are."""
        host = self._hosts.changed_at
        wait = _TOGETHER_SECONDS if self._settings.groups else 0.0
        return (
            self._updated_at < self._devices.changed_at
            or (self._updated_at < host and now - host >= wait)
            or now - self._updated_at > 1.5 * self._settings.fast
        )

    def _look(self, now: float) -> None:
        """Take the newest facts, if there are news."""
        if self._is_old(now):
            self._update(now)

    def _update(self, now: float) -> None:
        self._forms.take(self._blocks(now))
        self._updated_at = now

    def _blocks(self, now: float) -> list[Block]:
        blocks, statuses = self._hosts.blocks(now)
        if self._settings.groups:
            blocks += [*self._devices.blocks(now), self._supervisor.block()]
            blocks.append(self._release.block())
            if self._sleep:
                blocks.append(self._sleep.block())
            if PROCESSES in self._settings.groups:
                blocks.append(self._self.owners(self._resolver.capabilities()))
            statuses.insert(0, self._devices.status(now))
        return blocks + self._self.blocks(statuses)

    async def _follow(self) -> None:
        """Tell of each round of readings when it is in.

        The page is written then, in the forms that somebody will ask for. For somebody who asks
        less often than the GPUs are read most rounds would be written for nobody.
        """
        while True:
            await self._devices.round.wait()
            self._devices.round.clear()
            since = time.monotonic() - _OFTEN * self._settings.fast
            forms = [form for form, asked_at in self._asked_at.items() if asked_at > since]
            if forms:
                self._update(time.monotonic())
            for form in forms:
                # A scrape need not wait for the forms of others.
                await asyncio.sleep(0)
                self._forms.page(*form)
            self._round.set()
            self._round = asyncio.Event()

    async def _watch_processes(self) -> None:
        while True:
            self._self.read_processes(self._supervisor.pids())
            await asyncio.sleep(_SELF_SECONDS)


async def _keep(task: Callable[[], Awaitable[None]]) -> None:
    """Run what should never end; a fault in it is logged, and is not its end."""
    while True:
        try:
            await task()
        except Exception:
            _log.exception("a task of the exporter failed and starts again")
        await asyncio.sleep(_SELF_SECONDS)
