"""What open live pages cost the exporter."""

import contextlib
import http.client
import random
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.bench import measure, servers, stage, text

_SETTLE_SECONDS = 3.0
_GOAL = 0.005
_PAGES = (0, 1, 4, 16)


@dataclass(frozen=True)
class Plan:
    """How much to measure.

    Attributes:
        rounds: How often each number of pages has its turn.
        window: Seconds of a turn.
    """

    rounds: int = 3
    window: float = 30.0


class Turn(NamedTuple):
    """What was seen while so many pages were open.

    Attributes:
        pages: How many.
        gzip: Whether they take gzip, as browsers do.
        cpu: The share of a core that the exporter's own process used; the probe's is another.
        received: Bytes a second that came for each of them.
        events: Events a second that came for each of them.
        memory: PSS of all processes of the exporter at the end, in MiB.
    """

    pages: int
    gzip: bool
    cpu: float
    received: float
    events: float
    memory: float


class _Reader(threading.Thread):
    """A page, as far as the exporter sees it."""

    def __init__(self, port: int, gzip: bool) -> None:
        super().__init__(daemon=True)
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._gzip = gzip
        self.received = self.events = 0

    def run(self) -> None:
        encoding = "gzip" if self._gzip else "identity"
        self._connection.request("GET", "/api/v1/stream", headers={"Accept-Encoding": encoding})
        response = self._connection.getresponse()
        # What is flushed ends so; what is not compressed, with an empty line.
        end = b"\x00\x00\xff\xff" if self._gzip else b"\n\n"
        with contextlib.suppress(http.client.HTTPException):  # that is how it ends
            while part := response.read1(1 << 20):
                self.received += len(part)
                self.events += part.endswith(end)

    def close(self) -> None:
        """Leave."""
        if self._connection.sock:
            self._connection.sock.shutdown(2)
        self.join()


def run(plan: Plan) -> list[Turn]:
    """Measure each number of pages in turns."""
    turns = []
    with tempfile.TemporaryDirectory() as name, stage.workers() as pids:
        folder = Path(name)
        stage.build_driver(folder)
        scenario = folder / "live.conf"
        stage.write_scenario(scenario, "zero", pids, folder)
        server = servers.gpuglass((), "--control.socket", "none")
        with servers.running(server, folder, scenario) as one:
            time.sleep(_SETTLE_SECONDS)
            for number in range(plan.rounds):
                kinds = [(pages, True) for pages in _PAGES] + [(1, False)]
                random.shuffle(kinds)
                for pages, gzip in kinds:
                    what = f"round {number + 1}, {pages} open{'' if gzip else ', plain'}"
                    print(f"live: {what}", file=sys.stderr, flush=True)
                    turns.append(_measure(one, pages, gzip, plan.window))
    return turns


def _measure(one: servers.Running, pages: int, gzip: bool, window: float) -> Turn:
    readers = [_Reader(one.port, gzip) for _ in range(pages)]
    for reader in readers:
        reader.start()
    time.sleep(_SETTLE_SECONDS)  # the last five minutes have been sent
    before = [(reader.received, reader.events) for reader in readers]
    clocks, begin = measure.Clocks(one.pid, children=False), time.monotonic()
    time.sleep(window)
    used, seconds = clocks.used(), time.monotonic() - begin
    received = sum(reader.received for reader in readers) - sum(size for size, _ in before)
    events = sum(reader.events for reader in readers) - sum(count for _, count in before)
    memory = sum(process.pss for process in measure.memory(one.pid))
    for reader in readers:
        reader.close()
    each = max(1, pages) * seconds
    return Turn(pages, gzip, used / seconds, received / each, events / each, memory)


_HEAD = """# Open live pages

{written}
gpuglass with all on, 8 stand-in H200 and 64 real processes, read once a second; nobody scrapes. CPU
is that of the exporter's own process, as a share of a core, by the kernel's clock of it; the probe
reads the same whoever looks. Pages take gzip, as browsers do, but for the last row. {rounds} turns
of {window:g} s each, in random order: median [least - most].

"""
_TAIL = """
Goal: at most {goal:.1%} of a core for each open page, nothing while none is open. The first page
costs {first:.2%}, which is all of the rendering; each page more {more:.2%}: it gets what was
rendered for the first. Goal met: {met}.
"""


def render(turns: list[Turn], plan: Plan, command: str) -> str:
    """The report."""

    def cpu(pages: int) -> text.Spread:
        return text.Spread.of(t.cpu for t in turns if t.pages == pages and t.gzip)

    rows: text.Rows = []
    for pages, gzip in [*((pages, True) for pages in _PAGES), (1, False)]:
        of = [turn for turn in turns if (turn.pages, turn.gzip) == (pages, gzip)]
        spread = text.Spread.of(100 * turn.cpu for turn in of)
        sent = text.Spread.of(turn.received / 1024 for turn in of).median
        rate = text.Spread.of(turn.events for turn in of).median
        rows.append(
            (
                f"{pages}" if gzip else f"{pages}, plain",
                spread.show(),
                f"{sent:.1f}" if pages else "",
                f"{rate:.2f}" if pages else "",
                f"{text.Spread.of(turn.memory for turn in of).median:.1f}",
            )
        )
    columns = ("pages", "CPU, % of a core", "KiB/s for each", "events/s for each", "PSS, MiB")
    none, first, most = cpu(0).median, cpu(1).median, cpu(_PAGES[-1]).median
    more = (most - first) / (_PAGES[-1] - 1)
    head = _HEAD.format(written=text.written_by(command), rounds=plan.rounds, window=plan.window)
    tail = _TAIL.format(
        goal=_GOAL, first=first - none, more=more, met=text.yes(max(first - none, more) <= _GOAL)
    )
    return head + text.table(columns, rows) + tail
