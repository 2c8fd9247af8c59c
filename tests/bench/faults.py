"""How soon ``/metrics`` answers while the driver fails, and when very many ask at once."""

import asyncio
import contextlib
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil
from tests.bench import client, servers, stage, text
from tests.bench.servers import Running

_GOAL_MS = 100.0
_SETTLE_SECONDS = 2.0
_PAUSE = (0.02, 0.06)
# The facts that are there whatever happens: of the host, and of the exporter.
_ALWAYS = ("host_memory_total_bytes{", "gpuglass_build_info{")
_SCRAPERS = 200
_EACH = 1.1
# Replaces a child that hangs soon: what that costs is to be seen.
_ARGUMENTS = (
    *("--control.socket", "none", "--path.kmsg", "/nonexistent"),
    *("--probe.deadline", "3s"),
)


@dataclass(frozen=True)
class Plan:
    """How much to measure.

    Attributes:
        seconds: Of each fault; at least so many as what is done about it takes.
        rushes: How often many ask at once.
    """

    seconds: float = 15.0
    rushes: int = 15


class Fault(NamedTuple):
    """A fault.

    Attributes:
        name: What happens.
        lines: What is added to the scenario.
        sent: A signal that the child is sent then.
    """

    name: str
    lines: str = ""
    sent: signal.Signals | None = None


def _storm() -> str:
    """10,000 XIDs within a second, of ten numbers on 8 GPUs, again and again."""
    return "".join(
        f"at {number / 10:.1f}s every 5s xid code={31 + number} count=125\n" for number in range(10)
    )


def _crowd() -> str:
    """5,000 processes; none of them is real."""
    return "".join(
        f"process pid={5_000_000 + 625 * gpu} count=625 gpu={gpu} type=compute memory=9MiB sm=1\n"
        for gpu in range(stage.GPUS)
    )


_CRASH = "at 0s segfault call=nvmlSystemGetDriverVersion\n"
_FAULTS = (
    Fault("none"),
    Fault("a GPU is lost", "at 0s lost gpu=3\n"),
    Fault("a call on one GPU hangs", "at 0s hang call=nvmlDeviceGetClockInfo gpu=3\n"),
    Fault("every call hangs", "at 0s hang call=*\n"),
    Fault("the library crashes as often as it starts", _CRASH, signal.SIGTERM),
    Fault("the driver does not start", "at 0s init driver_not_loaded\n", signal.SIGTERM),
    Fault("the child heeds no signal", sent=signal.SIGSTOP),
    Fault("10,000 XIDs in a second, each 5 s", _storm()),
    Fault("5,000 processes", _crowd()),
)


class Result(NamedTuple):
    """What was seen during a fault.

    Attributes:
        fault: Which.
        times: Milliseconds of each scrape.
        whole: The share of pages with the facts of host and exporter.
        up: The fewest GPUs that were up on a page.
        restarts: How often the child was replaced.
        xids: Events that were counted.
    """

    fault: Fault
    times: list[float]
    whole: float
    up: int
    restarts: int
    xids: int


class Rush(NamedTuple):
    """What came of many who asked at once.

    Attributes:
        seconds: Until the last had its answer.
        refused: The share that was told to come back.
        unanswered: How many had no answer at all.
    """

    seconds: float
    refused: float
    unanswered: int


class Answers(NamedTuple):
    """All that was measured.

    Attributes:
        faults: One after the other.
        rushes: When very many ask at once.
    """

    faults: list[Result]
    rushes: list[Rush]


def run(plan: Plan) -> Answers:
    """Measure all faults."""
    with tempfile.TemporaryDirectory() as name, stage.workers() as pids:
        folder, scenario = Path(name), Path(name, "faults.conf")
        stage.build_driver(folder)

        # Events of a time that has passed for the driver would never be told.
        start = f"start {time.time():.3f}\n"

        @contextlib.contextmanager
        def fresh() -> Iterator[Running]:
            begin("")
            with servers.running(servers.gpuglass((), *_ARGUMENTS), folder, scenario) as one:
                time.sleep(_SETTLE_SECONDS)
                yield one

        def begin(lines: str) -> None:
            stage.write_scenario(scenario, "realistic", pids, folder, start + lines)

        results = []
        for fault in _FAULTS:
            _tell(fault.name)
            with fresh() as one:
                results.append(_suffer(fault, one, plan.seconds, begin))
        _tell(f"{_SCRAPERS} scrapers at once")
        with fresh() as one:
            rushes = []
            for _ in range(plan.rushes):
                time.sleep(_EACH)
                rushes.append(asyncio.run(_rush(one.port)))
        return Answers(results, rushes)


