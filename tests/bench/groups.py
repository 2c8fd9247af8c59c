"""What each group of a GPU's facts costs: exporters with it and without it, side by side.

One after the other they could not be told apart: what else the machine does changes what a reading
costs by more than most groups do. Side by side it changes that for all of them.
"""

import contextlib
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench import calls, client, measure, servers, stage, text
from tests.bench.text import Spread

from gpuglass.catalogue import groups
from gpuglass.catalogue.groups import CORE
from gpuglass.host import registry

_CORE_AGAIN, _HOST, _ALL = "core once more", "host", "all"
_GROUPS = tuple(group.name for group in groups.GROUPS if group.name != CORE)
_HOST_COLLECTORS = tuple(
    collector.name
    for collector in registry.collectors(registry.Paths(Path("/proc"), Path("/sys"), Path("/")))
)
_VARIANTS = (*_GROUPS, _CORE_AGAIN, _HOST, _ALL)
_INTERVALS = groups.intervals(1.0, 10.0, {}, {})
# More at once get into each other's way.
_AT_ONCE = 13
_SETTLE_SECONDS = 3.0
_SCRAPE_SECONDS = 5.0


@dataclass(frozen=True)
class Plan:
    """How much to measure.

    Attributes:
        rounds: How often each group has its turn.
        window: Seconds of a window in which CPU is measured.
    """

    rounds: int = 3
    window: float = 20.0


@dataclass(frozen=True)
class Costs:
    """What was seen.

    Attributes:
        core: CPU seconds a minute of an exporter of the core alone: by latency, for each turn.
        more: What those with something more need more than that: by latency and by what it is,
            for each round.
        calls: NVML calls a reading of one GPU, by group.
    """

    core: dict[str, list[float]]
    more: dict[str, dict[str, list[float]]]
    calls: Mapping[str, int]


def run(plan: Plan) -> Costs:
    """Measure all groups."""
    with tempfile.TemporaryDirectory() as name, stage.workers() as pids:
        folder, scenario = Path(name), Path(name, "groups.conf")
        stage.build_driver(folder)
        stage.write_scenario(scenario, "zero", pids, folder)
        costs = Costs(
            {latency: [] for latency in stage.LATENCIES},
            {latency: {name: [] for name in _VARIANTS} for latency in stage.LATENCIES},
            calls.run(folder, scenario),
        )
        for number in range(plan.rounds):
            for batch in _batches(number):
                print(f"groups, round {number + 1}: {' '.join(batch)}", file=sys.stderr, flush=True)
                stage.write_scenario(scenario, "zero", pids, folder)
                with _running(batch, folder, scenario) as running:
                    for latency in stage.LATENCIES:
                        stage.write_scenario(scenario, latency, pids, folder)
                        time.sleep(_SETTLE_SECONDS)
                        used = _watch(running, plan.window)
                        core = used.pop(CORE)
                        costs.core[latency].append(core)
                        for variant, cpu in used.items():
                            costs.more[latency][variant].append(cpu - core)
        return costs


def _batches(seed: int) -> Iterator[list[str]]:
    """All variants, so many at once, in another order each round."""
    names = random.Random(seed).sample(_VARIANTS, len(_VARIANTS))
    for begin in range(0, len(names), _AT_ONCE):
        batch = [CORE, *names[begin : begin + _AT_ONCE]]
        random.Random(seed).shuffle(batch)
        yield batch


@contextlib.contextmanager
def _running(
    names: Sequence[str], driver: Path, scenario: Path
) -> Iterator[dict[str, servers.Running]]:
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(servers.running(_server(name), driver, scenario))
            for name in names
        }


def _server(name: str) -> servers.Server:
    """An exporter of the core, and of something else."""
    off: set[str] = set()
    if name != _ALL:
        off = {*_GROUPS, *(() if name == _HOST else _HOST_COLLECTORS), "xid"} - {name}
    # A reading is what is measured; that of a slow group would be seen twice in a window.
    often = [f"--interval.{name}", "1s"] if name in _GROUPS else []
    return servers.gpuglass(sorted(off), "--control.socket", "none", *often)


def _watch(running: Mapping[str, servers.Running], seconds: float) -> dict[str, float]:
    """CPU seconds a minute of each, while they are scraped as vmagent does."""
    clocks = {name: measure.Clocks(one.pid) for name, one in running.items()}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for one in running.values():
            client.scrape(one.port, True)
        time.sleep(max(0.0, min(_SCRAPE_SECONDS, end - time.monotonic())))
    return {name: clock.used() * 60 / seconds for name, clock in clocks.items()}


_HEAD = """# What each group of facts costs

{written}
8 stand-in H200 with 8 processes each. Exporters that read the core and one group more, each
second, ran side by side with one that reads the core alone, {at_once} at once, in another order in
each of {rounds} rounds of {window:g} s; the difference of their CPU time, all threads of parent and
child, is what the group costs. None but *{host}* and *{all}* had host facts on; each was scraped
every 5 s, gzip.

- *A minute*: at the group's default interval. *A reading*: of all 8 GPUs. NVML calls: of
  all 8 GPUs.
- *{host}*: the facts of the host. *{all}*: whatever is not the core, at the default intervals.
  *{again}*: another exporter of the core alone; what it seems to cost is noise.

Figures are the median of the rounds [least - most].

"""


def render(costs: Costs, plan: Plan, command: str) -> str:
    """The report."""
    head = _HEAD.format(
        written=text.written_by(command),
        at_once=_AT_ONCE + 1,
        rounds=plan.rounds,
        window=plan.window,
        again=_CORE_AGAIN,
        host=_HOST,
        all=_ALL,
    )
    columns = ["group", "read every", "NVML calls a minute"]
    columns += [f"CPU s a minute, {latency} latency" for latency in stage.LATENCIES]
    columns += [f"CPU ms a reading, {latency} latency" for latency in stage.LATENCIES]
    rows = [_row("**core, alone**", _INTERVALS[CORE], costs.calls[CORE], costs.core)]
    for name in _GROUPS:
        more = {latency: costs.more[latency][name] for latency in stage.LATENCIES}
        rows.append(_row(name, _INTERVALS[name], costs.calls[name], more))
    for name in (_HOST, _ALL, _CORE_AGAIN):
        more = {latency: costs.more[latency][name] for latency in stage.LATENCIES}
        rows.append(_row(f"*{name}*", None, None, more))
    return head + text.table(columns, rows)


def _row(
    name: str, interval: float | None, calls: int | None, cpu: Mapping[str, list[float]]
) -> tuple[str, ...]:
    """A row of a table; ``cpu`` is seconds a minute at a reading each second."""
    every = f"{interval:g} s" if interval else ""
    asked = f"{calls * stage.GPUS * 60 / interval:,.0f}" if interval and calls is not None else ""
    minutes = [Spread.of(one / (interval or 1) for one in of).show("{:.3f}") for of in cpu.values()]
    readings = [Spread.of(one / 60 * 1000 for one in of).show() for of in cpu.values()]
    return name, every, asked, *minutes, *(readings if interval else [""] * len(readings))
