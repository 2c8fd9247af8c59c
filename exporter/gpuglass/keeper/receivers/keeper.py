"""Keeps Alertmanager's configuration equal to the good version of the receivers file: a duty."""

import glob
import logging
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from dataclasses import replace as replace_state
from pathlib import Path
from typing import NamedTuple, TypeAlias

from prometheus_client.metrics_core import Metric as Family

from gpuglass.catalogue import keeper as metrics
from gpuglass.keeper import folder
from gpuglass.keeper.duty import attempt
from gpuglass.keeper.http import PLAIN, HttpError, Way, ask
from gpuglass.keeper.metrics import counter, gauge
from gpuglass.keeper.receivers.amtool import AmtoolError, without_values
from gpuglass.keeper.receivers.check import MODE, Checker, ReceiversError
from gpuglass.keeper.receivers.compose import Base, BaseError, parse_base
from gpuglass.keeper.receivers.file import ReceiversFile, parse
from gpuglass.keeper.words import counted
from gpuglass.text.document import MAX_BYTES, Problem
from gpuglass.text.files import Signature, read_bytes, replace, signature

_log = logging.getLogger(__name__)
BASE = "base.yml"
PUBLISHED = "alertmanager.yml"
_LAST_TAKEN = ".taken.yml"
# What Alertmanager answers if the configuration is at fault; a proxy answers something else.
_REFUSAL = (500, "failed to reload config")
# What it refused may be good later without an edit: it names a file that is not there yet.
_SECONDS_TO_NEXT_OFFER = 300.0

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


class _Refused(NamedTuple):
    """What Alertmanager did not take, and when to offer it again."""

    content: bytes
    receivers: int | None
    again: float


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
        os.lstat(file)
    except FileNotFoundError:
        return base, ReceiversFile(str(file))
    except OSError:
        pass  # It is told of with more words when it is read.
    content = folder.read(file, str(file))
    if isinstance(content, Problem):
        return base, ReceiversFile(str(file), problems=(content,))
    return base, parse(str(file), content, base.receivers)


class ReceiversKeeper:
    """Checks the receivers file, publishes it, and has Alertmanager take it.

    Args:
        file: The user's receivers file, with our base beside it.
        published: The folder that Alertmanager reads.
        program: The name or the path of amtool.
        url: Where Alertmanager is.
        interval: Seconds between two checks.
        clock: Gives seconds that only go forward.
        way: How to get to Alertmanager.
    """

    name = "receivers"

    def __init__(
        self,
        file: Path,
        published: Path,
        program: str,
        url: str,
        interval: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
        way: Way = PLAIN,
    ) -> None:
        self.interval = interval
        self.state = State()
        self._file = file
        self._published = published / PUBLISHED
        self._last_taken = published / _LAST_TAKEN
        self._checker = Checker(program, file.parent, published)
        self._url = f"{url.rstrip('/')}/-/reload"
        self._way = way
        self._templates: tuple[str, ...] = ()
        self._seen: Signatures | None = None
        self._judged: Signatures | None = None
        self._count_taken: int | None = None
        self._refused: _Refused | None = None
        self._clock = clock
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
        stayed = self._seen is None or now == self._seen
        self._seen = now
        if now != self._judged and stayed:
            try:
                self.state = self._judge(now)
                self._tell("files", "")
            except (BaseError, AmtoolError, OSError) as error:
                self._fail("files", _reason(error))
                # It is not known of the files as they are now, even if they are again as they were.
                self._judged = None
                self.state = replace_state(self.state, valid=False)
        try:
            if not self.state.taken and self._published.exists():
                self._reload()
            elif self._refused is not None and self._clock() >= self._refused.again:
                self._offer_again(self._refused)
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
        # Not Path.glob: "**" is no more than "*" here, as it is to Alertmanager.
        templates = (path for each in self._templates for path in glob.glob(each))  # noqa: PTH207
        paths = (self._file, self._file.with_name(BASE), *map(Path, templates))
        return {path: signature(path) for path in paths}

    def _judge(self, now: Signatures) -> State:
        """Publish the files as they are now if they are good, else keep the last good version."""
        base, users = read(self._file)
        if not users.problems:
            self._templates = self._checker.templates(base, users)
        # Seen before they were read: what is edited from now on is a change.
        self._seen = judged = {path: now.get(path, seen) for path, seen in self._look().items()}
        try:
            content = self._checker.configuration(base, users)
        except ReceiversError as error:
            state = self._refuse(base, error.problems)
            self._judged, self._refused = judged, None
            return state
        self._publish(content)
        self._judged, self._refused = judged, None
        self._tell("receivers", "")
        _log.info("%s: %s published", self._file, counted(len(users.receivers), "receiver"))
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
        """Have Alertmanager take what is published; take back what it refuses."""
        try:
            ask(self._url, method="POST", way=self._way)
        except HttpError as error:
            if _is_refusal(error):
                self._take_back(without_values(error.reason))
            else:
                self._tell("Alertmanager", f"{self._url}: {_answer(error)}; it is asked again")
        else:
            self._note_taken()

    def _note_taken(self) -> None:
        replace(self._last_taken, self._published.read_bytes(), MODE)
        self._count_taken = self.state.receivers
        self._tell("Alertmanager", "")
        _log.info("Alertmanager has taken %s", self._published)
        self.state = replace_state(self.state, taken=True)

    def _take_back(self, reason: str) -> None:
        """Publish again what Alertmanager runs: with the other one it would not start."""
        before, refused = _read(self._last_taken), _read(self._published)
        if before is None or refused is None or before == refused:
            self._fail("Alertmanager", f"{self._url}: refused: {reason}")
            return
        self._publish(before)
        self._set_aside(_Refused(refused, self.state.receivers, 0.0), reason)
        self.state = replace_state(self.state, valid=False, receivers=self._count_taken, taken=True)

    def _offer_again(self, refused: _Refused) -> None:
        """Offer what was refused; what Alertmanager runs is published if it does not take it."""
        before = self._published.read_bytes()
        self._publish(refused.content)
        try:
            ask(self._url, method="POST", way=self._way)
        except HttpError as error:
            self._publish(before)
            self._set_aside(refused, without_values(error.reason) if _is_refusal(error) else "")
            return
        self._refused = None
        self.state = replace_state(self.state, valid=True, receivers=refused.receivers)
        self._tell("receivers", "")
        self._note_taken()

    def _set_aside(self, refused: _Refused, reason: str) -> None:
        self._refused = refused._replace(again=self._clock() + _SECONDS_TO_NEXT_OFFER)
        if reason:
            what = f"{self._file}: Alertmanager refuses it: {reason}"
            self._tell("receivers", f"{what}; the last good version stays")

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


def _is_refusal(error: HttpError) -> bool:
    status, beginning = _REFUSAL
    return error.status == status and error.reason.startswith(beginning)


def _answer(error: HttpError) -> str:
    reason = without_values(error.reason)
    return reason if error.status is None else f"HTTP {error.status}: {reason}"


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror or error}"
    return str(error)
