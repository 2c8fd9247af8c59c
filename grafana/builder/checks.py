"""The own check of what is built. Every exception stands here, with its reason."""

import itertools
import re
from collections import Counter
from collections.abc import Iterator

from docs.build_rollups import policies
from grafana.builder.components import EVERYWHERE, METRICS
from grafana.builder.layout import BOARDS, COLUMNS
from grafana.builder.metricsql import Named, named, substituted
from grafana.builder.model import NOW, RECORDED_STEP, SCHEMA_VERSION, TIER, Json
from grafana.builder.units import CATALOGUE, RECORDED

from gpuglass.catalogue.model import Rollup

# Those that Grafana has from 9.3 to now, and none that needs Angular.
KINDS = {
    *("timeseries", "stat", "table", "state-timeline", "status-history"),
    *("bargauge", "heatmap", "text"),
}
REFRESH = {"", "5s", "30s", "1m", "5m"}
# A panel for each GPU of a node is bounded; one for each node or user is not.
REPEATED = {"gpu"}
# By dashboard and panel, what a complaint would begin with, and why it is right nevertheless.
EXCEPTIONS: dict[tuple[str, str, str], str] = {}
# Not shorter than what is recorded, in any tier.
_STEPS = {RECORDED_STEP, "1d"}
# What the tiers keep of each series.
_KEPT = {
    **policies(),
    **{name: record.rollup for name, record in RECORDED.items()},
    **dict.fromkeys(("ALERTS", "ALERTS_FOR_STATE"), Rollup.LAST),
}
# Grafana's own, which no dashboard defines.
_BUILT_IN = re.compile(r"__\w+")
_VARIABLE = re.compile(r"\$\{(\w+)(?::[^}]*)?\}|\$([A-Za-z_]\w*)|\$\{(\w+)(?:\.[^}]*)\}")
_FIXED = re.compile(r"\[\s*\d|\boffset\s+\d")
# Of two metrics with the same labels, ``or`` drops the second; ``max(one, other)`` does not.
_EITHER = re.compile(r"(?<![\w:])[a-z_:]+{[^}]*} or [a-z_:]+{")
_EXTREME = re.compile(r"\$\{(?:min|max)\}")


def complaints(board: Json) -> list[str]:
    """What is wrong with a dashboard's JSON, exceptions left out; nothing if all is well."""
    uid = board["uid"]
    return [
        f"{where}: {said}" if where else said
        for where, said in itertools.chain(
            _of_the_whole(board), _places(board), _variables(board), _of_panels(board)
        )
        if not any(
            (uid, where) == (board_, panel) and said.startswith(start)
            for board_, panel, start in EXCEPTIONS
        )
    ]


Said = Iterator[tuple[str, str]]


def panels_of(board: Json) -> list[Json]:
    """All panels but the headings, those of closed rows too."""
    nested = [inner for panel in board["panels"] for inner in panel.get("panels", [])]
    return [p for p in (*board["panels"], *nested) if p["type"] != "row"]


def _of_the_whole(board: Json) -> Said:
    if board["schemaVersion"] != SCHEMA_VERSION:
        yield "", f"schemaVersion is not {SCHEMA_VERSION}"
    if board["uid"] not in dict(BOARDS):
        yield "", "its uid is not in layout.BOARDS"
    if board["refresh"] not in REFRESH:
        yield "", f"refresh is {board['refresh']}, none of {sorted(REFRESH)}"
    if not board["description"].endswith("."):
        yield "", "no description, or one without a full stop"
    for annotation in board["annotations"]["list"]:
        for said in _names(annotation["expr"], {}):
            yield f"annotation {annotation['name']}", said


def _places(board: Json) -> Said:
    rows = [panel for panel in board["panels"] if panel["type"] == "row"]
    everything = [*panels_of(board), *rows]
    for name in ("id", "title"):
        for value, times in Counter(panel[name] for panel in everything).items():
            if times > 1:
                yield "", f"{times} panels have the {name} {value!r}"
    for group in (board["panels"], *(each["panels"] for each in rows)):
        yield from _overlaps(group)


