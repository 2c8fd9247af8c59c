"""A node with 8 busy GPUs, recorded by the real programs: what it stores is what a node stores."""

import contextlib
import json
import random
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.bench import servers, stage
from tests.bench.crowd import Files, Visit
from tests.bench.storage.programs import Programs, Size, Storage

INTERVALS = (1, 5)
NODE = "node"
# Counters and windows of the past have begun before the recording does.
_HEAD_START = 300.0
_SETTLE_SECONDS = 20.0
# So many times at which a GPU's load is another, again and again; the driver plays 256 at most.
_SWINGS = 31

Labels = tuple[tuple[str, str], ...]


class Recording(NamedTuple):
    """What was stored of the node.

    Attributes:
        interval: Seconds from one scrape to the next.
        size: On disk.
        series: The values of each series that has one of every scrape, as they are written.
        scrapes: How many there were.
        partial: How many other series there are.
    """

    interval: int
    size: Size
    series: dict[Labels, list[str]]
    scrapes: int
    partial: int


def record(programs: Programs, minutes: float) -> dict[int, Recording]:
    """Record the node, by a vmagent for each interval at the same time."""
    with contextlib.ExitStack() as running:
        address = running.enter_context(exporter(programs.folder))
        storages = {
            seconds: running.enter_context(programs.storage(f"recorded-{seconds}"))
            for seconds in INTERVALS
        }
        with contextlib.ExitStack() as scraping:
            for seconds, storage in storages.items():
                scraping.enter_context(programs.scraper(NODE, address, storage, seconds))
            print(f"storage: recording for {minutes:g} minutes", file=sys.stderr, flush=True)
            time.sleep(60 * minutes)
        return {seconds: _recording(storage, seconds) for seconds, storage in storages.items()}


def _recording(storage: Storage, seconds: int) -> Recording:
    size = storage.settle()
    found: dict[Labels, list[str]] = {}
    lines = storage.export().decode()
    for line in lines.splitlines():
        entry = json.loads(line, parse_float=str, parse_int=str)
        labels = tuple(sorted(entry["metric"].items()))
        # After a scrape that failed there is a mark, which is no number.
        found[labels] = [value for value in entry["values"] if value is not None]
    # A scrape that failed has left a sample of what vmagent says of it, and of nothing else.
    scrapes = statistics.mode(map(len, found.values()))
    whole = {labels: values for labels, values in found.items() if len(values) == scrapes}
    return Recording(seconds, size, whole, scrapes, len(found) - len(whole))


@contextlib.contextmanager
def exporter(folder: Path) -> Iterator[str]:
    """The exporter with all on, at work for a while; yields its address."""
    choose = random.Random(1)
    visits = [
        Visit(1000 + index, index % stage.GPUS, 0, 1e9, choose.randrange(500, 10_000))
        for index in range(stage.GPUS * stage.PROCESSES_PER_GPU)
    ]
    driver = folder / "driver"
    stage.build_driver(driver)
    stage.play(folder / "node.conf", scenario(visits, choose, time.time() - _HEAD_START), driver)
    files = Files(folder / "proc", visits)
    files.show(0)
    server = servers.gpuglass(
        (),
        *("--node.name", NODE, "--path.procfs", str(files.folder)),
        *("--path.kmsg", str(folder / "none"), "--control.socket", "none"),
    )
    with servers.running(server, driver, folder / "node.conf") as one:
        time.sleep(_SETTLE_SECONDS)
        yield f"127.0.0.1:{one.port}"


def scenario(visits: list[Visit], choose: random.Random, start: float) -> str:
    """What the stand-in driver plays: loads that do not repeat themselves within hours.

    Each GPU follows a wave of its own, which is left again and again for some seconds, at periods
    that have no common multiple.

    Args:
        visits: The processes.
        choose: Where loads and periods come from.
        start: The Unix time of its beginning.
    """
    lines = [f"start {start:.3f}\n", f"gpus {stage.GPUS} preset=h200\n"]
    for gpu in range(stage.GPUS):
        period = choose.uniform(55, 75)
        lines.append(f"load gpu={gpu} wave min=0.7 max=0.98 period={period:.2f}s\n")
        for _ in range(_SWINGS):
            every, length = choose.uniform(20, 60), choose.uniform(1, 4)
            lines.append(
                f"at {choose.uniform(0, every):.2f}s for {length:.2f}s every {every:.2f}s "
                f"load {choose.uniform(0.3, 1):.3f} gpu={gpu}\n"
            )
    lines += [
        f"process pid={visit.pid} gpu={visit.gpu} type=compute memory={visit.mebibytes}MiB "
        "name=worker\n"
        for visit in visits
    ]
    return "".join(lines)
