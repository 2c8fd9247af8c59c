"""How long the parts take, and what each of them is asked."""

from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Pace(NamedTuple):
    """How much is measured.

    Attributes:
        calls: How often a call is repeated for its cost.
        budget: Seconds after which a call is repeated no more.
        apart: Seconds between two readings that are compared.
        traffic: Seconds for which the PCIe counters are watched, without load and with it.
        serve: Seconds for which the exporter is scraped; a third of it as nobody.
        load: Seconds for which the GPU gets work at most.
        patience: The share of its time limits that a part gets.
    """

    calls: int = 100
    budget: float = 0.2
    apart: float = 2.0
    traffic: float = 10.0
    serve: float = 60.0
    load: float = 40.0
    patience: float = 1.0


QUICK = Pace(calls=10, budget=0.02, apart=0.3, traffic=0.6, serve=2.0, load=5.0, patience=0.5)


class Asked(NamedTuple):
    """What a part's process is asked.

    Attributes:
        part: Name of the part, which is also that of its module.
        nobody: Whether to give up root's rights.
        loaded: Whether the GPU has work meanwhile.
        skip: Steps that are done already, or that ended the process before this one.
        pace: How much is measured.
    """

    part: str
    nobody: bool
    loaded: bool
    skip: tuple[str, ...]
    pace: Pace
