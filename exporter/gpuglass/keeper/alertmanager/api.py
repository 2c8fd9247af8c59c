"""A small client of Alertmanager's API, version 2."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from http import HTTPStatus
from typing import Any, NamedTuple

from gpuglass.keeper.http import PLAIN, HttpError, Way, ask

# Python reads microseconds at most.
_FINER = re.compile(r"(\.\d{6})\d+")


class AlertmanagerError(Exception):
    """Alertmanager cannot be asked; the text says why and what to do."""


class Matcher(NamedTuple):
    """One condition of a silence on a label; one that an alert has not is empty."""

    name: str
    value: str
    is_regex: bool = False
    is_equal: bool = True


@dataclass(frozen=True)
class Alert:
    """One alert that has not ended.

    Attributes:
        fingerprint: What Alertmanager knows it by: 16 hexadecimal digits, made of its labels.
        starts: When it began to fire, as Unix time.
        state: ``active``, ``suppressed`` or ``unprocessed``.
        silenced_by: The ids of the silences that hold it back.
        inhibited_by: The fingerprints of the alerts that hold it back.
    """

    fingerprint: str
    labels: dict[str, str]
    annotations: dict[str, str]
    starts: float
    state: str
    silenced_by: tuple[str, ...] = ()
    inhibited_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Silence:
    """One silence; ``starts`` and ``ends`` are Unix times.

    Attributes:
        id: What Alertmanager knows it by; empty for one that is yet to be made.
        state: ``pending``, ``active`` or ``expired``.
    """

    matchers: frozenset[Matcher]
    author: str
    comment: str
    starts: float
    ends: float
    id: str = ""
    state: str = ""


class Alertmanager:
    """One Alertmanager.

    Args:
        url: Where it is, without a slash at its end.
        way: How to get there.
    """

    def __init__(self, url: str, way: Way = PLAIN) -> None:
        self.url = url
        self._way = way

    def alerts(self) -> list[Alert]:
        """Every alert that has not ended, silenced and inhibited ones too.

        Raises:
            AlertmanagerError: It cannot be asked.
        """
        return self._read("alerts", _alert)

    def silences(self) -> list[Silence]:
        """The silences in force and those that are yet to come.

        Raises:
            AlertmanagerError: It cannot be asked.
        """
        return [s for s in self._read("silences", _silence) if s.state != "expired"]

    def put(self, silence: Silence) -> str:
        """Make a silence, or change the one that has its id.

        Returns:
            Its id, which is another one where Alertmanager had to replace it.

        Raises:
            AlertmanagerError: It cannot be asked, or refuses.
        """
        body = {
            "matchers": [_matcher_body(m) for m in sorted(silence.matchers)],
            "startsAt": _written(silence.starts),
            "endsAt": _written(silence.ends),
            "createdBy": silence.author,
            "comment": silence.comment,
            **({"id": silence.id} if silence.id else {}),
        }
        answer = self._ask("silences", body)
        try:
            return str(json.loads(answer)["silenceID"])
        except (ValueError, KeyError, TypeError):
            raise self._stranger() from None

    def expire(self, id: str) -> None:
        """End a silence now; one that has ended already, or is not known, stays ended.

        Raises:
            AlertmanagerError: It cannot be asked, or refuses.
        """
        try:
            self._ask(f"silence/{id}", method="DELETE")
        except AlertmanagerError:
            if any(silence.id == id for silence in self.silences()):
                raise

    def _read(self, what: str, made: Any) -> list[Any]:
        answer = self._ask(what)
        try:
            return [made(entry) for entry in json.loads(answer)]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise self._stranger() from None

    def _ask(self, what: str, body: Any = None, method: str | None = None) -> bytes:
        try:
            return ask(f"{self.url}/api/v2/{what}", body, method, way=self._way)
        except HttpError as error:
            if error.status is None:
                raise AlertmanagerError(
                    f"Alertmanager at {self.url} cannot be reached ({error.reason}); "
                    "start it, or give its address with --alertmanager.url"
                ) from None
            if error.status == HTTPStatus.UNAUTHORIZED:
                raise AlertmanagerError(
                    f"Alertmanager at {self.url} {self._way.refused()}"
                ) from None
            if body is None and method is None:
                raise self._stranger(f" (HTTP {error.status})") from None
            raise AlertmanagerError(
                f"Alertmanager at {self.url} refuses (HTTP {error.status}): {error.reason}"
            ) from None

    def _stranger(self, detail: str = "") -> AlertmanagerError:
        return AlertmanagerError(
            f"what listens at {self.url} does not answer as Alertmanager does{detail}; "
            "give its address with --alertmanager.url"
        )


def matchers(equal: Iterable[tuple[str, str]]) -> frozenset[Matcher]:
    """Matchers of labels that have exactly these values."""
    return frozenset(Matcher(name, value) for name, value in equal)


def _alert(entry: dict[str, Any]) -> Alert:
    status = entry["status"]
    return Alert(
        entry["fingerprint"],
        dict(entry["labels"]),
        dict(entry["annotations"]),
        _moment(entry["startsAt"]),
        status["state"],
        tuple(status["silencedBy"]),
        tuple(status["inhibitedBy"]),
    )


def _silence(entry: dict[str, Any]) -> Silence:
    found = (
        # Before Alertmanager 0.22 there was no isEqual.
        Matcher(m["name"], m["value"], m["isRegex"], m.get("isEqual", True))
        for m in entry["matchers"]
    )
    return Silence(
        frozenset(found),
        entry["createdBy"],
        entry["comment"],
        _moment(entry["startsAt"]),
        _moment(entry["endsAt"]),
        entry["id"],
        entry["status"]["state"],
    )


def _matcher_body(matcher: Matcher) -> dict[str, Any]:
    return {
        "name": matcher.name,
        "value": matcher.value,
        "isRegex": matcher.is_regex,
        "isEqual": matcher.is_equal,
    }


def _moment(text: str) -> float:
    return datetime.fromisoformat(_FINER.sub(r"\1", text).replace("Z", "+00:00")).timestamp()


def _written(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).isoformat().replace("+00:00", "Z")
