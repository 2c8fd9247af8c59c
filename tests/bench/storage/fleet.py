"""What questions to each tier cost while it holds 1,000 GPUs."""

import itertools
import random
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from tests.bench.measure import Clocks, Machine
from tests.bench.stage import GPUS
from tests.bench.storage.disk import DAY
from tests.bench.storage.longer import Line, dated
from tests.bench.storage.programs import HOUR, MINUTE, RAW, Programs, Size, Storage

RANGES = {"1 h": 3600, "24 h": DAY, "30 d": 30 * DAY, "1 year": 365 * DAY}
# What a panel draws at most.
_POINTS = 1000

QUESTIONS = {
    "average of the fleet": "avg(gpu_utilization_ratio)",
    "power of each node": "sum by (node) (gpu_power_watts)",
    "watts from energy, fleet": "sum(rate(gpu_energy_joules_total[{window}]))",
    "ten busiest at each moment": "topk(10, gpu_utilization_ratio)",
    "one GPU": 'gpu_power_watts{{node="node-001",gpu="3"}}',
    "heat map: every GPU": "gpu_utilization_ratio",
}


class Tier(NamedTuple):
    """What a storage is filled with.

    Attributes:
        name: Of the tier.
        kind: Which of our storages it is.
        step: Seconds between two samples.
        days: Of samples.
        metrics: Which ones; another tier may have more.
    """

    name: str
    kind: str
    step: int
    days: int
    metrics: tuple[str, ...]

    def steps(self) -> Iterator[tuple[str, int, int]]:
        """The ranges that it can answer for: name, seconds, and seconds between two points."""
        for name, seconds in RANGES.items():
            # A line of a few points tells nothing.
            if 20 * self.step <= seconds <= self.days * DAY:
                wanted = -(-seconds // _POINTS)
                yield name, seconds, max(self.step, -(-wanted // self.step) * self.step)


_FAST = ("gpu_utilization_ratio", "gpu_power_watts", "gpu_energy_joules_total")
_ALL = (*_FAST, "gpu_temperature_celsius", "gpu_memory_used_bytes")
TIERS = (
    Tier("raw, 5 s", RAW, 5, 1, _ALL),
    Tier("1 minute", MINUTE, 60, 30, _FAST),
    Tier("1 hour", HOUR, 3600, 400, _ALL),
)


class Cost(NamedTuple):
    """What a question cost.

    Attributes:
        milliseconds: Of each round, until the last byte of the answer.
        series: That were read.
        samples: That were read.
        size: Bytes of the answer.
    """

    milliseconds: list[float]
    series: int
    samples: int
    size: int


class Answers(NamedTuple):
    """What was seen of a tier.

    Attributes:
        tier: Which one.
        size: What it holds.
        fill: Seconds that filling it took.
        gpus: How many.
        rss: MiB of memory of the storage, after all questions.
        others: CPUs that the rest of the machine kept busy meanwhile.
        costs: By the name of the question and of the range.
    """

    tier: Tier
    size: Size
    fill: float
    gpus: int
    rss: float
    others: float
    costs: dict[tuple[str, str], Cost]


def measure(
    programs: Programs, rounds: int, nodes: int, tiers: Sequence[Tier] = TIERS
) -> list[Answers]:
    """Fill each tier and ask.

    Args:
        programs: The real ones.
        rounds: How often each question is asked, after once that does not count.
        nodes: How many, with 8 GPUs each.
        tiers: With what they are filled.
    """
    return [_measure(programs, tier, rounds, nodes) for tier in tiers]


def _measure(programs: Programs, tier: Tier, rounds: int, nodes: int) -> Answers:
    print(f"storage: {nodes * GPUS} GPUs, {tier.name}", file=sys.stderr, flush=True)
    end = int(time.time()) // 3600 * 3600
    begin = time.monotonic()
    native = _one_node(programs, tier, end)
    with programs.storage("fleet", tier.kind) as storage:
        for number in range(nodes):
            label = {"extra_label": f"node=node-{number:03}"}
            storage.get("/api/v1/import/native", label, native)
        size = storage.settle()
        fill = time.monotonic() - begin
        machine, clocks, own = Machine(), Clocks(storage.pid), time.process_time()
        costs = {
            (question, name): _ask(storage, promql, end, seconds, step, rounds)
            for (question, promql), (name, seconds, step) in itertools.product(
                QUESTIONS.items(), tier.steps()
            )
        }
        others = machine.others(clocks.used() + time.process_time() - own)
        return Answers(tier, size, fill, nodes * GPUS, storage.rss(), others, costs)


def _one_node(programs: Programs, tier: Tier, end: int) -> bytes:
    """The samples of a node, in VictoriaMetrics's own format, which is taken in fastest."""
    count = tier.days * DAY // tier.step
    choose = random.Random(3)
    lines = (
        Line((("__name__", name), ("gpu", str(gpu)), ("job", "gpu"), ("uuid", _uuid(gpu))), values)
        for gpu in range(GPUS)
        for name in tier.metrics
        for values in [",".join(_VALUES[name](choose, count, tier.step))]
    )
    with programs.storage("node") as storage:
        storage.take(dated(lines, tier.step, end - (count - 1) * tier.step))
        storage.settle()
        return storage.export("/native")


def _uuid(gpu: int) -> str:
    return f"GPU-0000000{gpu}-1111-2222-3333-444444444444"


def _digits(step: int, places: int) -> int:
    """Averages have all digits."""
    return places if step == 5 else 12


def _gauge(
    least: float, most: float, places: int
) -> Callable[[random.Random, int, int], Iterator[str]]:
    def values(choose: random.Random, count: int, step: int) -> Iterator[str]:
        digits = _digits(step, places)
        return (repr(round(choose.uniform(least, most), digits)) for _ in range(count))

    return values


def _memory(choose: random.Random, count: int, step: int) -> Iterator[str]:
    value = 0
    for number in range(count):
        if number % 500 == 0:
            value = choose.randrange(10**9, 140 * 10**9)
        yield str(value)


def _energy(choose: random.Random, count: int, step: int) -> Iterator[str]:
    value = 0
    for _ in range(count):
        value += choose.randrange(100_000, 700_000) * step
        yield f"{value}e-3"


_VALUES: dict[str, Callable[[random.Random, int, int], Iterator[str]]] = {
    "gpu_utilization_ratio": _gauge(0.5, 1, 2),
    "gpu_power_watts": _gauge(300, 700, 1),
    "gpu_temperature_celsius": _gauge(50, 80, 0),
    "gpu_memory_used_bytes": _memory,
    "gpu_energy_joules_total": _energy,
}


def _ask(storage: Storage, promql: str, end: int, seconds: int, step: int, rounds: int) -> Cost:
    arguments = {
        "query": promql.format(window=f"{max(2 * step, 60)}s"),
        "start": str(end - seconds),
        "end": str(end),
        "step": f"{step}s",
        "nocache": "1",
    }
    traced = storage.get("/api/v1/query_range", {"trace": "1", **arguments}).decode()
    found = re.search(r'"seriesFetched": "(\d+)"', traced)
    scanned = re.findall(r"process of fetched data: series=\d+, samples=(\d+)", traced)
    if not found or not scanned:
        raise RuntimeError(f"{arguments}: {traced[:300]}")
    size = len(storage.get("/api/v1/query_range", arguments))
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        storage.get("/api/v1/query_range", arguments)
        times.append(1000 * (time.perf_counter() - begin))
    return Cost(times, int(found[1]), sum(map(int, scanned)), size)
