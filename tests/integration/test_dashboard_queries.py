"""Every query of every dashboard is answered, in both storage profiles and in each tier."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
from grafana.builder.links import WITHIN
from tests.dashboards.boards import Board, Panel, shipped
from tests.dashboards.cards import CARDS, card
from tests.dashboards.exceptions import EMPTY, EMPTY_IN, LACKING, MAYBE_EMPTY, UNPREDICTED
from tests.dashboards.expected import Expected
from tests.dashboards.grafana import ALL, ONE, SEVERAL, Chosen, QueryError, Series
from tests.dashboards.interpolation import Range, Raw
from tests.dashboards.predictions import PREDICTED
from tests.dashboards.samples import SAMPLES
from tests.dashboards.scenario import GPUS, MIXED, TRAIN
from tests.dashboards.stage import Stage, staged

HOUR, DAY = 3600, 86400
BOARDS = {board.uid: board for board in shipped()}
# Where only one can be chosen: first one of those that tell most, then what others have.
PICKED = [
    {"node": node, "gpu": gpu}
    for node, gpu in (
        (TRAIN, "4"),
        (TRAIN, "1"),
        (TRAIN, "5"),
        (MIXED, "0"),
        (MIXED, "2"),
        (MIXED, "3"),
    )
]
OLD = {"node": MIXED, "gpu": "1"}


class View(NamedTuple):
    """How somebody looks at a dashboard.

    Attributes:
        profile: Of the storage.
        seconds: The time range.
        how: How many values variables have.
        resolution: What was chosen.
        tier: Where that leads.
    """

    profile: str
    seconds: int
    how: str = ALL
    resolution: str = "auto"
    tier: str = "vm-raw"


VIEWS = {
    "single, an hour": View("single", HOUR),
    "single, an hour, one of all": View("single", HOUR, ONE),
    "single, an hour, several": View("single", HOUR, SEVERAL),
    "single, a month": View("single", 40 * DAY),
    "tiered, an hour": View("tiered", HOUR),
    "tiered, two days": View("tiered", 2 * DAY, tier="vm-1m"),
    "tiered, two days, several": View("tiered", 2 * DAY, SEVERAL, tier="vm-1m"),
    "tiered, 40 days": View("tiered", 40 * DAY, tier="vm-1h"),
    "tiered, 40 days, one of all": View("tiered", 40 * DAY, ONE, tier="vm-1h"),
    "tiered, six days by hours": View("tiered", 6 * DAY, resolution="1h", tier="vm-1h"),
    "tiered, minutes by hand": View("tiered", 6 * HOUR, resolution="1m", tier="vm-1m"),
}
# In each of these a panel has values.
WHOLE = ("single, an hour", "tiered, an hour", "tiered, two days", "tiered, 40 days")
LONG = ("tiered, six days by hours", "tiered, 40 days")
LOOKS = [(uid, view) for uid in BOARDS for view in (LONG if uid == "gpu-history" else WHOLE)]


class Answers(NamedTuple):
    """What the queries of a dashboard's panels gave, by the panel and the query's letter."""

    chosen: Chosen
    panels: dict[str, dict[str, list[Series]]]
    errors: list[str]


class Viewer:
    """Looks at dashboards, each once in each way."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self._seen: dict[tuple[str, View, str], Answers] = {}
        self._pool = ThreadPoolExecutor(4)

    def look(self, board: Board, view: View, card: dict[str, str] = PICKED[0]) -> Answers:
        """What is seen."""
        key = (board.uid, view, str(card))
        if key not in self._seen:
            self._seen[key] = self._look(board, view, card)
        return self._seen[key]

    def _look(self, board: Board, view: View, card: dict[str, str]) -> Answers:
        grafana = self.stage.profiles[view.profile]
        range = Range(self.stage.end - view.seconds, self.stage.end)
        fixed = {name: value for name, value in card.items() if name in board.alone}
        fixed["resolution"] = view.resolution
        chosen = grafana.variables(board, range, view.how, fixed)
        panels: dict[str, dict[str, list[Series]]] = {}
        errors: list[str] = []

        def ask(asked: tuple[Panel, int]) -> None:
            panel, number = asked
            query = panel.queries[number]
            try:
                found = grafana.ask(board, panel, query, chosen, range)
            except QueryError as error:
                errors.append(f"{panel.name} {query.ref}: {error}")
            else:
                panels.setdefault(panel.title, {})[query.ref] = found

        list(self._pool.map(ask, ((p, n) for p in board.panels for n in _numbers(p))))
        for name, query in board.annotations:
            try:
                grafana.annotate(board, query, chosen, range)
            except QueryError as error:
                errors.append(f"{board.uid}: annotation {name}: {error}")
        return Answers(chosen, panels, errors)


def _numbers(panel: Panel) -> "range":
    return range(len(panel.queries))


@pytest.fixture(scope="module")
def viewer(
    tmp_path_factory: pytest.TempPathFactory, components: Path, simulator: Path
) -> Iterator[Viewer]:
    with staged(tmp_path_factory.mktemp("dashboards"), components, simulator) as stage:
        yield Viewer(stage)


