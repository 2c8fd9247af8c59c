"""Tables and maps, whose rows and cells are series of one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from grafana.builder.links import WITHIN, told_within, within_cluster
from grafana.builder.model import NOW, Json, Link, Override, Panel, Query, by_name, letter
from grafana.builder.selectors import filled_in
from grafana.builder.style import CALM, PLAIN, Steps, Words, mapped, thresholds
from grafana.builder.units import unit_of

# In a cell of a table that has others.
_NOTHING = "-"
# Links take it from the row. Grafana calls what hides it otherwise in newer versions.
_UNSEEN = by_name(
    WITHIN,
    unit="string",
    custom_hidden=True,
    custom_hideFrom={"viz": True, "legend": False, "tooltip": False},
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

    Links of rows that have the label ``cluster``, seen or not, stay within the row's own.

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
    links = links or {}
    if within := bool(links) and "cluster" in labels:
        links = {text: within_cluster(link) for text, link in links.items()}
    special = {text: _label(text, links, widths or {}, words or {}) for text in shown.values()}
    # Without a unit of its own a label of digits, such as a pid, would be shown as a number.
    fields = [
        by_name(text, unit="string", noValue=_NOTHING, **properties)
        for text, properties in special.items()
    ]
    if within:
        fields.append(_UNSEEN)
    queries = tuple(Query(told_within(c.expr) if within else c.expr) for c in columns)
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
    heading: str,
    unit: str | None = None,
    empty: str = "none",
    width: int = 24,
    height: int = 9,
    links: tuple[Link, ...] = (),
    row_links: tuple[Link, ...] = (),
) -> Panel:
    """A map of values from 0 to 1: a line for each value of a label, a column for each of another.

    Only lines that are seen are drawn, so thousands of them cost nothing.
    """
    fields = {"rowField": rows, "columnField": columns, "valueField": "Value"}
    # Lines and columns come in the order of the answer: 2 is to be before 10.
    ordered = replace(query, expr=f'sort_by_label_numeric({query.expr}, "{columns}", "{rows}")')
    return Panel(
        *("table", title, description, (ordered,)),
        source=NOW,
        instant=True,
        table=True,
        unit=unit,
        empty=empty,
        width=width,
        height=height,
        defaults={
            # Not red, which is for what is bad: of a busy GPU all is well.
            "color": {"mode": "continuous-blues"},
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
                heading,
                custom_displayMode="auto",
                custom_cellOptions={"type": "auto"},
                custom_align="left",
                custom_width=180,
                links=[link.json for link in row_links],
            ),
        ),
        options={"showHeader": True},
        transformations=(
            ("groupingToMatrix", {**fields, "emptyValue": "null"}),
            ("organize", {"renameByName": {f"{rows}\\{columns}": heading}}),
        ),
        links=links,
    )
