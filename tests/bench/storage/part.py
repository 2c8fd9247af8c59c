"""What a node's history takes on disk, and what questions to it cost."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.bench.storage import disk, fleet, node, report
from tests.bench.storage.disk import Disk
from tests.bench.storage.fleet import Answers, Tier
from tests.bench.storage.programs import Programs


@dataclass(frozen=True)
class Plan:
    """How much to measure.

    Attributes:
        minutes: Of the recording.
        rounds: How often each question is asked.
        second: How many scrapes at 1 s are carried on for.
        days: How long scrapes at 5 s are carried on for.
        month: How many days the tier of one hour is filled for.
        nodes: Of the fleet.
        tiers: What the fleet has samples of.
    """

    minutes: float = 5.0
    rounds: int = 3
    second: int = disk.BLOCK
    days: float = 1.0
    month: int = 30
    nodes: int = 125
    tiers: tuple[Tier, ...] = fleet.TIERS


_SHORT = tuple(tier._replace(days=max(1, tier.days // 100)) for tier in fleet.TIERS)
QUICK = Plan(0.5, 1, 300, 1 / 24, 2, 2, _SHORT)


class Results(NamedTuple):
    """All that was measured."""

    disk: Disk
    answers: list[Answers]


def run(plan: Plan) -> Results:
    """Measure."""
    with tempfile.TemporaryDirectory() as name:
        programs = Programs(Path(name))
        answers = fleet.measure(programs, plan.rounds, plan.nodes, plan.tiers)
        recorded = node.record(programs, plan.minutes)
        return Results(
            disk.measure(programs, recorded, plan.second, plan.days, plan.month), answers
        )


def render(results: Results, plan: Plan, command: str) -> str:
    """The report."""
    return report.render(results.disk, results.answers, plan.rounds, command)
