"""A folder that people edit, of which only what is good reaches the program that reads it: a duty.

One check after the other: look at the users' folder, plan, publish, report.
"""

import abc
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, NamedTuple, Protocol, TypeVar

from prometheus_client.metrics_core import Metric as Family

from gpuglass.catalogue.model import Metric
from gpuglass.keeper import folder
from gpuglass.keeper.duty import attempt
from gpuglass.keeper.metrics import counter, gauge
from gpuglass.keeper.publisher import Publisher
from gpuglass.keeper.reporter import Reporter
from gpuglass.text.document import Problem

_log = logging.getLogger(__name__)


class Checked(Protocol):
    """A file as it is now, with what is wrong with it."""

    @property
    def name(self) -> str:
        """What it is called in messages."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with it; nothing if it is good."""


F = TypeVar("F", bound=Checked)
C = TypeVar("C")


@dataclass(frozen=True)
class FilePlan(Generic[F, C]):
    """One file's part of the plan.

    Attributes:
        file: The file as it is now, with its own problems and those it has with other files.
        published: What is to be published of it; None if it was never good.
    """

    file: F
    published: C | None

    @property
    def valid(self) -> bool:
        """Whether the file as it is now is what is published."""
        return not self.file.problems


@dataclass(frozen=True)
class FileState:
    """What there is to say about one file.

    Attributes:
        published: How much is published from it.
        valid: Whether the file as it is now is what is published.
        last_success: When it was last found good, as Unix time; None if never.
    """

    published: int
    valid: bool
    last_success: float | None


@dataclass(frozen=True)
class State:
    """What there is to say about the last check. Replaced, never changed: threads read it."""

    files: dict[str, FileState] = field(default_factory=dict)
    errors: int = 0


class Names(NamedTuple):
    """The metrics that tell of a folder."""

    published: Metric
    valid: Metric
    last_success: Metric
    errors: Metric


