"""``python -m tests.bench.soak``: whether memory stays as it is, for half an hour and longer.

All of gpuglass is on. Processes come and go on 8 GPUs, the page is scraped each second, GPUs are
lost and come back, XIDs happen, and at first the child is ended and the driver replaced, over and
over. Exits with 1 if memory has grown.
"""

import argparse
import contextlib
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil
from tests.bench import client, crowd, measure, servers, stage, text
from tests.bench.crowd import Files, Visit
from tests.bench.measure import Memory
from tests.bench.page import weigh
from tests.bench.servers import Running

_GPUS, _AT_ONCE = 8, 12
_GOAL_MIB = 2.0
_SAMPLE_SECONDS = 10.0
# Minutes of a soak of 30; in a shorter one all of them are shorter.
_FULL, _WARM_UP, _WINDOW, _RESTARTS = 30.0, 5.0, 5.0, 6
_PARENT, _CHILD = "parent", "child"


class Schedule(NamedTuple):
    """When what happens, in seconds from the start.

    Attributes:
        warm_up: Until then memory may grow.
        window: The length of the times that are compared.
        restarts: When the child has to be another one.
        end: The end.
    """

    warm_up: float
    window: float
    restarts: tuple[float, ...]
    end: float

    @classmethod
    def of(cls, minutes: float) -> "Schedule":
        """Of a soak that lasts so long after the warm-up."""
        minute = 60 * min(1.0, minutes / _FULL)
        warm_up = _WARM_UP * minute
        restarts = tuple(warm_up + number * minute for number in range(1, _RESTARTS + 1))
        return cls(warm_up, _WINDOW * minute, restarts, warm_up + 60 * minutes)

    def windows(self, role: str) -> tuple[float, float]:
        """When the two times begin whose memory is compared.

        The first is after the warm-up, of the last child after its own.
        """
        first = self.warm_up + (self.restarts[-1] if role == _CHILD else 0.0)
        return first, self.end - self.window


class Sample(NamedTuple):
    """What was seen at a moment.

    Attributes:
        at: Seconds from the start.
        memory: By role; without the child while there is none.
        files: Open file descriptors, by role.
        series: On the page.
        size: Bytes of the page.
        processes: That have been on a GPU so far.
    """

    at: float
    memory: dict[str, Memory]
    files: dict[str, int]
    series: int
    size: int
    processes: int


class Growth(NamedTuple):
    """How the memory of a process has changed, in MiB.

    Attributes:
        first: The median of the first window.
        last: The median of the last window.
        slope: Of the line through all samples from the first window on, an hour.
    """

    first: float
    last: float
    slope: float


class Result(NamedTuple):
    """All of a soak.

    Attributes:
        schedule: When what was to happen.
        samples: In order.
        times: Milliseconds of each scrape.
        restarts: How often the child was replaced, as the exporter counts it.
    """

    schedule: Schedule
    samples: list[Sample]
    times: list[float]
    restarts: int

    def growth(self, role: str, kind: str) -> Growth:
        """How one kind of memory of one process has changed."""
        begin, last = self.schedule.windows(role)
        points = [
            (sample.at, float(getattr(sample.memory[role], kind)))
            for sample in self.samples
            if sample.at >= begin and role in sample.memory
        ]
        window = self.schedule.window
        slope = statistics.linear_regression(*zip(*points, strict=True)).slope
        return Growth(
            statistics.median(value for at, value in points if at < begin + window),
            statistics.median(value for at, value in points if at >= last),
            3600 * slope,
        )

    def total(self, kind: str) -> float:
        """By how much one kind of memory has grown in both processes."""
        grown = (self.growth(role, kind) for role in (_PARENT, _CHILD))
        return sum(growth.last - growth.first for growth in grown)


