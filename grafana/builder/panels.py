"""The kinds of panels that we use, looking the same everywhere; all exist from Grafana 9.3 on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from grafana.builder.model import NOW, TIER, Json, Link, Override, Panel, Query, by_name, letter
from grafana.builder.selectors import filled_in
from grafana.builder.units import unit_of

# By a value as text, or by a pattern between slashes: what is shown in its place, and its colour.
Words = Mapping[str, tuple[str, str]]
# From which value on a colour holds; the first is that of all lower ones.
Steps = tuple[tuple[float | None, str], ...]

PLAIN: Steps = ((None, "text"),)
CALM: Steps = ((None, "blue"),)
GOOD: Steps = ((None, "green"),)
# Of a count of what should not be.
BAD_FROM_1: Steps = ((None, "green"), (1, "red"))
WARN_FROM_1: Steps = ((None, "green"), (1, "orange"))
# Of a share that should not get near 1, and of one that should.
NEAR_FULL: Steps = ((None, "green"), (0.8, "yellow"), (0.95, "red"))
NEAR_EMPTY: Steps = ((None, "red"), (0.1, "yellow"), (0.25, "green"))
# Of a score that is 1 where nothing is known to be wrong.
HEALTH: Steps = ((None, "red"), (0.5, "orange"), (0.8, "yellow"), (1, "green"))
# Of 1 for well and 0 for not.
UP: Steps = ((None, "red"), (1, "green"))
# Of a share without good or bad: the more the warmer.
WARMER: Steps = ((None, "blue"), (0.05, "green"), (0.6, "yellow"), (0.9, "orange"))
# Of degrees between a core and the point at which it slows down.
MARGIN: Steps = ((None, "red"), (3, "orange"), (10, "green"))

# In a cell of a table that has others.
_NOTHING = "-"

Calc = Literal["lastNotNull", "mean", "max", "min", "sum", "range", "diff"]


def thresholds(steps: Steps) -> Json:
    """Colours by value."""
    return {
        "mode": "absolute",
        "steps": [{"value": value, "color": color} for value, color in steps],
    }


def mapped(words: Words) -> list[Json]:
    """Words and colours in place of values."""
    plain, patterns = {}, []
    for number, (value, (text, color)) in enumerate(words.items()):
        result = {"text": text, "color": color, "index": number}
        if value.startswith("/"):
            patterns.append({"type": "regex", "options": {"pattern": value, "result": result}})
        else:
            plain[value] = result
    return [*([{"type": "value", "options": plain}] if plain else []), *patterns]


def timeseries(
    title: str,
    description: str,
    *queries: Query,
    unit: str | None = None,
    empty: str = "Nothing in this time range",
    width: int = 12,
    height: int = 8,
    source: str = TIER,
    stacked: bool = False,
    bars: bool = False,
    bottom: float | None = 0,
    top: float | None = None,
    legend: bool = True,
    calcs: Sequence[Calc] = (),
    steps: Steps | None = None,
    overrides: tuple[Override, ...] = (),
    links: tuple[Link, ...] = (),
    repeat: str | None = None,
) -> Panel:
    """Curves over time; on a tier that fits the time range unless another source is named.

    Args:
        title: Unique in its dashboard.
        description: What it shows and what to make of it.
        queries: In the order of their colours.
        unit: Grafana's unit where it does not follow from the first query.
        empty: What is shown where there is nothing to show.
        width: In columns, of which a row has 24.
        height: In units of some 30 pixels.
        source: The uid of the data source.
        stacked: Whether curves are added up.
        bars: Whether each step is a bar, as amounts of a step should be.
        bottom: The lowest value of the axis; ``None`` lets the data choose.
        top: The highest, if the data shall not choose.
        legend: Whether it names the curves.
        calcs: What the legend says of each curve, in a table on the right.
        steps: Lines at these values, and the colours beyond them.
        overrides: What is special about some curves.
        links: Where a click on a point leads.
        repeat: The variable for each of whose values the panel is drawn once.
    """
    alone = len(queries) == 1 and "{{" not in queries[0].legend
    custom: Json = {
        "drawStyle": "bars" if bars else "line",
        "lineWidth": 1,
        "fillOpacity": 70 if bars else 25 if stacked else 10 if alone else 0,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if steps else "off"},
    }
    if bars and unit in ("short", None):
        custom["axisSoftMax"] = 1  # else the axis of nothing but 0 goes up to 100
    defaults: Json = {"color": {"mode": "palette-classic"}, "custom": custom}
    defaults |= {"min": bottom} if bottom is not None else {}
    defaults |= {"max": top} if top is not None else {}
    defaults |= {"thresholds": thresholds(steps)} if steps else {}
    options = {
        "tooltip": {"mode": "multi", "sort": "desc"},
        "legend": {
            "showLegend": legend,
            "displayMode": "table" if calcs else "list",
            "placement": "right" if calcs else "bottom",
            "calcs": list(calcs),
        },
    }
    return Panel(
        *("timeseries", title, description, queries),
        source=source,
        unit=unit,
        empty=empty,
        width=width,
        height=height,
        defaults=defaults,
        overrides=overrides,
        options=options,
        links=links,
        repeat=repeat,
    )


def limit(pattern: str, color: str = "red") -> Override:
    """Curves by name that are limits: dashed, in one colour, without an area."""
    return Override(
        "byRegexp",
        f"/{pattern}/",
        {
            "custom.lineStyle": {"fill": "dash", "dash": [8, 6]},
            "custom.fillOpacity": 0,
            "custom.stacking": {"mode": "none", "group": "limit"},
            "color": {"mode": "fixed", "fixedColor": color},
        },
    )


def below_zero(pattern: str) -> Override:
    """Curves by name that are drawn downwards, as what is received beside what is sent."""
    return Override("byRegexp", f"/{pattern}/", {"custom.transform": "negative-Y"})


def stat(
    title: str,
    description: str,
    *queries: Query,
    unit: str | None = None,
    empty: str = "none",
    width: int = 4,
    height: int = 4,
    source: str = NOW,
    steps: Steps = PLAIN,
    mappings: Words | None = None,
    decimals: int | None = None,
    background: bool = False,
    names: bool | None = None,
    links: tuple[Link, ...] = (),
    repeat: str | None = None,
) -> Panel:
    """Big numbers of the end of the time range, which is now unless the user looks back.

    Args:
        title: Unique in its dashboard.
        description: What it shows and what to make of it.
        queries: A number each, or one for each series.
        unit: Grafana's unit where it does not follow from the first query.
        empty: What is shown where there is nothing to show.
        width: In columns, of which a row has 24.
        height: In units of some 30 pixels.
        source: The uid of the data source; ``TIER`` for what looks back over the time range.
        steps: Colours by value.
        mappings: Words and colours for single values.
        decimals: How many are shown.
        background: Whether the colour fills the panel; else it is that of the number.
        names: Whether names of series are shown; by default where there are several queries.
        links: Where a click leads.
        repeat: The variable for each of whose values the panel is drawn once.
    """
    named = len(queries) > 1 if names is None else names
    defaults: Json = {"color": {"mode": "thresholds"}, "thresholds": thresholds(steps)}
    defaults |= {"mappings": mapped(mappings)} if mappings else {}
    defaults |= {"decimals": decimals} if decimals is not None else {}
    return Panel(
        *("stat", title, description, queries),
        source=source,
        instant=True,
        unit=unit,
        empty=empty,
        width=width,
        height=height,
        defaults=defaults,
        options={
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "background" if background else "value",
            "graphMode": "none",
            "textMode": "value_and_name" if named else "value",
            "justifyMode": "auto",
            "orientation": "auto",
        },
        links=links,
        repeat=repeat,
    )


@dataclass(frozen=True)
class Column:
    """A column of a table: what a query answers for each row.

    Attributes:
        title: At its head; without one it is not shown, and only adds its labels to the rows.
        expr: MetricsQL; its series have the labels of the table's rows and no others.
        unit: Grafana's unit where it does not follow from the query.
        look: How a value is shown: as text, on a coloured ground, or as a bar from 0 to 1.
        steps: Colours by value.
        mappings: Words and colours for single values.
        width: In pixels; ``None`` shares what is left.
        decimals: How many are shown.
        links: Where a click leads.
    """

    title: str
    expr: str
    unit: str | None = None
    look: Literal["text", "colored", "bar"] = "text"
    steps: Steps = PLAIN
    mappings: Words | None = None
    width: int | None = None
    decimals: int | None = None
    links: tuple[Link, ...] = ()

    @property
    def override(self) -> Override:
        """Its properties, by its title."""
        steps = CALM if self.look == "bar" and self.steps is PLAIN else self.steps
        properties: Json = {
            "unit": self.unit or unit_of(filled_in(self.expr)),
            "noValue": _NOTHING,
            **_display(self.look),
            "thresholds": thresholds(steps),
        }
        if self.look == "bar":
            properties |= {"min": 0, "max": 1, "color": {"mode": "thresholds"}}
        if self.mappings:
            properties["mappings"] = mapped(self.mappings)
        if self.width:
            properties["custom.width"] = self.width
        if self.decimals is not None:
            properties["decimals"] = self.decimals
        if self.links:
            properties["links"] = [link.json for link in self.links]
        return by_name(self.title, **properties)


def _display(look: str) -> Json:
    """How a value is shown."""
    until_9_5 = {
        "text": "color-text",
        "colored": "color-background-solid",
        "bar": "gradient-gauge",
    }
    return {"custom.displayMode": until_9_5[look], "custom.cellOptions": _cell(look)}


def _cell(look: str) -> Json:
    """How Grafana from 9.5 on shows a value."""
    if look == "bar":
        return {"type": "gauge", "mode": "gradient"}
    return {"type": "color-background" if look == "colored" else "color-text", "mode": "basic"}


def sparse(*columns: Column) -> tuple[Column, ...]:
    """Columns of which only one may have an answer at all.

    Grafana would not tell then which one it is; so one more, unseen, has a row wherever one has.
    """
    return (*columns, Column("", " or ".join(f"({column.expr})" for column in columns)))


def table(
    title: str,
    description: str,
    *columns: Column,
    labels: Mapping[str, str],
    links: Mapping[str, Link] | None = None,
    widths: Mapping[str, int] | None = None,
    words: Mapping[str, Words] | None = None,
    sort: str = "",
    ascending: bool = False,
    labels_last: bool = False,
    empty: str = "none",
    width: int = 24,
    height: int = 9,
    source: str = NOW,
) -> Panel:
    """Rows by labels, a column for each query; of the end of the time range.

    Args:
        title: Unique in its dashboard.
        description: What it shows and what to make of it.
        columns: After those of the labels.
        labels: Titles of the labels that tell rows from another; one without a title is not shown.
        links: By a label's title, where a click on it leads.
        widths: In pixels, by a label's title.
        words: By a label's title, words and colours for its values.
        sort: The title of the column that rows are sorted by.
        ascending: Whether the lowest come first.
        labels_last: Whether the labels come after the queries.
        empty: What is shown where there is nothing to show.
        width: In columns, of which a row has 24.
        height: In units of some 30 pixels.
        source: The uid of the data source; ``TIER`` for what looks back over the time range.
    """
    value = {"Value": columns[0].title} if len(columns) == 1 else {}
    values = {f"Value #{letter(n)}": column.title for n, column in enumerate(columns)} | value
    unseen = [name for name, text in {**labels, **values}.items() if not text]
    values = {name: text for name, text in values.items() if text}
    shown = {label: text for label, text in labels.items() if text}
    order = [*values, *shown] if labels_last else [*shown, *values]
    organized = {
        "excludeByName": dict.fromkeys(("Time", "__name__", *unseen), True),
        "indexByName": {name: number for number, name in enumerate(order)},
        "renameByName": shown | values,
    }
    special = {
        text: _label(text, links or {}, widths or {}, words or {}) for text in shown.values()
    }
    # Without a unit of its own a label of digits, such as a pid, would be shown as a number.
    fields = [
        by_name(text, unit="string", noValue=_NOTHING, **properties)
        for text, properties in special.items()
    ]
    queries = tuple(Query(column.expr) for column in columns)
    return Panel(
        *("table", title, description, queries),
        source=source,
        instant=True,
        table=True,
        unit="short",
        empty=empty,
        width=width,
        height=height,
        defaults={
            "color": {"mode": "thresholds"},
            "thresholds": thresholds(PLAIN),
            "custom": {"align": "auto", "filterable": True, "minWidth": 60},
        },
        overrides=(*fields, *(column.override for column in columns if column.title)),
        options={
            "showHeader": True,
            "footer": {"show": False, "reducer": ["sum"], "fields": ""},
            "sortBy": [{"displayName": sort, "desc": not ascending}] if sort else [],
        },
        transformations=(("merge", {}), ("organize", organized)),
    )


def _label(
    title: str,
    links: Mapping[str, Link],
    widths: Mapping[str, int],
    words: Mapping[str, Words],
) -> Json:
    properties: Json = {}
    if title in links:
        properties["links"] = [links[title].json]
    if title in widths:
        properties["custom.width"] = widths[title]
    if title in words:
        properties |= {"mappings": mapped(words[title]), **_display("text")}
    return properties


def matrix(
    title: str,
    description: str,
    query: Query,
    *,
    rows: str,
    columns: str,
    unit: str | None = None,
    empty: str = "none",
    width: int = 24,
    height: int = 9,
    links: tuple[Link, ...] = (),
) -> Panel:
    """A map of values from 0 to 1: a line for each value of a label, a column for each of another.

    Only lines that are seen are drawn, so thousands of them cost nothing.
    """
    fields = {"rowField": rows, "columnField": columns, "valueField": "Value"}
    return Panel(
        *("table", title, description, (query,)),
        source=NOW,
        instant=True,
        table=True,
        unit=unit,
        empty=empty,
        width=width,
        height=height,
        defaults={
            "color": {"mode": "continuous-BlYlRd"},
            "min": 0,
            "max": 1,
            "custom": {
                "align": "center",
                "displayMode": "color-background-solid",
                "cellOptions": {"type": "color-background", "mode": "basic"},
                "minWidth": 50,
            },
            "decimals": 0,
        },
        overrides=(
            by_name(
                f"{rows}\\{columns}",
                displayName=rows,
                custom_displayMode="auto",
                custom_cellOptions={"type": "auto"},
                custom_align="left",
                custom_width=180,
            ),
        ),
        options={"showHeader": True, "footer": {"show": False, "reducer": ["sum"], "fields": ""}},
        transformations=(("groupingToMatrix", {**fields, "emptyValue": "null"}),),
        links=links,
    )


def bar_gauge(
    title: str,
    description: str,
    *queries: Query,
    unit: str | None = None,
    empty: str = "none",
    width: int = 8,
    height: int = 8,
    source: str = NOW,
    steps: Steps = CALM,
    top: float | None = None,
    links: tuple[Link, ...] = (),
) -> Panel:
    """Bars, one for each series, of the end of the time range."""
    defaults: Json = {
        "color": {"mode": "thresholds"},
        "thresholds": thresholds(steps),
        "min": 0,
    }
    defaults |= {"max": top} if top is not None else {}
    return Panel(
        *("bargauge", title, description, queries),
        source=source,
        instant=True,
        unit=unit,
        empty=empty,
        width=width,
        height=height,
        defaults=defaults,
        options={
            "displayMode": "basic",
            "orientation": "horizontal",
            "showUnfilled": True,
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        },
        links=links,
    )


def state_timeline(
    title: str,
    description: str,
    *queries: Query,
    mappings: Words | None = None,
    steps: Steps = PLAIN,
    unit: str | None = None,
    empty: str = "Nothing in this time range",
    width: int = 24,
    height: int = 8,
    source: str = TIER,
    links: tuple[Link, ...] = (),
    repeat: str | None = None,
) -> Panel:
    """States over time, a line for each series: what was when, and how long."""
    defaults: Json = {
        # By thresholds Grafana would leave words and their colours out.
        "color": {"mode": "palette-classic" if mappings else "thresholds"},
        "thresholds": thresholds(steps),
        "custom": {"lineWidth": 0, "fillOpacity": 80, "spanNulls": False},
    }
    defaults |= {"mappings": mapped(mappings)} if mappings else {}
    return Panel(
        *("state-timeline", title, description, queries),
        source=source,
        unit=unit,
        empty=empty,
        width=width,
        height=height,
        defaults=defaults,
        options={
            "mergeValues": True,
            "showValue": "never",
            "alignValue": "left",
            "rowHeight": 0.85,
            "legend": {
                "showLegend": len(mappings or ()) > 1,
                "displayMode": "list",
                "placement": "bottom",
            },
            "tooltip": {"mode": "single", "sort": "none"},
        },
        links=links,
        repeat=repeat,
    )


def status_history(
    title: str,
    description: str,
    *queries: Query,
    top: float = 1,
    unit: str | None = None,
    empty: str = "Nothing in this time range",
    width: int = 24,
    height: int = 8,
    source: str = TIER,
    links: tuple[Link, ...] = (),
) -> Panel:
    """Coloured cells over time, a line for each series: the nearer to ``top`` the warmer."""
    return Panel(
        *("status-history", title, description, queries),
        source=source,
        unit=unit,
        empty=empty,
        width=width,
        height=height,
        defaults={
            "color": {"mode": "continuous-BlYlRd"},
            "min": 0,
            "max": top,
            "custom": {"lineWidth": 0, "fillOpacity": 85},
        },
        options={
            "showValue": "never",
            "rowHeight": 0.9,
            "colWidth": 1,
            "legend": {"showLegend": False, "displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "single", "sort": "none"},
        },
        links=links,
        points=100,  # Grafana draws no cell narrower than two pixels
    )


def text(title: str, description: str, markdown: str, width: int = 24, height: int = 3) -> Panel:
    """Words that stand on the dashboard, in Markdown."""
    return Panel(
        *("text", title, description),
        width=width,
        height=height,
        options={"mode": "markdown", "content": markdown},
    )