def _overlaps(panels: list[Json]) -> Said:
    for panel in panels:
        place = panel["gridPos"]
        if place["x"] < 0 or place["x"] + place["w"] > COLUMNS or place["h"] < 1:
            yield panel["title"], f"reaches beyond {COLUMNS} columns"
    for one, other in itertools.combinations(panels, 2):
        a, b = one["gridPos"], other["gridPos"]
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        if not (beside or above):
            yield one["title"], f"overlaps {other['title']!r}"


def _variables(board: Json) -> Said:
    defined = {variable["name"]: variable for variable in board["templating"]["list"]}
    rest = str({key: value for key, value in board.items() if key != "templating"})
    for name, variable in defined.items():
        others = str([other for key, other in defined.items() if key != name])
        if name not in _used(rest + others):
            yield "", f"the variable {name} is not used"
        if variable["type"] == "query":
            for said in _names(_inner(variable["definition"]), {}):
                yield f"variable {name}", said
    for name in sorted(_used(rest + str(list(defined.values()))) - set(defined)):
        yield "", f"the variable {name} is not defined"


def _inner(query: str) -> str:
    """The selector of ``label_values(selector, label)``, grouped by the label."""
    values = re.fullmatch(r"label_values\((.*), (\w+)\)", query)
    return f"group by ({values[2]}) ({values[1]})" if values else query


def _used(text: str) -> set[str]:
    found = {name for match in _VARIABLE.findall(text) for name in match if name}
    return {name for name in found if not _BUILT_IN.fullmatch(name)}


def _of_panels(board: Json) -> Said:
    chosen = choices(board)
    for panel in panels_of(board):
        for said in itertools.chain(_of_a_panel(panel), _queries(panel, chosen)):
            yield panel["title"], said


def choices(board: Json) -> dict[str, list[str]]:
    """The values of variables that are fixed lists."""
    return {
        variable["name"]: [option["value"] for option in variable["options"]]
        for variable in board["templating"]["list"]
        if variable["type"] == "custom"
    }


def _of_a_panel(panel: Json) -> Iterator[str]:
    if panel["type"] not in KINDS:
        yield f"Grafana 9.3 to 13 do not all have panels of type {panel['type']}"
    if not panel["description"].endswith("."):
        yield "no description, or one without a full stop"
    if panel["type"] == "text":
        return
    defaults = panel["fieldConfig"]["defaults"]
    if not defaults.get("unit"):
        yield "no unit"
    if not defaults.get("noValue"):
        yield "no text for when there is nothing to show"
    if panel.get("repeat", "gpu") not in REPEATED:
        yield f"repeated for each {panel['repeat']}, of which there may be thousands"
    for uid in re.findall(r"/d/([\w-]+)", str(panel)):
        if uid not in dict(BOARDS):
            yield f"links to {uid}, which is no dashboard of ours"


def _queries(panel: Json, chosen: dict[str, list[str]]) -> Iterator[str]:
    instants = [target for target in panel.get("targets", ()) if target["instant"]]
    if len({target.get("interval") for target in instants}) > 1:
        yield "its instant queries have different steps, so they ask for different moments"
    for target in panel.get("targets", ()):
        expr, uid = target["expr"], target["datasource"]["uid"]
        if uid != panel["datasource"]["uid"] or uid not in (NOW, TIER):
            yield f"{target['refId']} asks {uid}: neither {NOW} nor {TIER}"
        if uid == TIER and _FIXED.search(expr):
            yield f"{target['refId']} has a fixed range, which fits only some tiers: {expr}"
        if _EITHER.search(expr):
            yield f"{target['refId']} hides one metric by or behind another one: {expr}"
        if uid == NOW and _EXTREME.search(expr):
            yield f"{target['refId']} asks {NOW} for what only tiers have: {expr}"
        if uid == NOW and "$__range" in expr:
            yield f"{target['refId']} asks {NOW} for the whole range, of which it may lack a part"
        kept = _is_kept(expr, chosen)
        if uid == NOW and target["range"] and kept:
            yield f"{target['refId']} draws the time range from {NOW}, which forgets soon"
        if uid == TIER and not kept:
            yield f"{target['refId']} asks {TIER} for what no tier keeps: {expr}"
        said = list(_names(expr, chosen, target["legendFormat"]))
        followed = re.findall(r"__field\.labels\.(\w+)", str(panel["fieldConfig"]["defaults"]))
        grouped = {label for text in spelled_out(expr, chosen) for label in _grouping(text)}
        if lost := sorted(set(followed) - grouped) if grouped else []:
            yield f"{target['refId']} has lost {', '.join(lost)}, by which a click is to lead on"
        yield from (f"{target['refId']} {each}" for each in said)
        for metric in re.findall(r"([\w:]+)\$\{(?:min|max)\}", expr):
            if _KEPT.get(metric) not in (Rollup.MIN_AVG_MAX, Rollup.MINUTE):
                yield f"{target['refId']} asks for extremes of {metric}, which no tier keeps"
        of_steps = not said and uid == TIER and _is_recorded(expr, chosen)
        if of_steps and target.get("interval") not in _STEPS:
            yield f"{target['refId']} has steps shorter than what is recorded"


