"""One check after the other: look at the users' folder, plan, publish, report."""

import logging
import time
from collections.abc import Callable, Iterable, Sized
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client.metrics_core import Metric as Family

from gpuglass.catalogue import keeper as metrics
from gpuglass.keeper.document import Problem
from gpuglass.keeper.metrics import counter, gauge
from gpuglass.keeper.targets import folder, plan
from gpuglass.keeper.targets.file import Target, TargetsFile
from gpuglass.keeper.targets.publisher import Publisher

_log = logging.getLogger(__name__)


def counted(targets: Sized) -> str:
    """How many targets there are, in words."""
    return f"{len(targets)} target{'' if len(targets) == 1 else 's'}"


@dataclass(frozen=True)
class FileState:
    """What there is to say about one file.

    Attributes:
        targets: How many targets are published from it.
        valid: Whether the file as it is now is what is published.
        last_success: When it was last found good, as Unix time; None if never.
    """

    targets: int
    valid: bool
    last_success: float | None


@dataclass(frozen=True)
class State:
    """What there is to say about the last check. Replaced, never changed: threads read it."""

    files: dict[str, FileState] = field(default_factory=dict)
    publish_errors: int = 0
    last_check: float | None = None


class TargetsKeeper:
    """Keeps the published folder equal to the good part of the users' folder: a duty.

    Args:
        source: The folder that users edit.
        published: The folder that vmagent reads.
        interval: Seconds between two checks.
        clock: Gives Unix time in seconds.
    """

    name = "targets"

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
        self._watcher = folder.Watcher(source)
        self._publisher = Publisher(published)
        self._clock = clock
        self._files: dict[str, TargetsFile] = {}
        self._last_good: dict[str, tuple[Target, ...]] = {}
        self._last_success: dict[str, float] = {}
        self._plans: dict[str, plan.FilePlan] = {}
        self._changed: set[str] = set()
        self._reported: dict[str, tuple[Problem, ...]] = {}
        self._reported_error = ""

    def start(self) -> None:
        """Take over what an earlier keeper published, and check for the first time.

        Raises:
            OSError: A folder is not there or does not permit what is needed.
        """
        folder.scan(self._source)
        self._publisher.prepare()
        for name, (when, targets) in self._publisher.last_good().items():
            self._last_good[name], self._last_success[name] = targets, when
        self.check()

    def check(self) -> None:
        """Look once, and publish what is good. Errors are logged and counted, not raised."""
        errors = self.state.publish_errors
        error = ""
        try:
            self._look()
            error = self._publish()
        except OSError as failure:
            error = f"{failure.filename or self._source}: {failure.strerror or failure}"
        if error and error != self._reported_error:
            _log.error("%s; what was published stays, the next check tries again", error)
        self._reported_error = error
        self.state = State(self._file_states(), errors + bool(error), self._clock())

    def collect(self) -> Iterable[Family]:
        """What there is to say about the last check."""
        state = self.state
        targets, valid = gauge(metrics.TARGETS), gauge(metrics.FILE_VALID)
        success, errors = gauge(metrics.FILE_LAST_SUCCESS), counter(metrics.PUBLISH_ERRORS)
        for name, file in sorted(state.files.items()):
            targets.add_metric([name], file.targets)
            valid.add_metric([name], float(file.valid))
            if file.last_success is not None:
                success.add_metric([name], round(file.last_success))
        errors.add_metric([], state.publish_errors)
        yield from (targets, valid, success, errors)
        if state.last_check is not None:
            last_check = gauge(metrics.LAST_CHECK)
            last_check.add_metric([], round(state.last_check))
            yield last_check

    def _look(self) -> None:
        self._changed, gone = self._watcher.look()
        for name in self._changed:
            self._files[name] = folder.read(self._source / name)
            self._reported.pop(name, None)
        for name in gone:
            del self._files[name]
            self._reported.pop(name, None)

    def _publish(self) -> str:
        """Bring the published folder up to date; the first error, or nothing."""
        before, self._plans = self._plans, plan.make(self._files.values(), self._last_good)
        errors = []
        for name, file_plan in self._plans.items():
            try:
                self._apply(file_plan, before.get(name))
            except OSError as failure:
                errors.append(f"{name} cannot be published: {failure.strerror or failure}")
        for name in self._last_good.keys() - self._plans.keys():
            try:
                self._withdraw(name)
            except OSError as failure:
                errors.append(f"{name} cannot be withdrawn: {failure.strerror or failure}")
        return errors[0] if errors else ""

    def _apply(self, file_plan: plan.FilePlan, before: plan.FilePlan | None) -> None:
        name, published = file_plan.file.name, file_plan.published
        self._report(file_plan)
        if published is None:
            return
        written = self._publisher.publish(name, published)
        if written:
            _log.info("%s: %s published", self._source / name, counted(published))
        if file_plan.valid:
            self._last_good[name] = published
            if name in self._changed or before is None or not before.valid:
                self._last_success[name] = self._clock()

    def _withdraw(self, name: str) -> None:
        self._publisher.withdraw(name)
        del self._last_good[name]
        self._last_success.pop(name, None)
        _log.info("%s: removed, its targets too", self._source / name)

    def _report(self, file_plan: plan.FilePlan) -> None:
        name, problems = file_plan.file.name, file_plan.file.problems
        if problems == self._reported.get(name, ()):
            return
        self._reported[name] = problems
        if not problems:
            _log.info("%s: good again", self._source / name)
            return
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        kept = file_plan.published
        stays = "nothing" if kept is None else f"{counted(kept)} of its last good version"
        _log.error("%s/%s%s (published: %s)", self._source, problems[0], more, stays)

    def _file_states(self) -> dict[str, FileState]:
        return {
            name: FileState(
                len(file_plan.published or ()), file_plan.valid, self._last_success.get(name)
            )
            for name, file_plan in self._plans.items()
        }
