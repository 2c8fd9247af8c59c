"""Storages with what dashboards ask of many GPUs: a node that was recorded, many times over."""

import json
import random
import re
import threading
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tests.bench.storage.longer import Line, dated, exported, longer
from tests.bench.storage.node import NODE, Labels, Recording
from tests.bench.storage.programs import HOUR, Programs, Storage
from tests.dashboards.boards import shipped
from tests.rules.conftest import RULES
from tests.rules.replay import replay_all

from gpuglass.catalogue.keeper import DUTY_LAST_CHECK
from gpuglass.keeper.rollups import plan
from gpuglass.keeper.rollups.plan import RULES as OF_RULES
from gpuglass.keeper.rollups.plan import SCRAPE, Replay
from gpuglass.keeper.rollups.replay import Replayer

_CLUSTERS = 4
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_:]*")
_RESULTS = '{__name__=~"ALERTS|.+:.+:.+"}'
# Chosen by the keeper's user; what things cost is asked of these.
_CHOSEN = {
    "gpuglass_cost_kwh_price": "0.3",
    "gpuglass_cost_gpu_hour_price": "2.5",
    "gpuglass_cost_pue": "1.25",
    "gpuglass_cost_kwh_carbon_grams": "380",
}


class Series(NamedTuple):
    """Series with a value at each of the same times.

    Attributes:
        lines: Their values; they may be made as they are taken.
        step: Seconds between two.
    """

    lines: Iterable[Line]
    step: int


def asked(tiers_alone: bool = False) -> set[str]:
    """Every word of the dashboards' queries, names of metrics among them.

    Args:
        tiers_alone: Leave out what is asked of the newest samples alone.
    """
    words: set[str] = set()
    for board in shipped():
        for query in (query for panel in board.panels for query in panel.queries):
            if not tiers_alone or query.source == "${tier}":
                words |= set(_NAME.findall(query.text))
        if not tiers_alone:
            words |= set(_NAME.findall(json.dumps(board.variables)))
    return words


def raw(recording: Recording, seconds: int, step: int, words: set[str]) -> Series:
    """What a node goes on to say for some time, and what the keeper says of prices.

    Args:
        recording: Of the node.
        seconds: How long.
        step: Seconds between two scrapes.
        words: The metrics, among others.
    """
    series = {
        labels: texts
        for labels, texts in recording.series.items()
        if dict(labels)["__name__"] in words
    }
    for name, value in _CHOSEN.items():
        currency = (("currency", "EUR"),) if "price" in name else ()
        labels: Labels = (("__name__", name), *currency)
        series[labels] = [value] * recording.scrapes
    return Series(longer(recording._replace(series=series), seconds // step, step), step)


def tiers(end: int) -> Series:
    """What the keeper says where there are tiers, so that dashboards know."""
    duty = (("__name__", DUTY_LAST_CHECK.name), ("duty", f"rollup {plan.HOUR.name}"))
    return Series([Line(duty, str(end))], 1)


def recorded(programs: Programs, series: Series, end: int) -> tuple[Series, Series]:
    """What rules make of a node's samples: in the last hour, and what its tier keeps of that hour.

    Args:
        programs: The real ones.
        series: What the node said.
        end: The time of their last values, the end of an hour.
    """
    vmalert = programs.bin / "vmalert"
    with programs.storage("node") as storage, programs.storage("node-1h", HOUR) as tier:
        _take(storage, series.lines, series.step, end)
        storage.settle()
        replay_all(vmalert, storage.url, (end - 3600, end), storage.flush, programs.folder)
        results = [*exported(storage.export(selector=_RESULTS).decode())]
        rules = RULES / "rollups/hour.yml"
        replayer = Replayer(vmalert, rules, storage.url, tier.url, threading.Event())
        for kind, nodes in ((SCRAPE, (NODE,)), (OF_RULES, ("",))):
            replayer.run(Replay(kind, nodes, end, end))
        tier.flush()
        kept = [*exported(tier.export().decode())]
        return Series(results, 60), Series(kept, 3600)


def _take(storage: Storage, lines: Iterable[Line], step: int, end: int) -> None:
    """Put in series that end at a time."""
    storage.take(
        text for line in lines for text in dated([line], step, end - (len(line) - 1) * step)
    )


def carried(series: Series, count: int) -> Series:
    """Values for some time: between what was least and most, and of counters what they grow by."""
    choose = random.Random(4)
    lines = list(series.lines)
    last = {line.labels: float(line.values.rpartition(",")[2]) for line in lines}

    def extreme(line: Line, suffix: str) -> float:
        labels = dict(line.labels)
        labels["__name__"] += suffix
        return last.get(tuple(sorted(labels.items())), last[line.labels])

    def values(line: Line) -> Iterator[str]:
        value = last[line.labels]
        if dict(line.labels)["__name__"].endswith("_total"):
            grows = choose.uniform(1, 4000)
            return (f"{value + number * grows:.3f}" for number in range(count))
        least, most = extreme(line, ":min"), extreme(line, ":max")
        if least == most:
            return iter([repr(value)] * count)
        return (f"{choose.uniform(least, most):.12g}" for _ in range(count))

    return Series((Line(line.labels, ",".join(values(line))) for line in lines), series.step)


def pour(programs: Programs, storage: Storage, series: Series, end: int, nodes: int) -> None:
    """Put a node's series into a storage, as those of many nodes in some clusters.

    Args:
        programs: The real ones.
        storage: Where they go; what no dashboard asks for is left out.
        series: They end at the same time.
        end: That time.
        nodes: How many.
    """
    words = asked()
    with programs.storage("of-nodes") as own, programs.storage("of-clusters") as shared:
        for line in series.lines:
            labels = dict(line.labels)
            if re.sub(":(min|max)$", "", labels["__name__"]) in words:
                _take(own if "node" in labels else shared, [line], series.step, end)
        places = [_place(number) for number in range(nodes)]
        clusters = [{"cluster": name} for name in sorted({place["cluster"] for place in places})]
        for part, wanted in ((own, places), (shared, clusters)):
            part.settle()
            native = part.export("/native")
            for labels in wanted if native else ():
                extra = [("extra_label", f"{name}={value}") for name, value in labels.items()]
                storage.get("/api/v1/import/native", extra, native)


def _place(number: int) -> dict[str, str]:
    return {
        "cluster": f"c{number % _CLUSTERS}",
        "node": f"node-{number:03}",
        "instance": f"10.0.{number // 256}.{number % 256}:9400",
    }
