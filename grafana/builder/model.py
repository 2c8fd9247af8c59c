"""What a dashboard is made of, and its JSON as Grafana 9.3 and newer read it."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from grafana.builder import selectors
from grafana.builder.metricsql import substituted
from grafana.builder.units import RECORDED, unit_of

Json = dict[str, Any]

# Of Grafana 9.3, the oldest that is to load the dashboards; newer ones migrate.
SCHEMA_VERSION = 37
# Uids of data sources: all samples, and the tier that fits the time range (variables.py).
NOW = "vm-raw"
TIER = "${tier}"
# The smallest step of what vmalert records, which comes once a minute; an hour in the hourly tier.
RECORDED_STEP = "${step}"


def data_source(uid: str) -> Json:
    """How a panel, a query or a variable names its data source."""
    return {"type": "prometheus", "uid": uid}


@dataclass(frozen=True)
class Query:
    """What a panel asks.

    Attributes:
        expr: MetricsQL, with the words of selectors.py (``$gpus`` and so on) for matchers, and the
            suffixes ``${min}`` and ``${max}`` for what the tiers keep besides averages.
        legend: The name of each series; labels in ``{{}}``.
        unit: Grafana's unit where it is not the panel's; ``None`` for the panel's.
        step: The smallest step, such as ``1d`` for an amount of each day.
    """

    expr: str
    legend: str = ""
    unit: str | None = None
    step: str = ""

    @property
    def text(self) -> str:
        """The expression with its matchers."""
        return selectors.filled_in(self.expr)

    @property
    def is_recorded(self) -> bool:
        """Whether it asks for what vmalert writes: what it records, and alerts."""
        return any(name in substituted(self.expr) for name in (*RECORDED, "ALERTS"))


@dataclass(frozen=True)
class Link:
    """Where a click on a value leads; ``url`` begins with / and may use the value's labels."""

    title: str
    url: str

    @property
    def json(self) -> Json:
        """As Grafana has it."""
        return {"title": self.title, "url": self.url, "targetBlank": False}


@dataclass(frozen=True)
class Override:
    """What is special about some fields: properties by their Grafana id."""

    matcher: str
    options: Any
    properties: Mapping[str, Any]

    @property
    def json(self) -> Json:
        """As Grafana has it."""
        return {
            "matcher": {"id": self.matcher, "options": self.options},
            "properties": [{"id": name, "value": value} for name, value in self.properties.items()],
        }


def by_name(name: str, **properties: Any) -> Override:
    """What is special about a field by its name; ``custom_width`` is ``custom.width``."""
    return Override("byName", name, _properties(properties))


def by_query(letter: str, **properties: Any) -> Override:
    """What is special about the series of a query: A is the first."""
    return Override("byFrameRefID", letter, _properties(properties))


def _properties(given: Mapping[str, Any]) -> Json:
    return {name.replace("custom_", "custom.", 1): value for name, value in given.items()}