def soak(minutes: float) -> Result:
    """Soak the exporter for some minutes after the warm-up."""
    schedule = Schedule.of(minutes)
    visits = crowd.plan(_GPUS, _AT_ONCE, schedule.end, random.Random(1))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stage.build_driver(folder)
        start = time.time()
        stage.play(folder / "soak.conf", _scenario(start, schedule, visits), folder)
        files = Files(folder / "proc", visits)
        server = servers.gpuglass(
            (),
            *("--path.procfs", str(files.folder), "--control.socket", "none"),
            *("--path.kmsg", str(folder / "none")),
        )
        with servers.running(server, folder, folder / "soak.conf") as one:
            times: list[float] = []
            samples = list(_watch(one, start, schedule, files, times))
            page = client.scrape(one.port, False).body.decode()
        return Result(schedule, samples, times, _restarts(page))


def _scenario(start: float, schedule: Schedule, visits: Sequence[Visit]) -> str:
    drivers = [
        f"at {moment:.1f}s driver 580.{number}\n"
        for number, moment in enumerate(schedule.restarts[1::2], 100)
    ]
    return "".join(
        [
            f"start {start:.3f}\n",
            f"gpus {_GPUS} preset=h200\n",
            "load gpu=* wave min=0.3 max=0.9 period=60s\n",
            "at 50s for 15s every 2m lost gpu=3\n",
            "at 70s every 2m xid code=31 gpu=1\n",
            "at 75s every 3m ecc corrected=2 gpu=5\n",
            "at 80s for 4s every 2m hang call=nvmlDeviceGetTemperatureV gpu=6\n",
            *drivers,
            *(visit.statement() for visit in visits),
        ]
    )


def _watch(
    one: Running, start: float, schedule: Schedule, files: Files, times: list[float]
) -> Iterator[Sample]:
    """Scrape each second, end the child when its time has come, and look every 10 seconds."""
    ends = list(schedule.restarts[0::2])
    plain, sample_at = b"", 0.0
    for number in range(sys.maxsize):
        now = time.time() - start
        if now > schedule.end:
            return
        files.show(now)
        if ends and now > ends[0]:
            ends.pop(0)
            for child in psutil.Process(one.pid).children():
                child.terminate()
        answer = client.scrape(one.port, number % 2 == 1)
        times.append(answer.milliseconds)
        plain = plain if number % 2 else answer.body
        if now >= sample_at:
            sample_at += _SAMPLE_SECONDS
            yield _sample(now, one.pid, plain, files.seen)
        time.sleep(1 - (time.time() - start) % 1)


def _sample(now: float, pid: int, page: bytes, processes: int) -> Sample:
    memory, files = {}, {}
    tree = [psutil.Process(pid), *psutil.Process(pid).children()]
    for role, process in zip((_PARENT, _CHILD), tree, strict=False):
        with contextlib.suppress(psutil.Error, OSError, KeyError):  # a child that is ending
            files[role] = process.num_fds()
            memory[role] = measure.smaps(process.pid, role, process.num_threads())
    return Sample(now, memory, files, weigh(page, b"").samples, len(page), processes)


def _restarts(page: str) -> int:
    lines = [line for line in page.splitlines() if line.startswith("gpuglass_probe_restarts_total")]
    return int(sum(float(line.split()[-1]) for line in lines))


_HEAD = """# Soak

{written}
gpuglass with all on, at 1 s sampling, for {minutes:.3g} minutes after a warm-up of {warm_up:.2g}.
On 8 stand-in H200 up to {at_once} processes a GPU came and went, {processes:,} in all, of 24 users,
in containers and of jobs that changed all the time. The page was scraped each second, plain and
gzip by turns: {scrapes:,} scrapes, the slowest took {slowest:.0f} ms. All the time a GPU was lost
for 15 s every 2 minutes, a call hung for 4 s, and XIDs and memory errors came. After the warm-up
the child was replaced {restarts} times within {turbulent:.2g} minutes, as it was ended by SIGTERM
or the driver was replaced; the last one lived until the end.

*Growth* is the median of the last {window:.2g} minutes less that of the first {window:.2g} after
the warm-up; the last child's own warm-up counts from its start. The line is fitted to all samples,
one each 10 s, from the first of these on. The goal is judged by RSS: what PSS says of files changes
with other programs that map them too.

"""


