"""What a check is, what it finds, and the list of all checks."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus

from gpuglass.doctor.install import Install
from gpuglass.keeper.alertmanager.api import AlertmanagerError
from gpuglass.keeper.http import HttpError
from gpuglass.keeper.victoriametrics import QueryError

NODE, HOST = frozenset({"node"}), frozenset({"host"})
BOTH = NODE | HOST
# Which parts a machine has.
ROLES = {"single-node": BOTH, "host": HOST, "worker": NODE}


class Status(Enum):
    """How it is; the values are part of the JSON that users read."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        status: How it is.
        what: What was seen, in one line.
        do: What to type or to do; only where it is not as it should be.
    """

    status: Status
    what: str
    do: str = ""


def ok(what: str) -> Finding:
    """All is well."""
    return Finding(Status.OK, what)


def warning(what: str, do: str) -> Finding:
    """It works, but not as well as it could."""
    return Finding(Status.WARNING, what, do)


def failed(what: str, do: str) -> Finding:
    """It does not work."""
    return Finding(Status.FAILED, what, do)


def skipped(what: str) -> Finding:
    """There is nothing to look at here, or something else has to work before."""
    return Finding(Status.SKIPPED, what)


@dataclass(frozen=True)
class Check:
    """One question about an install.

    Attributes:
        id: What it is called, for ever.
        why: What does not work while it fails, in one line.
        parts: On which parts of an install it makes sense.
        look: Answers it.
    """

    id: str
    why: str
    parts: frozenset[str]
    look: Callable[[Install], Finding]


@dataclass(frozen=True)
class Result:
    """A check and what it found."""

    check: Check
    finding: Finding


_checks: list[Check] = []


def check(
    id: str, why: str, parts: frozenset[str] = HOST
) -> Callable[[Callable[[Install], Finding]], Callable[[Install], Finding]]:
    """Enter a function into the list of all checks, which keeps the order in which they come.

    Args:
        id: What the check is called.
        why: What does not work while it fails.
        parts: On which parts of an install it makes sense.
    """

    def enter(look: Callable[[Install], Finding]) -> Callable[[Install], Finding]:
        _checks.append(Check(id, why, parts, look))
        return look

    return enter


def checks() -> Sequence[Check]:
    """All checks that were entered."""
    return tuple(_checks)


def examine(install: Install, wanted: Iterable[Check]) -> Iterable[Result]:
    """Do checks, one after the other.

    One that has nobody to ask is passed over: that somebody does not answer is the finding of
    ``ports`` alone.
    """
    for each in wanted:
        try:
            finding = each.look(install)
        except (QueryError, AlertmanagerError) as error:
            finding = skipped(str(error))
        except HttpError as error:
            where = "passwords" if error.status == HTTPStatus.UNAUTHORIZED else "ports"
            finding = skipped(f"an answer is missing ({error.reason[:100]}); see the check {where}")
        yield Result(each, finding)
