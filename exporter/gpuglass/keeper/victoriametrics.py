"""Questions to VictoriaMetrics in PromQL, and samples for it, over its HTTP interface."""

import json
import math
import re
import urllib.parse
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any

from gpuglass.keeper.http import PLAIN, HttpError, Way, ask

_TIMEOUT = 10.0
_MOST_TOLD = 300
# As its flag says; without a unit it is in months.
_RETENTION = re.compile(r'^flag\{name="retentionPeriod", value="(\d+(?:\.\d+)?)([hdwMy]?)"', re.M)
_SECONDS = {"h": 3600, "d": 86400, "w": 7 * 86400, "M": 31 * 86400, "y": 365 * 86400}

Labels = dict[str, str]
Points = list[tuple[float, float]]


class QueryError(Exception):
    """VictoriaMetrics cannot be asked; the text says why and what to do."""


class VictoriaMetrics:
    """One VictoriaMetrics.

    Args:
        url: Where it is, with or without a slash at its end.
        setting: The flag that gives this address, for messages.
        timeout: Seconds that one answer may take.
        way: How to get there.
    """

    def __init__(self, url: str, setting: str, timeout: float = _TIMEOUT, way: Way = PLAIN) -> None:
        self.url = url.rstrip("/")
        self._setting = setting
        self._timeout = timeout
        self._way = way

    def query(self, promql: str, at: float | None = None) -> Iterator[tuple[Labels, float]]:
        """Ask for one moment.

        Args:
            promql: What is asked.
            at: The moment as Unix time; None for now.

        Returns:
            The labels and the finite value of every series that answers.

        Raises:
            QueryError: It cannot be reached, refuses, or does not answer as VictoriaMetrics does.
        """
        when = {} if at is None else {"time": f"{at:.3f}"}
        found = self._ask("query", promql, when, lambda s: [s["value"]])
        return ((labels, points[0][1]) for labels, points in found if points)

    def query_range(
        self, promql: str, start: float, end: float, step: float
    ) -> Iterator[tuple[Labels, Points]]:
        """Ask for the moments ``start``, ``start`` + ``step`` and so on until ``end``.

        Args:
            promql: What is asked.
            start: The first moment, as Unix time.
            end: The last moment at most, as Unix time.
            step: Seconds between two of them.

        Returns:
            The labels of every series that answers, with its moments and finite values.

        Raises:
            QueryError: It cannot be reached, refuses, or does not answer as VictoriaMetrics does.
        """
        moments = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}s"}
        return iter(self._ask("query_range", promql, moments, lambda s: s["values"]))

    def write(self, lines: Iterable[str]) -> None:
        """Store samples.

        Args:
            lines: Each one sample in Prometheus's text format with its time in milliseconds.

        Raises:
            QueryError: It cannot be reached or does not take them.
        """
        self._get("/api/v1/import/prometheus", "\n".join(lines).encode())

    def metrics(self) -> str:
        """Its own page of metrics.

        Raises:
            QueryError: It cannot be reached.
        """
        return self._get("/metrics").decode(errors="replace")

    def retention(self) -> float:
        """How many seconds it keeps samples.

        Raises:
            QueryError: It cannot be reached, or does not tell.
        """
        found = _RETENTION.search(self.metrics())
        if found is None:
            raise self._not_victoriametrics(" (it does not tell how long it keeps samples)")
        return float(found[1]) * _SECONDS[found[2] or "M"]

    def create_snapshot(self) -> str:
        """Take a snapshot: links to all that is stored now, which is on the disk before.

        Returns:
            Its name, that of a folder below ``snapshots`` where the samples are.

        Raises:
            QueryError: It cannot be reached or refuses.
        """
        name = self._snapshot("create").get("snapshot")
        if not name or not isinstance(name, str):
            raise self._not_victoriametrics()
        return name

    def delete_snapshot(self, name: str) -> None:
        """Remove a snapshot.

        Raises:
            QueryError: It cannot be reached, or has none of that name.
        """
        self._snapshot(f"delete?snapshot={urllib.parse.quote(name)}")

    def _snapshot(self, what: str) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = json.loads(self._get(f"/snapshot/{what}"))
            if answer["status"] != "ok":
                raise QueryError(f"VictoriaMetrics at {self.url} refuses: {answer['msg']}")
        except (KeyError, TypeError, ValueError):
            raise self._not_victoriametrics() from None
        return answer

    def _ask(
        self, what: str, promql: str, more: dict[str, str], points_of: Any
    ) -> list[tuple[Labels, Points]]:
        # Without nocache, VictoriaMetrics answers for some time ago instead of now.
        arguments = urllib.parse.urlencode({"query": promql, "nocache": "1", **more})
        try:
            answer = json.loads(self._get(f"/api/v1/{what}?{arguments}"))
            if answer["status"] != "success":
                raise QueryError(f"VictoriaMetrics at {self.url} refuses: {answer['error']}")
            return [(s["metric"], list(_finite(points_of(s)))) for s in answer["data"]["result"]]
        except (KeyError, TypeError, ValueError, IndexError):
            raise self._not_victoriametrics() from None

    def _get(self, path: str, body: bytes | None = None) -> bytes:
        try:
            return ask(f"{self.url}{path}", body, timeout=self._timeout, way=self._way)
        except HttpError as error:
            if error.status is not None:
                raise self._refusal(error) from None
            raise QueryError(
                f"VictoriaMetrics at {self.url} cannot be reached ({error.reason}); "
                f"start it, or give its address with {self._setting}"
            ) from None

    def _refusal(self, error: HttpError) -> QueryError:
        if error.status == HTTPStatus.UNAUTHORIZED:
            return QueryError(f"VictoriaMetrics at {self.url} {self._way.refused()}")
        try:
            told = " ".join(json.loads(error.body)["error"].split())
        except (ValueError, KeyError, TypeError, AttributeError):
            told = ""
        # What knows no such question is something else, whatever it says.
        if not told or error.status in (404, 405):
            return self._not_victoriametrics(f" (HTTP {error.status})")
        refused = f"VictoriaMetrics at {self.url} refuses (HTTP {error.status})"
        return QueryError(f"{refused}: {told[:_MOST_TOLD]}")

    def _not_victoriametrics(self, detail: str = "") -> QueryError:
        return QueryError(
            f"what listens at {self.url} does not answer as VictoriaMetrics does{detail}; "
            f"give its address with {self._setting}"
        )


def _finite(points: Iterable[tuple[float, str]]) -> Iterator[tuple[float, float]]:
    for moment, text in points:
        value = float(text)
        if math.isfinite(value):
            yield float(moment), value