def _suffer(fault: Fault, one: Running, seconds: float, begin: Callable[[str], None]) -> Result:
    begin(fault.lines)
    children = psutil.Process(one.pid).children() if fault.sent else []
    for child in children:
        os.kill(child.pid, fault.sent or 0)
    try:
        times, pages = [], []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            answer = client.scrape(one.port, False)
            times.append(answer.milliseconds)
            pages.append(answer.body.decode())
            time.sleep(random.uniform(*_PAUSE))
    finally:
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGCONT)
    return Result(
        fault,
        times,
        statistics.mean(all(name in page for name in _ALWAYS) for page in pages),
        min(int(_sum(page, "gpu_up{")) for page in pages),
        int(_sum(pages[-1], "gpuglass_probe_restarts_total{")),
        int(_sum(pages[-1], "gpu_xid_errors_total{")),
    )


def _sum(page: str, prefix: str) -> float:
    lines = (line for line in page.splitlines() if line.startswith(prefix))
    return sum(float(line.split()[-1]) for line in lines)


async def _rush(port: int) -> Rush:
    connect = (asyncio.open_connection("127.0.0.1", port) for _ in range(_SCRAPERS))
    streams = await asyncio.gather(*connect)
    begin = time.perf_counter()
    for _, writer in streams:
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    statuses = await asyncio.gather(*(_status(reader) for reader, _ in streams))
    seconds = time.perf_counter() - begin
    for _, writer in streams:
        writer.close()
    return Rush(
        seconds,
        statistics.mean(status == "503" for status in statuses),
        sum(status not in ("200", "503") for status in statuses),
    )


async def _status(reader: asyncio.StreamReader) -> str:
    """Take an answer, and return its status; an empty text where there was none."""
    with contextlib.suppress(OSError):
        words = (await reader.read()).split(b" ", 2)
        return words[1].decode() if len(words) == 3 else ""
    return ""


def _tell(what: str) -> None:
    print(f"faults: {what}", file=sys.stderr, flush=True)


_HEAD = """# Answers while the driver fails

{written}
gpuglass with all on, 8 stand-in H200 of realistic latency with 8 processes each, scraped plain
about 20 times a second for {seconds:g} s from the moment at which the fault begins;
`--probe.deadline 3s`, so that all that is done about it happens meanwhile. *Whole* is the share of
pages with the facts of the host and of the exporter.

"""
_RUSH = """
## {scrapers} scrapers at once

{scrapers} connections that ask at the same moment, {rushes} times, for a page that nobody has asked
for yet.
Over 40 answers under way at once (`--web.max-requests`) the rest is told to come back with 503.

"""


def render(answers: Answers, plan: Plan, command: str) -> str:
    """The report."""
    columns = (
        *("what happens", "scrapes", "median, ms", "p99, ms", "worst, ms", "goal", "met?"),
        *("whole", "fewest GPUs up", "child replaced", "XIDs counted"),
    )
    rows: text.Rows = []
    for fault, times, whole, up, restarts, xids in answers.faults:
        worst = max(times)
        cells = (f"{len(times):,}", f"{statistics.median(times):.1f}", f"{text.p99(times):.1f}")
        goal = (f"{worst:.1f}", f"< {_GOAL_MS:g} ms", text.yes(worst < _GOAL_MS and whole == 1))
        rows.append(
            (fault.name, *cells, *goal, f"{whole:.0%}", f"{up}", f"{restarts}", f"{xids:,}")
        )
    head = _HEAD.format(written=text.written_by(command), seconds=plan.seconds)
    rush = _RUSH.format(scrapers=_SCRAPERS, rushes=plan.rushes)
    return head + text.table(columns, rows) + rush + _rushes(answers.rushes)


def _rushes(rushes: list[Rush]) -> str:
    seconds = text.Spread.of(1000 * rush.seconds for rush in rushes)
    refused = text.Spread.of(rush.refused for rush in rushes)
    return text.table(
        ("", "median [least - most]"),
        [
            ("until all were answered, ms", seconds.show("{:.0f}")),
            ("told to come back", refused.show("{:.0%}")),
            ("without an answer", f"{sum(rush.unanswered for rush in rushes)}"),
        ],
    )