def _is_recorded(expr: str, chosen: dict[str, list[str]]) -> bool:
    return any(set(RECORDED) & _metrics(each) for each in spelled_out(expr, chosen))


def _is_kept(expr: str, chosen: dict[str, list[str]]) -> bool:
    """Whether tiers have all that it asks for; unknown names are told of elsewhere."""
    texts = spelled_out(expr, chosen)
    names = {metric for text in texts for metric in _metrics(text)}
    return all(_KEPT.get(name, Rollup.NONE) is not Rollup.NONE for name in names if labels_of(name))


def _grouping(expr: str) -> set[str]:
    try:
        return named(expr).grouping
    except ValueError:
        return set()


def _metrics(expr: str) -> set[str]:
    try:
        return named(expr).metrics
    except ValueError:
        return set()


def spelled_out(expr: str, chosen: dict[str, list[str]]) -> list[str]:
    """The expression as it is asked; once for each value of a list that gives a metric's name."""
    texts = [substituted(expr)]
    for name, values in chosen.items():
        pattern = re.compile(rf"(?<!\")\$(?:{name}\b|{{{name}}})(?=[{{\[)])")
        texts = [
            changed
            for text in texts
            for changed in ({pattern.sub(value, text) for value in values} or {text})
        ]
    return texts


def _names(expr: str, chosen: dict[str, list[str]], legend: str = "") -> Iterator[str]:
    for text in spelled_out(expr, chosen):
        try:
            found = named(text)
        except ValueError as error:
            yield str(error)
            continue
        unknown = [metric for metric in sorted(found.metrics) if labels_of(metric) is None]
        if unknown:
            yield f"asks for {', '.join(unknown)}: neither in the catalogue nor recorded"
        else:
            yield from _labels(found, legend)


def _labels(found: Named, legend: str) -> Iterator[str]:
    for metric, matchers in found.selectors:
        if missing := sorted(set(matchers) - (labels_of(metric) or set())):
            yield f"compares {', '.join(missing)} of {metric}, which does not have it"
    if not found.metrics:
        return
    has = {text[1:-1] for text in found.texts}
    has = has.union(*(labels_of(metric) or set() for metric in found.metrics))
    if missing := sorted(found.grouping - has):
        yield f"groups by {', '.join(missing)}, which none of its metrics has"
    if missing := sorted(set(re.findall(r"{{\s*(\w+)\s*}}", legend)) - has):
        yield f"names {', '.join(missing)} in its legend, which none of its metrics has"


def labels_of(metric: str) -> set[str] | None:
    """The labels that a metric may have; ``None`` of one that nobody publishes."""
    if metric in RECORDED:
        return set(RECORDED[metric].labels)
    name = re.sub(":(?:min|max)$", "", metric)
    if name in CATALOGUE:
        return {*CATALOGUE[name].labels, *EVERYWHERE}
    return {*METRICS[name], *EVERYWHERE} if name in METRICS else None
