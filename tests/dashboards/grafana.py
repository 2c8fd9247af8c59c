"""Asks VictoriaMetrics what Grafana would ask it for a dashboard: variables first, then panels."""

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from grafana.builder.metricsql import seconds
from tests.dashboards.boards import Board, Panel, Query
from tests.dashboards.interpolation import Range, Raw, Step, Value, interpolate

Chosen = Mapping[str, Value | Raw]
ONE, SEVERAL, ALL = "one", "several", "all"
# How many moments of the time range an annotation is asked for at most.
_MOMENTS = 100


class Series(NamedTuple):
    """What is answered of one series: labels, and (Unix time, value) in order of time."""

    labels: dict[str, str]
    points: list[tuple[float, float]]

    @property
    def last(self) -> float:
        """The newest value."""
        return self.points[-1][1]


class Source(NamedTuple):
    """A data source.

    Attributes:
        url: Where it answers.
        scrape: The seconds between two samples, as it is set up in Grafana.
    """

    url: str
    scrape: float


class Question(NamedTuple):
    """A question to a data source.

    Attributes:
        url: Where it answers.
        path: What is asked for.
        arguments: Of the query.
    """

    url: str
    path: str
    arguments: dict[str, str]

    def put(self, patience: float) -> bytes:
        """The answer, as it comes; within so many seconds."""
        body = urllib.parse.urlencode({**self.arguments, "nocache": "1"}).encode()
        with urllib.request.urlopen(self.url + self.path, body, timeout=patience) as answer:
            return bytes(answer.read())


class QueryError(Exception):
    """A query was refused; the text has both."""


class Grafana:
    """What asks.

    Args:
        sources: The data sources by uid.
        patience: Seconds until an answer must be there.
    """

    def __init__(self, sources: Mapping[str, Source], patience: float = 60.0) -> None:
        self._sources, self._patience = sources, patience

    def variables(
        self, board: Board, range: Range, how: str, fixed: Mapping[str, Value] | None = None
    ) -> dict[str, Value | Raw]:
        """Values of all variables of a dashboard.

        Args:
            board: The dashboard.
            range: Its time range.
            how: Of those that may have several values: ``one``, ``several`` or ``all``.
            fixed: Values of some, whatever else they could have.
        """
        chosen: dict[str, Value | Raw] = {}
        for variable in board.variables:
            name = str(variable["name"])
            if fixed and name in fixed:
                chosen[name] = fixed[name]
                continue
            found = self.options(board, variable, range, chosen)
            chosen[name] = _choice(variable, found, how)
        return chosen

    def options(
        self, board: Board, variable: Mapping[str, Any], range: Range, chosen: Chosen
    ) -> list[str]:
        """What a variable offers, after those before it were chosen."""
        text = variable.get("query", "")
        if variable["type"] == "custom":
            return [_value_of(option) for option in str(text).split(",")]
        if variable["type"] in ("constant", "textbox"):
            return [str(text)]
        if variable["type"] != "query":
            raise ValueError(f"{board.uid}: a variable of the type {variable['type']}")
        uid = interpolate(variable["datasource"]["uid"], _texts(chosen))
        source = self._sources[uid]
        promql = text["query"] if isinstance(text, dict) else text
        values = {**Step(range, source.scrape).values, **chosen}
        found = self._options(source, interpolate(promql, values, board.multi), range)
        return list(dict.fromkeys(_filtered(found, variable.get("regex", ""))))

    def _options(self, source: Source, promql: str, range: Range) -> list[str]:
        labels = re.fullmatch(r"label_values\((?:(.+),\s*)?([a-zA-Z_]\w*)\)", promql.strip(), re.S)
        times = {"start": f"{range.start:.0f}", "end": f"{range.end:.0f}"}
        if labels:
            match = {"match[]": labels[1]} if labels[1] else {}
            path = f"/api/v1/label/{labels[2]}/values"
            return list(self._get(Question(source.url, path, {**match, **times})))
        query = re.fullmatch(r"query_result\((.+)\)", promql.strip(), re.S)
        if not query:
            raise ValueError(f"a variable's query {promql!r}")
        arguments = {"query": query[1], **_time(range.end)}
        series = self._ask(Question(source.url, "/api/v1/query", arguments))
        return [_written(one) for one in series]

    def ask(
        self, board: Board, panel: Panel, query: Query, chosen: Chosen, range: Range
    ) -> list[Series]:
        """What a panel's query is answered.

        Raises:
            QueryError: It is refused.
        """
        return self._ask(self.question(board, panel, query, chosen, range))

    def annotate(self, board: Board, query: Query, chosen: Chosen, range: Range) -> list[Series]:
        """What an annotation's query is answered.

        Raises:
            QueryError: It is refused.
        """
        return self._ask(self._question(board, query, chosen, range, _MOMENTS))

    def question(
        self, board: Board, panel: Panel, query: Query, chosen: Chosen, range: Range
    ) -> Question:
        """How a panel's query is put.

        Raises:
            QueryError: It names a variable that there is not.
        """
        if panel.back:
            range = Range(range.end - seconds(panel.back), range.end)
        return self._question(board, query, chosen, range, panel.points)

    def _question(
        self, board: Board, query: Query, chosen: Chosen, range: Range, points: int
    ) -> Question:
        source = self._sources[interpolate(query.source, _texts(chosen))]
        own = interpolate(query.least, _texts(chosen))
        step = Step(range, max(source.scrape, seconds(own)) if own else source.scrape, points)
        promql = interpolate(query.text, {**step.values, **chosen}, board.multi)
        left = re.search(r"\$\{?\w+|\[\[", promql)
        if left:
            raise QueryError(f"{left.group()} is no variable of the dashboard: {promql}")
        if query.instant:
            return Question(source.url, "/api/v1/query", {"query": promql, **_time(range.end)})
        interval = step.interval
        times = {
            "start": f"{range.start // interval * interval:.3f}",
            "end": f"{range.end // interval * interval:.3f}",
            "step": f"{interval:.3f}",
        }
        return Question(source.url, "/api/v1/query_range", {"query": promql, **times})

    def _ask(self, question: Question) -> list[Series]:
        found = self._get(question)
        if found["resultType"] == "scalar":
            return [_series({}, [found["result"]])]
        return [
            _series(one["metric"], one["values"] if "values" in one else [one["value"]])
            for one in found["result"]
        ]

    def _get(self, question: Question) -> Any:
        try:
            found = json.loads(question.put(self._patience))
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            raise QueryError(f"{question.arguments}: {text}") from None
        if found.get("isPartial"):
            raise QueryError(f"{question.arguments}: only a part was answered")
        return found["data"]


