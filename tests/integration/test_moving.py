"""From single to tiered storage: the minutes and hours of all that single storage has."""

import json
import math
import threading
import time
from pathlib import Path

import pytest
from tests.integration import tiers
from tests.integration.installation import Installation
from tests.integration.stack import ROOT, Labels
from tests.integration.tiers import Rollups, Timeline, held

from gpuglass.keeper.rollups import plan
from gpuglass.keeper.rollups.fill import Filler
from gpuglass.keeper.rollups.ledger import Ledger
from gpuglass.keeper.rollups.replay import Replayer, StoppedError
from gpuglass.keeper.victoriametrics import VictoriaMetrics

HOUR, DAY = 3600, 86400
MIDNIGHT = int(time.time()) // DAY * DAY
# Hours at which there was something, from the oldest that single storage keeps on.
MOMENTS = tuple(MIDNIGHT - days * DAY + 5 * HOUR for days in (380, 28, 9))
LENGTH = 2 * HOUR
TIERS = {"minute": (plan.MINUTE, "1m"), "hour": (plan.HOUR, "1h")}
KEPT_FOR = {"minute": 29 * DAY, "hour": 399 * DAY}
FUNCTIONS = {
    tiers._average: "avg_over_time",
    tiers._least: "min_over_time",
    tiers._most: "max_over_time",
    tiers._sum: "sum_over_time",
    tiers._last: "last_over_time",
}


class StoppingReplayer(Replayer):
    """The real one, which is told to end after some replays."""

    left = math.inf

    def run(self, replay: plan.Replay) -> None:
        if self.left <= 0:
            raise StoppedError
        self.left -= 1
        super().run(replay)


def filler(
    installation: Installation, programs: Path, name: str
) -> tuple[Filler, StoppingReplayer]:
    (tier, key), way = TIERS[name], installation.way
    raw, own = installation.url["raw"], installation.url[key]
    rules, stop = ROOT / f"victoriametrics/rules/rollups/{name}.yml", threading.Event()
    replayer = StoppingReplayer(programs / "vmalert", rules, raw, own, stop, way.login)
    ledger = Ledger(VictoriaMetrics(raw, "-", way=way), VictoriaMetrics(own, "-", way=way))
    return Filler(tier, ledger, replayer, stop, settle=0), replayer


def asked(installation: Installation, name: str) -> Rollups:
    """What a tier must hold, as PromQL computes it from the samples themselves."""
    step = TIERS[name][0].step
    found: Rollups = {}
    for metric, kept in tiers.KEPT.items():
        if name == "hour" and kept is tiers.OF_MINUTES:
            continue
        for suffix, function in kept.items():
            promql = f"{FUNCTIONS[function]}({metric}[{step}s]) keep_metric_names"
            for moment in MOMENTS:
                if moment < time.time() - KEPT_FOR[name]:
                    continue
                for labels, points in query(installation, promql, moment, step):
                    key = tuple((k, v + suffix if k == "__name__" else v) for k, v in labels)
                    found.setdefault(key, {}).update(points)
    return found


def query(
    installation: Installation, promql: str, moment: int, step: int
) -> list[tuple[Labels, dict[int, float]]]:
    arguments = {"query": promql, "start": str(moment + step), "end": str(moment + LENGTH + step)}
    arguments |= {"step": f"{step}s", "nocache": "1"}
    answer = json.loads(installation.get("raw", "/api/v1/query_range", **arguments))
    return [
        (tuple(sorted(s["metric"].items())), {int(t): float(v) for t, v in s["values"]})
        for s in answer["data"]["result"]
    ]


def same(one: Rollups, other: Rollups) -> bool:
    return one.keys() == other.keys() and all(
        one[labels].keys() == other[labels].keys()
        and all(math.isclose(v, other[labels][t], rel_tol=1e-9) for t, v in one[labels].items())
        for labels in one
    )


def flushed(installation: Installation, key: str) -> Rollups:
    installation.flush(key)
    series = installation.export(key, '{__name__!=""}')
    return held({labels: [(int(t * 1000), v) for t, v in ps] for labels, ps in series.items()})


def test_a_year_of_single_storage_becomes_minutes_and_hours(
    tmp_path: Path, components: Path
) -> None:
    single = Installation(tmp_path / "it", components, tiered=False)
    single.start()
    timeline = Timeline(["n1"])
    for moment in MOMENTS:
        for node in timeline.nodes:
            single.write("raw", list(timeline.scrapes(node, moment, moment + LENGTH)))
        single.write("raw", list(timeline.own(moment, moment + LENGTH)))
    code, told = single.gpuglass("rollups", "check")
    assert (code, "this storage has no tiers" in told) == (2, True)
    single.stop()

    tiered = Installation(tmp_path / "it", components, tiered=True)
    tiered.start()
    try:
        rules = {"GPUGLASS_ROLLUP_RULES_DIR": str(ROOT / "victoriametrics/rules/rollups")}
        code, told = tiered.gpuglass("rollups", "check", **rules)
        assert code == 1
        assert "minutes are missing of 2 days from" in told
        for name in TIERS:
            first, replayer = filler(tiered, components, name)
            replayer.left = 2
            with pytest.raises(StoppedError):
                list(first.fill())
            second, _ = filler(tiered, components, name)
            assert not [trouble for _, _, troubles in second.fill() for trouble in troubles]
        for name, (_, key) in TIERS.items():
            last, _ = filler(tiered, components, name)
            assert last.await_complete() == []
            expected = asked(tiered, name)
            assert len(expected) > 30
            assert same(flushed(tiered, key), expected)
        assert tiered.gpuglass("rollups", "check", **rules) == (
            0,
            "Minutes and hours are there of all samples that are older than a day.\n",
        )
        code, told = tiered.gpuglass("rollups", "fill", **rules)
        assert code == 0, told
    finally:
        tiered.stop()
