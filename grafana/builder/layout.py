"""Where panels lie, and the whole JSON of a dashboard."""

import json
from collections.abc import Iterator

from grafana.builder.model import SCHEMA_VERSION, Dashboard, Json, Panel, Row, Variable
from grafana.builder.variables import hidden

COLUMNS = 24
_TAG = "gpuglass"
# In the order of the links above each dashboard.
BOARDS = (
    ("gpu-fleet", "Fleet"),
    ("gpu-node", "Node"),
    ("gpu-card", "GPU"),
    ("gpu-processes", "Processes"),
    ("gpu-jobs", "Jobs and waste"),
    ("gpu-health", "Health"),
    ("gpu-history", "History"),
    ("gpu-stack", "Pipeline"),
)


def page(dashboard: Dashboard) -> str:
    """The text of a dashboard's file."""
    return json.dumps(built(dashboard), indent=2, ensure_ascii=False) + "\n"


def built(dashboard: Dashboard) -> Json:
    """A dashboard as Grafana has it."""
    made: Json = {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": [_TAG],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,  # one crosshair for all graphs
        "timezone": "browser",
        "time": {"from": dashboard.span, "to": "now"},
        "timepicker": {"refresh_intervals": ["5s", "10s", "30s", "1m", "5m", "15m", "1h"]},
        "refresh": dashboard.refresh,
        "links": [_link(uid, title) for uid, title in BOARDS if uid != dashboard.uid],
        "annotations": {"list": [each.json for each in dashboard.annotations]},
        "panels": list(_placed(dashboard.rows)),
    }
    made["templating"] = {"list": _variables(dashboard, json.dumps(made))}
    return _exact(made, dashboard)


def _exact(made: Json, dashboard: Dashboard) -> Json:
    """Compare a variable that has one value as it is.

    Grafana escapes values for a regular expression only where there may be several.
    """
    text = json.dumps(made)
    for variable in dashboard.variables:
        if not variable.multi:
            equal = rf"{variable.name}=\"${variable.name}\""
            text = text.replace(equal.replace("=", "=~", 1), equal)
    exact: Json = json.loads(text)
    return exact


def _link(uid: str, title: str) -> Json:
    """A link to another dashboard that keeps the time range and what was chosen."""
    return {
        "type": "link",
        "title": title,
        "tooltip": "",
        "url": f"/d/{uid}",
        "icon": "dashboard",
        "tags": [],
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
    }


def _variables(dashboard: Dashboard, text: str) -> list[Json]:
    """Those that the user sees, after the hidden ones that they and the panels use."""
    text += json.dumps([variable.json for variable in dashboard.variables])
    used: list[Variable] = []
    for variable in reversed(hidden(dashboard.looks_back)):
        if f"${{{variable.name}}}" in text:
            used.insert(0, variable)
            text += json.dumps(variable.json)
    # The tier goes by the resolution, and what else is seen by the tier.
    first = [variable for variable in dashboard.variables if variable.name == "resolution"]
    rest = [variable for variable in dashboard.variables if variable.name != "resolution"]
    return [variable.json for variable in (*first, *used, *rest)]


def _placed(rows: tuple[Row, ...]) -> Iterator[Json]:
    y = 0
    for each in rows:
        if each.title:
            panels, below = _flow(each.panels, y + 1)
            yield _heading(each, y, panels)
            if not each.collapsed:
                yield from panels
        else:
            panels, below = _flow(each.panels, y)
            yield from panels
        y = y + 1 if each.collapsed else below


def _heading(each: Row, y: int, panels: list[Json]) -> Json:
    made: Json = {
        "id": each.id,
        "type": "row",
        "title": each.title,
        "collapsed": each.collapsed,
        "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1},
        "panels": panels if each.collapsed else [],
    }
    return made | ({"repeat": each.repeat} if each.repeat else {})


def _flow(panels: tuple[Panel, ...], y: int) -> tuple[list[Json], int]:
    """The panels from left to right, in lines; and the height at which the last line ends."""
    made: list[Json] = []
    x = height = 0
    for panel in panels:
        if x + panel.width > COLUMNS:
            x, y, height = 0, y + height, 0
        made.append(panel.json(x, y))
        x, height = x + panel.width, max(height, panel.height)
    return made, y + height