def render(result: Result, command: str) -> str:
    """The report."""
    schedule = result.schedule
    head = _HEAD.format(
        written=text.written_by(command),
        minutes=(schedule.end - schedule.warm_up) / 60,
        warm_up=schedule.warm_up / 60,
        window=schedule.window / 60,
        at_once=_AT_ONCE,
        processes=result.samples[-1].processes,
        scrapes=len(result.times),
        slowest=max(result.times),
        restarts=result.restarts,
        turbulent=(schedule.restarts[-1] - schedule.warm_up) / 60,
    )
    return f"{head}{_growth(result)}\n## On the way\n\n{_course(result)}"


def _growth(result: Result) -> str:
    rows: text.Rows = []
    kinds = {"rss": "RSS", "pss": "PSS", "anonymous": "in no file"}
    for role in (_PARENT, _CHILD):
        for kind, name in kinds.items():
            growth = result.growth(role, kind)
            grown = f"{growth.last - growth.first:+.2f}"
            slope = f"{growth.slope:+.2f}"
            first, last = f"{growth.first:.1f}", f"{growth.last:.1f}"
            rows.append((f"{role}, {name}, MiB", first, last, grown, slope, "", ""))
    total = result.total("rss")
    goal = (f"< {_GOAL_MIB:g} MiB", text.yes(total < _GOAL_MIB))
    rows.append(("**both, RSS, MiB**", "", "", f"{total:+.2f}", "", *goal))
    columns = ("", "first", "last", "growth", "line, an hour", "goal", "met?")
    return text.table(columns, rows)


def _course(result: Result) -> str:
    """The medians of each stretch of time."""
    columns = (
        *("until minute", "processes so far", "series", "page, KiB"),
        *("parent RSS, MiB", "PSS", "files", "threads"),
        *("child RSS, MiB", "PSS", "files", "threads"),
    )
    rows: text.Rows = []
    window = result.schedule.window / 2
    for number in range(int(result.schedule.end / window + 0.5)):
        samples = [one for one in result.samples if number <= one.at / window < number + 1]
        if not samples:
            continue
        series = statistics.median(one.series for one in samples)
        size = statistics.median(one.size for one in samples) / 1024
        first = (f"{(number + 1) * window / 60:.1f}", f"{samples[-1].processes:,}")
        cells = [*first, f"{series:,.0f}", f"{size:,.0f}"]
        for role in (_PARENT, _CHILD):
            seen = [one for one in samples if role in one.memory]
            if not seen:
                cells += [""] * 4
                continue
            cells += [
                f"{statistics.median(one.memory[role].rss for one in seen):.1f}",
                f"{statistics.median(one.memory[role].pss for one in seen):.1f}",
                f"{max(one.files[role] for one in seen)}",
                f"{max(one.memory[role].threads for one in seen)}",
            ]
        rows.append(tuple(cells))
    return text.table(columns, rows, texts=0)


def main() -> None:
    """Soak, print the report, and exit with 1 if memory has grown."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak", description=__doc__)
    parser.add_argument(
        "--minutes", type=float, default=_FULL, help="after the warm-up (default 30)"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the report there too")
    arguments = parser.parse_args()
    if arguments.minutes < 2:
        parser.error("--minutes must be at least 2")
    result = soak(arguments.minutes)
    report = render(result, f"python -m tests.bench.soak --minutes {arguments.minutes:g}")
    print(report)
    if arguments.write:
        arguments.write.write_text(report)
    sys.exit(result.total("rss") >= _GOAL_MIB)


if __name__ == "__main__":
    main()
