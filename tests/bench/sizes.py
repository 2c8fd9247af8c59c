"""How large the page is, and how long it takes, on machines of several sizes."""

import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.bench import client, measure, page, servers, stage, text
from tests.bench.client import Scrapes
from tests.bench.page import Page

_SETTLE_SECONDS = 3.0
# Whoever asks less often than every other reading has nothing written ahead for it. At readings
# four times a second that takes half a second, not two.
_OFTEN = ("--probe.interval", "250ms")
_PAUSE = (0.55, 0.7)


class Layout(NamedTuple):
    """A machine.

    Attributes:
        name: What it is called.
        gpus: How many there are.
        processes: On each of them.
        instances: Of MIG, on each of them.
    """

    name: str
    gpus: int
    processes: int
    instances: int = 0

    def scenario(self, pids: list[int]) -> str:
        """What the stand-in driver plays."""
        lines = [
            f"gpus {self.gpus} preset=h200\n",
            "load gpu=* wave min=0.7 max=0.98 period=60s\n",
        ]
        if self.instances:
            lines.append(f"mig gpu=* profile=1g.18gb count={self.instances}\n")
        for index, pid in enumerate(pids):
            gpu, number = index % self.gpus, index // self.gpus
            place = f" mig={number % self.instances}" if self.instances else ""
            lines.append(f"process pid={pid} gpu={gpu}{place} type=compute memory=1GiB name=x\n")
        return "".join(lines)


_LAYOUTS = (
    Layout("8 GPUs, 64 processes", 8, 8),
    Layout("8 GPUs, 256 processes", 8, 32),
    Layout("16 GPUs, 128 processes", 16, 8),
    Layout("8 GPUs of 7 MIG instances, 56 processes", 8, 7, 7),
)


@dataclass(frozen=True)
class Plan:
    """How much to measure.

    Attributes:
        scrapes: Plain ones of each machine, and gzip ones.
    """

    scrapes: int = 40


class Result(NamedTuple):
    """What was seen of a machine.

    Attributes:
        layout: The machine.
        page: What is on the page.
        scrapes: All of them.
        memory: PSS of all processes of the exporter, in MiB.
    """

    layout: Layout
    page: Page
    scrapes: Scrapes
    memory: float


def run(plan: Plan) -> list[Result]:
    """Measure all machines."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stage.build_driver(folder)
        return [_measure(layout, plan, folder) for layout in _LAYOUTS]


def _measure(layout: Layout, plan: Plan, folder: Path) -> Result:
    print(f"sizes: {layout.name}", file=sys.stderr, flush=True)
    scenario = folder / "sizes.conf"
    with stage.workers(layout.gpus * layout.processes) as pids:
        stage.play(scenario, layout.scenario(pids), folder)
        server = servers.gpuglass((), "--control.socket", "none", *_OFTEN, gpus=layout.gpus)
        with servers.running(server, folder, scenario) as one:
            time.sleep(_SETTLE_SECONDS)
            scrapes = client.run(one.port, plan.scrapes, random.randrange(1 << 30), _PAUSE)
            plain = client.scrape(one.port, False).body
            weight = page.weigh(plain, client.scrape(one.port, True).body)
            pss = sum(memory.pss for memory in measure.memory(one.pid))
            return Result(layout, weight, scrapes, pss)


_HEAD = """# Pages of several sizes

{written}
gpuglass with all on, and stand-in H200 with real processes. Each scrape meets values that all are
new and for which no line is written yet, as for whoever asks every 5 s while the GPUs are read each
second (here every 0.6 s and four times a second): it pays for all of the rendering, and for HTTP.
For those who ask each second the lines are written ahead; [the comparison](compare.md) shows those
scrapes. {scrapes} plain and {scrapes} gzip ones by turns, from another process.

"""


def render(results: list[Result], plan: Plan, command: str) -> str:
    """The report."""
    columns = (
        *("", "samples", "of GPUs' processes", "KiB, plain", "KiB, gzip"),
        *("plain, median, ms", "p99", "gzip, median, ms", "p99", "PSS, MiB"),
    )
    rows: text.Rows = []
    for layout, weight, scrapes, memory in results:
        cells = [layout.name, f"{weight.samples:,}", f"{weight.process_samples:,}"]
        cells += [f"{size / 1024:,.0f}" for size in (weight.plain, weight.gzip)]
        for kind in (scrapes.plain, scrapes.gzip):
            times = [scrape.milliseconds for scrape in kind if scrape.fresh]
            cells += [f"{text.Spread.of(times).median:.1f}", f"{text.p99(times):.1f}"]
        rows.append((*cells, f"{memory:.1f}"))
    head = _HEAD.format(written=text.written_by(command), scrapes=plan.scrapes)
    return head + text.table(columns, rows)