class PublishedFolder(abc.ABC, Generic[F, C]):
    """Keeps a published folder equal to the good part of a folder that people edit: a duty.

    Args:
        source: The folder that users edit.
        published: The folder that the program reads.
        interval: Seconds between two checks.
        clock: Gives Unix time in seconds.
    """

    name: str
    wanted: folder.Wanted
    suffix: str
    names: Names
    mode = 0o666

    def __init__(
        self,
        source: Path,
        published: Path,
        interval: float = 2.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.interval = interval
        self.state = State()
        self._source = source
        self._watcher = folder.Watcher(source, self.wanted)
        self._publisher = Publisher(published, self.suffix, self.mode)
        self._clock = clock
        self._files: dict[str, F] = {}
        self._last_good: dict[str, C] = {}
        self._last_success: dict[str, float] = {}
        self._plans: dict[str, FilePlan[F, C]] = {}
        self._unverified: dict[str, Path] = {}
        self._waiting: set[str] = set()
        self._failed: set[str] = set()
        self._changed: set[str] = set()
        self._reported: dict[str, tuple[Problem, ...]] = {}
        self._reporter = Reporter(_log, f"{source}: can be looked after again")

    @abc.abstractmethod
    def read(self, path: Path) -> F:
        """Read and check a file; OSError if that is not possible now, and is to be tried again."""

    @abc.abstractmethod
    def plan(self, files: Iterable[F], last_good: Mapping[str, C]) -> dict[str, FilePlan[F, C]]:
        """Decide what each file publishes, by its name."""

    @abc.abstractmethod
    def render(self, content: C) -> bytes:
        """Write what is to be published."""

    @abc.abstractmethod
    def restore(self, path: Path) -> C | Problem:
        """Read what an earlier keeper published; OSError if that is not possible now."""

    @abc.abstractmethod
    def size(self, content: C) -> int:
        """How much there is."""

    @abc.abstractmethod
    def counted(self, content: C) -> str:
        """How much there is, in words."""

    def start(self) -> None:
        """Take over what an earlier keeper published, and check for the first time.

        Raises:
            OSError: A folder is not there or does not permit what is needed.
        """
        folder.scan(self._source, self.wanted)
        self._publisher.prepare()
        found = sorted(self._publisher.found().items())
        self._unverified = {name: path for name, path in found if self.wanted(name)}
        attempt(self)

    def check(self) -> None:
        """Look once, and publish what is good. Errors are logged and counted, not raised."""
        errors = self.state.errors
        try:
            failures = [*self._restore(), *self._look(), *self._publish()]
        except OSError as failure:
            failures = [self._reason(failure)]
        error = failures[0] if failures else ""
        self._reporter.tell(error, "; what was published stays, the next check tries again")
        self.state = State(self._file_states(), errors + bool(error))

    def collect(self) -> Iterable[Family]:
        """What there is to say about the last check."""
        state, names = self.state, self.names
        published, valid = gauge(names.published), gauge(names.valid)
        success, errors = gauge(names.last_success), counter(names.errors)
        for name, file in sorted(state.files.items()):
            published.add_metric([name], file.published)
            valid.add_metric([name], float(file.valid))
            if file.last_success is not None:
                success.add_metric([name], round(file.last_success))
        errors.add_metric([], state.errors)
        yield from (published, valid, success, errors)

    def _reason(self, failure: OSError) -> str:
        return f"{failure.filename or self._source}: {failure.strerror or failure}"

    def _restore(self) -> list[str]:
        """Take over what an earlier keeper published; what hinders it."""
        errors = []
        for name, path in list(self._unverified.items()):
            try:
                content = self.restore(path)
                success = path.stat().st_mtime
            except OSError as failure:
                errors.append(self._reason(failure))
                continue
            del self._unverified[name]
            if isinstance(content, Problem):
                _log.warning("%s; it is not used any more", content)
                continue
            self._publisher.know(name, self.render(content))
            self._last_good[name], self._last_success[name] = content, success
        return errors

    def _look(self) -> list[str]:
        """Read what has changed; what hinders it."""
        changed, gone = self._watcher.look()
        self._waiting = (self._waiting | changed) - gone
        self._changed = set()
        for name in gone:
            self._files.pop(name, None)
            self._reported.pop(name, None)
        errors = []
        for name in sorted(self._waiting):
            try:
                self._files[name] = self.read(self._source / name)
            except OSError as failure:
                errors.append(self._reason(failure))
                continue
            self._waiting.remove(name)
            self._changed.add(name)
            self._reported.pop(name, None)
        return errors

    def _publish(self) -> list[str]:
        """Bring the published folder up to date; what hinders it."""
        before, self._plans = self._plans, self.plan(self._files.values(), self._last_good)
        errors = []
        self._failed = set()
        for name, file_plan in self._plans.items():
            try:
                self._apply(file_plan, before.get(name))
            except OSError as failure:
                self._failed.add(name)
                errors.append(f"{name} cannot be published: {failure.strerror or failure}")
        for name in self._stale():
            try:
                self._withdraw(name)
            except OSError as failure:
                errors.append(f"{name} cannot be withdrawn: {failure.strerror or failure}")
        return errors

    def _stale(self) -> set[str]:
        """What is published, or was, and has no reason to be."""
        planned = {name for name, each in self._plans.items() if each.published is not None}
        # What cannot be judged now keeps what was published of it.
        unjudged = (self._waiting | self._files.keys()) & (
            self._unverified.keys() | self._last_good.keys()
        )
        found = {name for name in self._publisher.found() if self.wanted(name)}
        return (found | self._last_good.keys()) - planned - unjudged

    def _apply(self, file_plan: FilePlan[F, C], before: FilePlan[F, C] | None) -> None:
        name, published = file_plan.file.name, file_plan.published
        self._report(file_plan)
        if published is None:
            return
        if self._publisher.publish(name, self.render(published)):
            self.changed()
            _log.info("%s: %s published", self._source / name, self.counted(published))
        if file_plan.valid:
            self._last_good[name] = published
            if name in self._changed or before is None or not before.valid:
                self._last_success[name] = self._clock()

    def _withdraw(self, name: str) -> None:
        self._publisher.withdraw(name)
        self._unverified.pop(name, None)
        self._last_good.pop(name, None)
        self._last_success.pop(name, None)
        self.changed()
        _log.info("%s: what was published of it is withdrawn", self._source / name)

    def changed(self) -> None:
        """Called when anything in the published folder has changed."""

    def _report(self, file_plan: FilePlan[F, C]) -> None:
        name, problems = file_plan.file.name, file_plan.file.problems
        if problems == self._reported.get(name, ()):
            return
        self._reported[name] = problems
        if not problems:
            _log.info("%s: good again", self._source / name)
            return
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        kept = file_plan.published
        stays = "nothing" if kept is None else f"{self.counted(kept)} of its last good version"
        _log.error("%s/%s%s (published: %s)", self._source, problems[0], more, stays)

    def _file_states(self) -> dict[str, FileState]:
        return {
            name: FileState(
                0 if file_plan.published is None else self.size(file_plan.published),
                file_plan.valid and name not in self._failed | self._waiting,
                self._last_success.get(name),
            )
            for name, file_plan in self._plans.items()
        }
