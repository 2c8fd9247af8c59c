"""The dashboards are what grafana/builder/ builds, and their own check finds nothing."""

import copy
import json
import re
from typing import Any

import pytest
from grafana.builder import __main__ as builder
from grafana.builder.checks import choices, complaints, panels_of, spelled_out
from grafana.builder.layout import BOARDS, built
from grafana.builder.metricsql import named
from tests.conftest import ROOT
from tests.rules.test_names import CHECKED_OTHERWISE, ELSEWHERE, PAGE

Board = dict[str, Any]


@pytest.fixture
def fleet() -> Board:
    board: Board = json.loads((ROOT / "grafana/dashboards/gpu-fleet.json").read_text())
    return copy.deepcopy(board)


@pytest.mark.parametrize("make", builder.DASHBOARDS, ids=lambda make: make.__module__)
def test_own_check_finds_nothing(make: Any) -> None:
    board = built(make())
    assert complaints(board) == []
    assert board["uid"] in dict(BOARDS)


def test_links_choose_what_the_other_dashboard_lets_choose() -> None:
    boards = {make().uid: built(make()) for make in builder.DASHBOARDS}
    assert set(boards) == set(dict(BOARDS))
    followed = 0
    for board in boards.values():
        for uid, chosen in re.findall(r"/d/([\w-]+)\?([^'\"]*)", str(board)):
            known = {variable["name"] for variable in boards[uid]["templating"]["list"]}
            assert set(re.findall(r"var-(\w+)=", chosen)) <= known, (board["uid"], uid)
            followed += 1
    assert followed > 50


@pytest.mark.parametrize("make", builder.DASHBOARDS, ids=lambda make: make.__module__)
def test_links_stay_within_the_cluster_of_the_row(make: Any) -> None:
    """Grafana leaves a placeholder as it is where a row lacks the label."""
    board = built(make())
    urls = [(panel, url) for panel in panels_of(board) for url in _links(panel)]
    assert urls
    for panel, url in urls:
        assert url.count("cluster") == 1, url
        told = ['"cluster", "within")' in target["expr"] for target in panel["targets"]]
        grouped = [re.search(r"\bby \([^)]*\bcluster\b", t["expr"]) for t in panel["targets"]]
        if 'fields["within"]' in url:
            assert all(told), panel["title"]
        else:
            assert "${cluster:queryparam}" in url
            assert panel["type"] != "table" or not any(grouped), panel["title"]
        bare = re.findall(r"\$\{__(?:data|field)[^:}]*\}|=\$\w+", url)
        assert not bare, f"{panel['title']}: not encoded: {bare}"


def _links(panel: Board) -> list[str]:
    config = panel.get("fieldConfig", {"defaults": {}, "overrides": []})
    properties = [each for one in config["overrides"] for each in one["properties"]]
    found = [each["value"] for each in properties if each["id"] == "links"]
    return [
        link["url"] for links in (config["defaults"].get("links", []), *found) for link in links
    ]


def test_maps_are_in_order_of_numbers(fleet: Board) -> None:
    """Grafana takes lines and columns in the order in which they come."""
    maps = [
        panel
        for panel in panels_of(fleet)
        if any(each["id"] == "groupingToMatrix" for each in panel.get("transformations", []))
    ]
    assert len(maps) == 1
    expr = maps[0]["targets"][0]["expr"]
    assert re.fullmatch(r'sort_by_label_numeric\(.*, "gpu", "node"\)', expr)


@pytest.mark.parametrize("make", builder.DASHBOARDS, ids=lambda make: make.__module__)
def test_label_values_are_published(make: Any) -> None:
    board = built(make())
    asked = [target["expr"] for panel in panels_of(board) for target in panel.get("targets", [])]
    texts = [text for expr in asked for text in spelled_out(expr, choices(board))]
    for metric, matchers in (selector for text in texts for selector in named(text).selectors):
        for label, pattern in matchers.items():
            if "$" in pattern or (metric, label) in CHECKED_OTHERWISE:
                continue
            shown = set(re.findall(rf'^{metric}{{.*?\b{label}="([^"]*)"', PAGE, re.MULTILINE))
            shown |= ELSEWHERE.get((metric, label), set())
            # What the cards of the page do not tell is not on it.
            for value in pattern.split("|") if shown else ():
                assert value in {*shown, ""}, f'{metric}{{{label}="{value}"}}'


def graph(board: Board) -> Board:
    """One with curves of what is recorded."""
    return next(p for p in panels_of(board) if p["title"] == "Busy by cluster")