def _time(moment: float) -> dict[str, str]:
    return {"time": f"{moment:.3f}"}


def _series(labels: dict[str, str], points: Iterable[tuple[float, str]]) -> Series:
    return Series(labels, [(float(time), float(value)) for time, value in points])


def _choice(variable: Mapping[str, Any], found: list[str], how: str) -> Value | Raw:
    many = variable.get("multi") or variable.get("includeAll")
    if not many:
        return _current(variable, found)
    if how == ALL and variable.get("includeAll"):
        whole = variable.get("allValue")
        return Raw(whole) if whole else tuple(found)
    if not variable.get("multi"):
        return found[0] if found else ""
    return tuple(found[: 1 if how == ONE else 2])


def _current(variable: Mapping[str, Any], found: list[str]) -> str:
    known = (variable.get("current") or {}).get("value")
    if isinstance(known, str) and known in found:
        return known
    return found[0] if found else ""


def _texts(chosen: Chosen) -> Chosen:
    """Values as they are written into what is no query."""
    return {name: Raw(value) if isinstance(value, str) else value for name, value in chosen.items()}


def _value_of(option: str) -> str:
    """The value of an option of a custom variable, ``text : value`` or both in one."""
    _, separator, value = option.partition(" : ")
    return (value if separator else option).strip()


def _written(series: Series) -> str:
    """A series as ``query_result`` writes it."""
    time, value = series.points[0]
    labels = [f'{k}="{v}"' for k, v in series.labels.items() if k != "__name__"]
    name = series.labels.get("__name__", "")
    return f"{name}{{{','.join(labels)}}} {value:g} {time * 1000:.0f}"


def _filtered(found: list[str], pattern: str) -> list[str]:
    """What a variable's regular expression makes of its options."""
    if not pattern:
        return found
    body = re.fullmatch(r"/(.*)/[a-z]*", pattern, re.S)
    compiled = re.compile(body[1] if body else pattern)
    matches = [match for match in map(compiled.search, found) if match]
    return [match[1] if compiled.groups else match[0] for match in matches]
