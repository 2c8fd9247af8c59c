"""Keeps Alertmanager's configuration equal to the good version of the receivers file: a duty."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import replace as replace_state
from pathlib import Path
from typing import TypeAlias

from prometheus_client.metrics_core import Metric as Family

from gpuglass.catalogue import keeper as metrics
from gpuglass.keeper.document import MAX_BYTES, Problem
from gpuglass.keeper.duty import attempt
from gpuglass.keeper.files import IrregularFileError, Signature, read_bytes, replace, signature
from gpuglass.keeper.http import HttpError, ask
from gpuglass.keeper.metrics import counter, gauge
from gpuglass.keeper.receivers.amtool import AmtoolError, without_values
from gpuglass.keeper.receivers.check import MODE, Checker, ReceiversError
from gpuglass.keeper.receivers.compose import Base, BaseError, parse_base
from gpuglass.keeper.receivers.file import ReceiversFile, parse

_log = logging.getLogger(__name__)
BASE = "base.yml"
PUBLISHED = "alertmanager.yml"
_LAST_TAKEN = ".taken.yml"

Signatures: TypeAlias = dict[Path, Signature]


@dataclass(frozen=True)
class State:
    """What there is to say about the last check. Replaced, never changed: threads read it.

    Attributes:
        valid: Whether the file as it is now is published.
        receivers: How many receivers are published; None while that is not known.
        taken: Whether Alertmanager runs what is published.
        errors: Checks in which something beside the file was wrong.
    """

    valid: bool = False
    receivers: int | None = None
    taken: bool = False
    errors: int = 0


def read(file: Path) -> tuple[Base, ReceiversFile]:
    """Read a receivers file, and our base beside it; a file that is not there has no receivers.

    Raises:
        BaseError: Our base cannot be read.
    """
    path = file.with_name(BASE)
    try:
        base = parse_base(str(path), read_bytes(path, MAX_BYTES + 1))
    except OSError as error:
        raise BaseError(f"{path}: {error.strerror or error}; it belongs beside {file}") from None
    try:
        return base, parse(str(file), read_bytes(file, MAX_BYTES + 1), base.receivers)
    except FileNotFoundError:
        return base, ReceiversFile(str(file))
    except IrregularFileError:
        what = "not a regular file; remove it"
    except OSError as error:
        what = f"cannot be read ({error.strerror or error}); correct that or remove the file"
    return base, ReceiversFile(str(file), problems=(Problem(str(file), 1, what),))


class ReceiversKeeper:
    """Checks the receivers file, publishes it, and has Alertmanager take it.

    Args:
        file: The user's receivers file, with our base beside it.
        published: The folder that Alertmanager reads.
        program: The name or the path of amtool.
        url: Where Alertmanager is.
        interval: Seconds between two checks.
    """

    name = "receivers"

    def __init__(
        self,
        file: Path,
        published: Path,
        program: str,
        url: str,
        interval: float = 2.0,
    ) -> None:
        self.interval = interval
        self.state = State()
        self._file = file
        self._published = published / PUBLISHED
        self._last_taken = published / _LAST_TAKEN
        self._checker = Checker(program, file.parent, published)
        self._url = f"{url.rstrip('/')}/-/reload"
        self._templates: tuple[str, ...] = ()
        self._seen: Signatures | None = None
        self._judged: Signatures | None = None
        self._count_taken: int | None = None
        self._reported: dict[str, str] = {}

    def start(self) -> None:
        """Make the folder if it is not there, and check for the first time.

        Raises:
            OSError: The folder cannot be made.
        """
        self._published.parent.mkdir(parents=True, exist_ok=True)
        attempt(self)

    def check(self) -> None:
        """Look once, and publish what is good. Errors are logged and counted, not raised."""
        now = self._look()
        # A change counts once it has stayed: a copy that is half done may be a good file.
        if now != self._judged and (self._seen is None or now == self._seen):
            try:
                self.state = self._judge(now)
                self._tell("files", "")
            except (BaseError, AmtoolError, OSError) as error:
                self._fail("files", _reason(error))
        self._seen = now
        if not self.state.taken and self._published.exists():
            try:
                self._reload()
            except OSError as error:
                self._fail("files", _reason(error))

    def collect(self) -> Iterable[Family]:
        """What there is to say about the last check."""
        state = self.state
        for metric, value in (
            (metrics.RECEIVERS_FILE_VALID, float(state.valid)),
            (metrics.RECEIVERS, state.receivers),
            (metrics.RECEIVERS_TAKEN, float(state.taken)),
        ):
            if value is not None:
                family = gauge(metric)
                family.add_metric([], value)
                yield family
        errors = counter(metrics.RECEIVERS_ERRORS)
        errors.add_metric([], state.errors)
        yield errors

    def _look(self) -> Signatures:
        root = Path("/")
        templates = (path for each in self._templates for path in root.glob(each.lstrip("/")))
        paths = (self._file, self._file.with_name(BASE), *templates)
        return {path: signature(path) for path in paths}

    def _judge(self, now: Signatures) -> State:
        """Publish the files as they are now if they are good, else keep the last good version."""
        base, users = read(self._file)
        try:
            content = self._checker.configuration(base, users)
        except ReceiversError as error:
            state = self._refuse(base, error.problems)
            self._judged = now
            return state
        self._publish(content)
        self._templates = self._checker.templates(base, users)
        self._judged = self._look()
        self._tell("receivers", "")
        _log.info("%s: %s published", self._file, _counted(users))
        return replace_state(self.state, valid=True, receivers=len(users.receivers), taken=False)

    def _refuse(self, base: Base, problems: tuple[Problem, ...]) -> State:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        if self._published.exists():
            self._tell("receivers", f"{problems[0]}{more}; the last good version stays")
            return replace_state(self.state, valid=False)
        # Without a configuration there is no Alertmanager: alerts are at least to be seen.
        self._tell("receivers", f"{problems[0]}{more}; until then nobody is told of alerts")
        self._publish(self._checker.configuration(base, ReceiversFile(str(self._file))))
        return replace_state(self.state, valid=False, receivers=0, taken=False)

    def _publish(self, content: bytes) -> None:
        if _read(self._published) != content:
            replace(self._published, content, MODE)

    def _reload(self) -> None:
        """Have Alertmanager take what is published; take back what it does not take."""
        try:
            ask(self._url, method="POST")
        except HttpError as error:
            reason = without_values(error.reason)
            if error.status is None:
                self._tell("Alertmanager", f"{self._url}: {reason}; it is asked again")
            else:
                self._take_back(reason)
            return
        replace(self._last_taken, self._published.read_bytes(), MODE)
        self._count_taken = self.state.receivers
        self._tell("Alertmanager", "")
        _log.info("Alertmanager has taken %s", self._published)
        self.state = replace_state(self.state, taken=True)

    def _take_back(self, reason: str) -> None:
        """Publish again what Alertmanager runs: with the other one it would not start."""
        before = _read(self._last_taken)
        if before is None or before == _read(self._published):
            self._fail("Alertmanager", f"{self._url}: refused: {reason}")
            return
        self._publish(before)
        self._tell(
            "receivers",
            f"{self._file}: Alertmanager refuses it: {reason}; the last good version stays",
        )
        self.state = replace_state(self.state, valid=False, receivers=self._count_taken, taken=True)

    def _fail(self, what: str, reason: str) -> None:
        self._tell(what, f"{reason}; what was published stays")
        self.state = replace_state(self.state, errors=self.state.errors + 1)

    def _tell(self, what: str, wrong: str) -> None:
        """Log what is wrong when that changes."""
        if wrong == self._reported.get(what, ""):
            return
        self._reported[what] = wrong
        if wrong:
            _log.error("%s", wrong)
        else:
            _log.info("%s: good again", what)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _counted(users: ReceiversFile) -> str:
    count = len(users.receivers)
    return f"{count} receiver{'' if count == 1 else 's'}"


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror or error}"
    return str(error)