@dataclass(frozen=True)
class Panel:
    """A panel; made by the functions of panels.py.

    Attributes:
        kind: Grafana's type of panel.
        title: Unique in its dashboard: its id follows from it, so that links to it stay.
        description: What it shows and what to make of it, shown behind its (i).
        queries: Lettered from A on.
        source: The uid of its data source.
        instant: Whether the queries ask for one moment, the end of the time range.
        table: Whether the answers are rows rather than series.
        unit: Grafana's unit; of the first query where it is ``None``.
        empty: What is shown where there is nothing to show.
        width: In columns, of which a row has 24.
        height: In units of some 30 pixels.
        defaults: Grafana's fieldConfig.defaults besides unit, links and what is shown if empty.
        overrides: What is special about some fields.
        options: Grafana's options of the kind.
        transformations: By Grafana's id, in order.
        links: Where a click on a value leads.
        repeat: The variable for each of whose values the panel is drawn once.
        points: How many points it can show at most, where that is not a matter of its width.
    """

    kind: str
    title: str
    description: str
    queries: tuple[Query, ...] = ()
    source: str = TIER
    instant: bool = False
    table: bool = False
    unit: str | None = None
    empty: str = "Nothing in this time range"
    width: int = 12
    height: int = 8
    defaults: Mapping[str, Any] = field(default_factory=dict)
    overrides: tuple[Override, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    transformations: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    links: tuple[Link, ...] = ()
    repeat: str | None = None
    points: int | None = None

    @property
    def id(self) -> int:
        """A number that stays while the title does."""
        return zlib.crc32(self.title.encode()) % 1_000_000 + 1

    @property
    def field_unit(self) -> str | None:
        """Grafana's unit of its values; ``None`` where there are no queries."""
        if self.unit is None and self.queries:
            return unit_of(self.queries[0].text)
        return self.unit

    def json(self, x: int, y: int) -> Json:
        """As Grafana has it, at a place."""
        made: Json = {
            "id": self.id,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "options": dict(self.options),
        }
        if not self.queries:
            return made
        made["datasource"] = data_source(self.source)
        made["targets"] = [self._target(number, q) for number, q in enumerate(self.queries)]
        made["fieldConfig"] = {
            "defaults": {
                **{"unit": self.field_unit, "noValue": self.empty},
                **self.defaults,
                "links": [link.json for link in self.links],
            },
            "overrides": [*self._units(), *(override.json for override in self.overrides)],
        }
        if self.transformations:
            made["transformations"] = [
                {"id": name, "options": dict(options)} for name, options in self.transformations
            ]
        if self.points:
            made["maxDataPoints"] = self.points
        if self.repeat:
            made |= {"repeat": self.repeat, "repeatDirection": "h", "maxPerRow": 4}
        return made

    def _target(self, number: int, query: Query) -> Json:
        target: Json = {
            "refId": letter(number),
            "datasource": data_source(self.source),
            "expr": query.text,
            "legendFormat": query.legend or "__auto",
            "instant": self.instant,
            "range": not self.instant,
            "format": "table" if self.table else "time_series",
        }
        if step := self._step(query):
            target["interval"] = step
        return target

    def _step(self, query: Query) -> str:
        """The smallest step of a query.

        Grafana moves the moment that an instant query asks for to a multiple of it, and puts rows
        of a table together only if they are of one moment: so all queries of a panel have the same.
        """
        if not self.instant:
            return query.step or (RECORDED_STEP if query.is_recorded else "")
        recorded = any(each.is_recorded for each in self.queries)
        return RECORDED_STEP if recorded and self.source == TIER else ""

    def _units(self) -> list[Json]:
        """A query whose unit is not the panel's says so by an override."""
        return [
            by_query(letter(number), unit=query.unit).json
            for number, query in enumerate(self.queries)
            if query.unit and not self.table
        ]


def letter(number: int) -> str:
    """The refId of a query: A for 0."""
    return chr(ord("A") + number)


@dataclass(frozen=True)
class Row:
    """A heading and the panels under it; without a title, panels alone.

    Attributes:
        title: The heading.
        panels: From left to right; what is too wide for the line begins a new one.
        collapsed: Whether it is closed at first; what is in it is not asked for until it is opened.
        repeat: The variable for each of whose values the row is drawn once.
    """

    title: str
    panels: tuple[Panel, ...]
    collapsed: bool = False
    repeat: str | None = None

    @property
    def id(self) -> int:
        """A number that stays while the title does."""
        return zlib.crc32(f"row {self.title}".encode()) % 1_000_000 + 1


def row(title: str, *panels: Panel, collapsed: bool = False, repeat: str | None = None) -> Row:
    """A heading and the panels under it."""
    return Row(title, panels, collapsed, repeat)


@dataclass(frozen=True)
class Variable:
    """A variable that the user chooses, or a hidden one.

    Attributes:
        name: As queries name it.
        label: As the user sees it.
        description: What it does.
        query: Of data: Grafana's ``label_values`` or ``query_result``. Else ``text : value`` pairs.
        source: Uid of the data source; empty for a list that is fixed.
        multi: Whether several values may be chosen, or all.
        hidden: Whether the user sees it.
        regex: Which part of the answer is the value.
        sort: Grafana's order: 0 as it comes, 3 by number, 5 by name.
    """

    name: str
    label: str
    description: str
    query: str
    source: str = ""
    multi: bool = False
    hidden: bool = False
    regex: str = ""
    sort: int = 0

    @property
    def json(self) -> Json:
        """As Grafana has it."""
        made: Json = {
            "name": self.name,
            "label": self.label,
            "description": self.description,
            "hide": 2 if self.hidden else 0,
            "skipUrlSync": self.hidden,
            "multi": self.multi,
            "includeAll": self.multi,
        }
        if self.multi:
            # Of all, also what lacks the label, as nodes without a cluster do.
            made |= {"allValue": ".*", "current": {"text": ["All"], "value": ["$__all"]}}
        return made | (self._from_data() if self.source else self._fixed())

    def _from_data(self) -> Json:
        text = selectors.filled_in(self.query)
        return {
            "type": "query",
            "datasource": data_source(self.source),
            "definition": text,
            "query": {"query": text, "refId": "StandardVariableQuery"},
            # Again when the time range changes: what was there then.
            "refresh": 2,
            "regex": self.regex,
            "sort": self.sort,
        }

    def _fixed(self) -> Json:
        pairs = [pair.split(" : ") for pair in self.query.split(", ")]
        options = [
            {"text": text, "value": value, "selected": number == 0}
            for number, (text, value) in enumerate(pairs)
        ]
        return {
            "type": "custom",
            "query": self.query,
            "options": options,
            "current": options[0],
        }


@dataclass(frozen=True)
class Annotation:
    """Events that all graphs of a dashboard show.

    Attributes:
        name: As the switch above the graphs has it.
        expr: One series per kind of event; a sample over 0 is an event at its time.
        title: Of an event; labels in ``{{}}``.
        text: More of it.
        color: Grafana's name of a colour.
        at_value: The value is the time, in milliseconds.
        on: Whether it is shown at first.
        source: Uid of the data source.
    """

    name: str
    expr: str
    title: str
    text: str = ""
    color: str = "blue"
    at_value: bool = False
    on: bool = True
    source: str = TIER

    @property
    def json(self) -> Json:
        """As Grafana has it."""
        return {
            "name": self.name,
            "datasource": data_source(self.source),
            "enable": self.on,
            "hide": False,
            "iconColor": self.color,
            "expr": selectors.filled_in(self.expr),
            # The least: Grafana takes a hundredth of the time range where that is more.
            "step": "60s",
            "titleFormat": self.title,
            "textFormat": self.text,
            "tagKeys": "",
            "useValueForTime": "on" if self.at_value else False,
        }


@dataclass(frozen=True)
class Dashboard:
    """A dashboard.

    Attributes:
        uid: Never changes: links and bookmarks name it.
        title: In Grafana's list.
        description: Whom it is for and what it answers.
        rows: From top to bottom.
        variables: Those that the user sees; hidden ones that are used come by themselves.
        annotations: Events that its graphs show.
        refresh: How often it asks again; empty for never.
        span: How far back it begins, such as ``now-1h``.
        looks_back: How many times the time range its queries look back, as to compare with before.
    """

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    refresh: str = ""
    span: str = "now-1h"
    looks_back: int = 1

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All panels of all rows."""
        return tuple(panel for each in self.rows for panel in each.panels)
