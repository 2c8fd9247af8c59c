"""Graphs, numbers and words, looking the same everywhere; all kinds exist from Grafana 9.3 on."""

from collections.abc import Sequence

from grafana.builder.model import NOW, TIER, Json, Link, Override, Panel, Query
from grafana.builder.style import CALM, PLAIN, Calc, Steps, Words, mapped, thresholds


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


def counts(
    title: str,
    description: str,
    *queries: Query,
    empty: str,
    width: int = 12,
    height: int = 8,
    links: tuple[Link, ...] = (),
) -> Panel:
    """Bars of what was counted in each step, one upon the other, with the sum of each kind."""
    return timeseries(
        title,
        description,
        *queries,
        unit="short",
        bars=True,
        stacked=True,
        calcs=("sum",),
        empty=empty,
        width=width,
        height=height,
        links=links,
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
    empty: str = "not known",
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
    # What is not known is neither good nor bad, so it has no colour.
    unknown = {"match": "null+nan", "result": {"text": empty, "color": "text", "index": 99}}
    defaults["mappings"] = [*mapped(mappings or {}), {"type": "special", "options": unknown}]
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
        "custom": {"lineWidth": 0, "fillOpacity": 80},
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
                "showLegend": len([c for _, c in (mappings or {}).values() if c != "transparent"])
                > 1,
                "displayMode": "list",
                "placement": "bottom",
                "calcs": [],
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
    """Coloured cells over time, a line for each series: from blue at 0 to purple at ``top``."""
    return Panel(
        *("status-history", title, description, queries),
        source=source,
        unit=unit,
        empty=empty,
        width=width,
        height=height,
        defaults={
            # The lowest is seen too, unlike what is not known.
            "color": {"mode": "continuous-BlPu"},
            "min": 0,
            "max": top,
            "custom": {"lineWidth": 0, "fillOpacity": 85},
        },
        options={
            "showValue": "never",
            "rowHeight": 0.9,
            "colWidth": 1,
            "legend": {
                "showLegend": False,
                "displayMode": "list",
                "placement": "bottom",
                "calcs": [],
            },
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
