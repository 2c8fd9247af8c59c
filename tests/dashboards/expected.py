"""What a panel must show, and what the simulator's model says of the scenario's GPUs."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from tests.dashboards.scenario import GONE, GPUS, LOW_POWER, MIXED, TRAIN
from tests.simulator import model
from tests.simulator.model import MIB, Burst, Gpu

# The model is the same at any time, but for one GPU.
AT = 7 * 86400.0
# Counters were read up to an interval of the probe before they were scraped.
COUNTED = 0.2
GIB = 1 << 30
# What was counted over a time range is known where all of its samples are there.
HOUR, SIX_DAYS, FORTY_DAYS = 3600, 6 * 86400, 40 * 86400
Key = tuple[str, ...]
Which = tuple[str, int]


class Expected(NamedTuple):
    """What a query of a panel must answer, among other series.

    Attributes:
        values: By the values of the labels below; the newest of each series.
        by: The labels.
        query: The query's letter.
        within: How much less or more it may be, as a part of it.
        span: Of which time range alone it is so, in seconds; of any if 0.
    """

    values: Mapping[Key, float]
    by: tuple[str, ...] = ()
    query: str = "A"
    within: float = 1e-6
    span: int = 0


def one(value: float, query: str = "A", within: float = 1e-6, span: int = 0) -> Expected:
    return Expected({(): value}, (), query, within, span)


def each(
    by: str, values: Mapping[Key, float], query: str = "A", within: float = 1e-6, span: int = 0
) -> Expected:
    return Expected(values, tuple(by.split()), query, within, span)


def counted(value: float, query: str = "A", span: int = 0) -> Expected:
    return one(value, query, COUNTED, span)


def of(node: str, fact: Callable[[Gpu], float]) -> dict[Key, float]:
    """A fact of each GPU of a node, by its number, but for the one that changes."""
    steady = ((n, gpu) for n, gpu in enumerate(GPUS[node]) if not isinstance(gpu.load, Burst))
    return {(str(number),): fact(gpu) for number, gpu in steady}


def load(gpu: Gpu) -> float:
    return gpu.load.integral(AT) / AT


def watts(which: Which) -> float:
    gpu = GPUS[which[0]][which[1]]
    return LOW_POWER.get(which, model.power_at_load(gpu, load(gpu)) / 1000)


def kilowatt_hours(gpus: Iterable[Gpu]) -> float:
    """Of an hour, as the driver counts it."""
    return sum(model.power_at_load(gpu, load(gpu)) for gpu in gpus) / 1e6


def used(gpu: Gpu) -> float:
    return model.memory_used_bytes(gpu, AT)


def total(gpu: Gpu) -> float:
    return gpu.preset.memory_mib * MIB


TRAINING, OF_MIXED = GPUS[TRAIN], GPUS[MIXED]
ONLINE = (*TRAINING, *OF_MIXED)
EVERY = (*ONLINE, *GPUS[GONE])
OF_JOB = TRAINING[:3]
MEAN = {node: sum(map(load, gpus)) / len(gpus) for node, gpus in GPUS.items()}
# A GPU in parts does not tell how busy it is as a whole.
LAB = sum(load(gpu) for node in (MIXED, GONE) for gpu in GPUS[node][:3]) / 4
HELD = sum(used(gpu) for gpu in TRAINING)
