"""The dashboards as Grafana reads them: their panels, what these ask, and their variables."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.conftest import ROOT

FOLDER = ROOT / "grafana/dashboards"
# Panels that show what Grafana itself knows, or a text.
_WITHOUT_QUERIES = {"row", "text", "dashlist", "alertlist", "news"}


class Query(NamedTuple):
    """A query of a panel, or of an annotation.

    Attributes:
        ref: Its letter.
        text: PromQL with variables.
        source: The uid of its data source, with variables.
        instant: Whether it asks for the end of the range alone.
        least: The least step that it has itself, in Grafana's words; empty if none.
    """

    ref: str
    text: str
    source: str
    instant: bool
    least: str = ""


class Panel(NamedTuple):
    """A panel.

    Attributes:
        board: The uid of its dashboard.
        title: Its title; unique on its dashboard.
        queries: What it asks.
        repeat: The variable for whose values it is repeated; empty if none.
        points: The most points of a line.
        back: The length of its own time range in Grafana's words, such as ``30d``.
        empty: What it says where there is nothing to show.
        json: All of it.
    """

    board: str
    title: str
    queries: tuple[Query, ...]
    repeat: str
    points: int
    back: str
    empty: str
    json: dict[str, Any]

    @property
    def name(self) -> str:
        """Of all panels of all dashboards."""
        return f"{self.board}: {self.title}"


class Board:
    """A dashboard.

    Args:
        json: Its model.
    """

    def __init__(self, json: dict[str, Any]) -> None:
        self.json = json
        self.uid = str(json["uid"])
        self.variables: list[dict[str, Any]] = json["templating"]["list"]

    @property
    def multi(self) -> list[str]:
        """The variables that may have several values or all."""
        return [v["name"] for v in self.variables if v.get("multi") or v.get("includeAll")]

    @property
    def alone(self) -> list[str]:
        """Those that have one value."""
        return [v["name"] for v in self.variables if v["name"] not in self.multi]

    @property
    def panels(self) -> list[Panel]:
        """All that ask something, those of closed rows too."""
        return list(self._panels(self.json["panels"], ""))

    def _panels(self, panels: list[dict[str, Any]], repeat: str) -> Iterator[Panel]:
        row = repeat
        for panel in panels:
            if panel["type"] == "row":
                row = panel.get("repeat") or repeat
                yield from self._panels(panel.get("panels", []), row)
            elif panel["type"] not in _WITHOUT_QUERIES:
                yield self._panel(panel, panel.get("repeat") or row)

    def _panel(self, panel: dict[str, Any], repeat: str) -> Panel:
        source = (panel.get("datasource") or {}).get("uid", "")
        queries = tuple(_query(target, source) for target in panel.get("targets", []))
        defaults = panel.get("fieldConfig", {}).get("defaults", {})
        return Panel(
            self.uid,
            panel["title"],
            # What another panel shows is asked there.
            tuple(query for query in queries if query.source != "-- Dashboard --"),
            repeat,
            panel.get("maxDataPoints") or 1000,
            panel.get("timeFrom") or "",
            str(defaults.get("noValue", "")),
            panel,
        )

    @property
    def annotations(self) -> list[tuple[str, Query]]:
        """By name what annotations ask, but for Grafana's own."""
        return [
            (entry["name"], _query({**entry, **(entry.get("target") or {})}, ""))
            for entry in self.json["annotations"]["list"]
            if not entry.get("builtIn")
        ]


def _query(target: dict[str, Any], source: str) -> Query:
    own = (target.get("datasource") or {}).get("uid", "")
    return Query(
        str(target.get("refId", "")),
        str(target["expr"]),
        own or source,
        bool(target.get("instant")),
        str(target.get("interval") or target.get("step") or ""),
    )


def shipped() -> list[Board]:
    """All dashboards that are shipped."""
    return [Board(json.loads(path.read_text())) for path in sorted(FOLDER.glob("*.json"))]
