"""Whatever runs on the GPUs, the page stays of one size."""

import itertools
from pathlib import Path

import psutil
from tests.exporter.conftest import Start
from tests.exporter.process import Page, Serve, play

GPUS, MOST, OWNERS = 4, 8, 65
ALONE = ("--no-collector.filesystem", "--no-collector.disk", "--no-collector.network")
MIB = 1 << 20


def crowd(first: int) -> str:
    """5,000 processes, 1,250 on each GPU; the stand-in driver need not have real ones."""
    lines = [
        f"process pid={first + 1250 * gpu} count=1250 gpu={gpu} type=compute memory=1MiB sm=1\n"
        for gpu in range(GPUS)
    ]
    return f"gpus {GPUS} preset=h200\nload gpu=* constant 0.5\n{''.join(lines)}"


def series_of_processes(page: Page) -> int:
    return sum(1 for sample in page.samples if sample.name.startswith("gpu_process_"))


def test_5000_processes_that_come_and_go(start: Start, scenario: Path) -> None:
    pids = itertools.count(5_000_000, 10_000)
    scenario.write_text(crowd(next(pids)))
    serve = start("--probe.interval", "100ms", "--processes.most", str(MOST), *ALONE)
    serve.wait_ready()
    sizes, memory = [], []
    for turn in range(12):
        first = next(pids)
        play(scenario, crowd(first))
        page = wait_for(serve, first)
        assert page.values("gpu_processes") == [1250] * GPUS
        assert series_of_processes(page) <= GPUS * (MOST * 7 + 5)
        assert len(page.values("gpu_owner_processes")) <= GPUS * OWNERS
        sizes.append(len(page.text))
        if turn >= 4:
            memory.append(rss(serve))
    # Those whose names are not looked up yet are not on the page.
    assert max(sizes) < 1.6 * min(sizes)
    # The first turns fill caches, of lookups for 30 s for one.
    assert max(memory) - memory[0] < 12 * MIB


def wait_for(serve: Serve, first: int) -> Page:
    """The page when it shows processes from this pid on, and none of a crowd before."""
    pages: list[Page] = []

    def shown() -> bool:
        pages[:] = [serve.page()]
        crowds = {s.labels["pid"][:3] for s in pages[0].samples if s.labels.get("pid")}
        return crowds == {str(first)[:3], "oth"}

    serve.wait(shown)
    return pages[0]


def rss(serve: Serve) -> int:
    processes = [psutil.Process(serve.process.pid), *serve.children()]
    return sum(int(process.memory_info().rss) for process in processes)