def change(what: str, board: Board) -> None:
    panel = graph(board)
    target = panel["targets"][0]
    if what == "same id":
        panel["id"] = panels_of(board)[0]["id"]
    elif what == "overlap":
        panel["gridPos"] |= panels_of(board)[0]["gridPos"]
    elif what == "too wide":
        panel["gridPos"]["w"] = 25
    elif what == "angular":
        panel["type"] = "graph"
    elif what == "no description":
        panel["description"] = ""
    elif what == "no unit":
        panel["fieldConfig"]["defaults"]["unit"] = ""
    elif what == "red No data":
        panel["fieldConfig"]["defaults"]["noValue"] = ""
    elif what == "fixed range":
        target["expr"] = 'rate(gpu_busy_seconds_total{node=~"$node"}[5m])'
    elif what == "unknown metric":
        target["expr"] = "gpu_utilisation"
    elif what == "unknown label":
        target["expr"] = 'gpu_power_watts{host=~"$node"}'
    elif what == "recorded without nodes":
        target["expr"] = 'user:busy_ratio:avg5m{node=~"$node"}'
    elif what == "unknown grouping":
        target["expr"] = "sum by (rack) (gpu_power_watts)"
    elif what == "unknown legend":
        target["legendFormat"] = "{{host}}"
    elif what == "undefined variable":
        target["expr"] = 'gpu_power_watts{node=~"$machine"}'
    elif what == "other source":
        target["datasource"]["uid"] = "vm-1m"
    elif what == "extreme of now":
        panel["datasource"]["uid"] = target["datasource"]["uid"] = "vm-raw"
        target["expr"] = "gpu_power_watts${max}"
    elif what == "recorded in short steps":
        del target["interval"]
    elif what == "different moments":
        table = next(p for p in panels_of(board) if p["type"] == "table" and len(p["targets"]) > 1)
        table["targets"][0]["interval"] = "1m"
    elif what == "range of now":
        panel["datasource"]["uid"] = target["datasource"]["uid"] = "vm-raw"
    elif what == "sum of now":
        panel["datasource"]["uid"] = target["datasource"]["uid"] = "vm-raw"
        target["expr"] = "sum_over_time(node:energy_joules:increase[$__range])"
    elif what == "extremes of a counter":
        target["expr"] = "max_over_time(gpu_energy_joules_total${max}[$__interval])"
    elif what == "hidden":
        target["expr"] = "max(gpu_row_remap_pending{gpu='0'} or gpu_bank_remap_pending{gpu='0'})"
    elif what == "not kept":
        target["expr"] = "avg_over_time(vm_free_disk_space_bytes[$__interval])"
    elif what == "click to nowhere":
        link = {"title": "", "url": "/d/gpu-node?var-node=${__field.labels.node}"}
        panel["fieldConfig"]["defaults"]["links"] = [link]
        target["expr"] = "sum by (gpu) (gpu_power_watts)"
    elif what == "repeated without end":
        panel["repeat"] = "node"
    elif what == "unused variable":
        board["templating"]["list"].append({"name": "rack", "type": "custom", "options": []})
    elif what == "dead link":
        panel["fieldConfig"]["defaults"]["links"] = [{"title": "", "url": "/d/gpu-rack?a=b"}]
    elif what == "too often":
        board["refresh"] = "1s"
    elif what == "unreadable":
        target["expr"] = "gpu_power_watts ?"


WRONG = {
    "same id": "panels have the id",
    "overlap": "overlaps",
    "too wide": "beyond 24",
    "angular": "type graph",
    "no description": "no description",
    "no unit": "no unit",
    "red No data": "nothing to show",
    "fixed range": "fixed range",
    "unknown metric": "asks for gpu_utilisation",
    "unknown label": "compares host of gpu_power_watts",
    "recorded without nodes": "compares node of user:busy_ratio:avg5m",
    "unknown grouping": "groups by rack",
    "unknown legend": "names host in its legend",
    "undefined variable": "machine is not defined",
    "other source": "neither vm-raw nor",
    "extreme of now": "what only tiers have",
    "recorded in short steps": "steps shorter",
    "different moments": "different steps",
    "range of now": "draws the time range from vm-raw",
    "sum of now": "for the whole range",
    "extremes of a counter": "extremes of gpu_energy_joules_total",
    "hidden": "hides one metric",
    "not kept": "what no tier keeps",
    "click to nowhere": "has lost node",
    "repeated without end": "repeated for each node",
    "unused variable": "rack is not used",
    "dead link": "links to gpu-rack",
    "too often": "refresh is 1s",
    "unreadable": "is not understood",
}


@pytest.mark.parametrize("what", WRONG)
def test_own_check_finds_what_is_wrong(what: str, fleet: Board) -> None:
    assert complaints(fleet) == []
    change(what, fleet)
    assert any(WRONG[what] in said for said in complaints(fleet)), complaints(fleet)