@pytest.mark.parametrize("uid", BOARDS)
@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_every_query_is_answered(viewer: Viewer, view: View, uid: str) -> None:
    board = BOARDS[uid]
    found = viewer.look(board, view)
    assert found.errors == []
    if "tier" in found.chosen:
        assert found.chosen["tier"] == view.tier
    if view.how != ALL:
        # Nothing of what was not chosen.
        nodes = found.chosen.get("node", ())
        assert not isinstance(nodes, Raw)
        for title, answers in found.panels.items():
            for series in (one for answer in answers.values() for one in answer):
                if nodes and "node" in series.labels:
                    assert series.labels["node"] in nodes, title


@pytest.mark.parametrize(("uid", "view"), LOOKS)
def test_every_panel_shows_something(viewer: Viewer, uid: str, view: str) -> None:
    board = BOARDS[uid]
    cards = PICKED if "node" in board.alone else PICKED[:1]
    looks = [viewer.look(board, VIEWS[view], card) for card in cards]
    assert [error for look in looks for error in look.errors] == []
    empty = {
        panel.name
        for panel in board.panels
        if not any(any(look.panels[panel.title].values()) for look in looks)
    }
    must = {panel for panel in (EMPTY | EMPTY_IN.get(view, {})) if of(panel, board)}
    assert empty - set(MAYBE_EMPTY) == must


def of(panel: str, board: Board) -> bool:
    return panel.startswith(f"{board.uid}: ")


def test_a_panel_that_is_empty_says_why() -> None:
    panels = [panel for board in BOARDS.values() for panel in board.panels]
    assert [panel.name for panel in panels if not panel.empty] == []
    excepted = {*EMPTY, *MAYBE_EMPTY, *LACKING, *UNPREDICTED}
    excepted |= {name for view in EMPTY_IN.values() for name in view}
    assert excepted <= {panel.name for panel in panels}


def test_a_card_that_lacks_facts_leaves_panels_empty(viewer: Viewer) -> None:
    board = BOARDS["gpu-card"]
    assert GPUS[MIXED][1].preset.name == "NVIDIA GeForce GTX 1080"
    for name in ("single, an hour", "tiered, 40 days"):
        found = viewer.look(board, VIEWS[name], OLD)
        assert found.errors == []
        empty = {p.name for p in board.panels if not any(found.panels[p.title].values())}
        assert empty - set(MAYBE_EMPTY) == set(LACKING)


@pytest.mark.parametrize("uid", BOARDS)
@pytest.mark.parametrize("view", ["single, an hour", "tiered, 40 days"])
def test_rows_tell_the_cluster_that_a_click_leads_to(viewer: Viewer, uid: str, view: str) -> None:
    """All clusters, where a row has none."""
    board = BOARDS[uid]
    found = viewer.look(board, VIEWS[view])
    tables = [panel for panel in board.panels if f'"{WITHIN}"' in panel.queries[0].text]
    rows = [
        series.labels
        for panel in tables
        for answer in found.panels[panel.title].values()
        for series in answer
    ]
    assert all(row[WITHIN] == row.get("cluster", ".*") for row in rows)


def differing(found: Answers, view: View, predicted: Mapping[str, Expected]) -> dict[str, object]:
    """By the panel's title what it shows, where that is not what it must show."""
    wrong: dict[str, object] = {}
    for title, expected in predicted.items():
        if expected.span not in (0, view.seconds):
            continue
        series = found.panels[title][expected.query]
        newest = {
            tuple(one.labels.get(name, "") for name in expected.by): one.last for one in series
        }
        for key, value in expected.values.items():
            if newest.get(key) != pytest.approx(value, rel=expected.within, abs=1e-9):
                wrong[f"{title} {key}: {value}"] = newest
    return wrong


@pytest.mark.parametrize("view", WHOLE)
@pytest.mark.parametrize("which", CARDS)
def test_a_card_shows_what_the_model_says(
    viewer: Viewer, which: tuple[str, int], view: str
) -> None:
    chosen = {"node": which[0], "gpu": str(which[1])}
    found = viewer.look(BOARDS["gpu-card"], VIEWS[view], chosen)
    assert differing(found, VIEWS[view], card(which)) == {}


@pytest.mark.parametrize(("uid", "view"), [look for look in LOOKS if look[0] in PREDICTED])
def test_panels_show_what_the_model_says(viewer: Viewer, uid: str, view: str) -> None:
    found = viewer.look(BOARDS[uid], VIEWS[view])
    assert differing(found, VIEWS[view], PREDICTED[uid]) == {}


def test_every_panel_is_predicted_or_it_is_said_why_not() -> None:
    cards = {f"gpu-card: {title}" for which in CARDS for title in card(which)}
    others = {f"{uid}: {title}" for uid, predicted in PREDICTED.items() for title in predicted}
    panels = {panel.name for board in BOARDS.values() for panel in board.panels}
    assert cards | others | set(UNPREDICTED) | set(SAMPLES) == panels
    assert not set(UNPREDICTED) & (cards | others | set(SAMPLES))


@pytest.mark.parametrize("view", WHOLE)
@pytest.mark.parametrize("panel", SAMPLES)
def test_what_the_machine_says_is_what_was_stored(viewer: Viewer, panel: str, view: str) -> None:
    uid, _, title = panel.partition(": ")
    query, selector, value = SAMPLES[panel]
    shown = viewer.look(BOARDS[uid], VIEWS[view]).panels[title][query]
    stored = viewer.stage.raw[VIEWS[view].profile].series(selector)
    assert [one.last for one in shown] == [pytest.approx(value(stored), rel=1e-6)]
