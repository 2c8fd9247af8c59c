"""Raw storage, both tiers and vmagent; a timeline of samples, and what tiers must hold of it."""

import itertools
import json
import math
import random
import re
import shutil
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from tests.integration.stack import ROOT, Labels, Program, environment, get, wait_for
from tests.ports import free_port

Millis = int
# By labels and the window's end the value that a tier has, or must have.
Rollups = dict[Labels, dict[int, float]]
ARGUMENTS = {
    "raw": ("-retentionPeriod=7d",),
    "minute": ("-retentionPeriod=30d", f"-relabelConfig={ROOT}/victoriametrics/tier.yml"),
    "hour": (
        "-retentionPeriod=400d",
        f"-relabelConfig={ROOT}/victoriametrics/tier.yml",
        "-disablePerDayIndex=true",
    ),
}


class Storages:
    """The programs. vmagent only passes on what is given to it, by way of its queue on disk."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder, self.vmalert = folder, programs / "vmalert"
        self.url: dict[str, str] = {}
        self.program: dict[str, Program] = {}
        self._marks = 0
        for name, arguments in ARGUMENTS.items():
            self._add(
                name,
                str(programs / "victoria-metrics"),
                f"-storageDataPath={folder / name}",
                "-dedup.minScrapeInterval=1ms",
                "-inmemoryDataFlushInterval=1s",
                *arguments,
            )
        shutil.copy(ROOT / "victoriametrics/vmagent.sh", folder)
        self._add(
            "vmagent",
            *("sh", str(folder / "vmagent.sh"), str(programs / "vmagent")),
            f"-remoteWrite.url={self.url['raw']}/api/v1/write",
            f"-remoteWrite.tmpDataPath={folder / 'queue'}",
            "-remoteWrite.queues=1",
            "-remoteWrite.flushInterval=100ms",
            "-remoteWrite.retryMinInterval=100ms",
            "-remoteWrite.retryMaxInterval=500ms",
        )

    def _add(self, name: str, *command: str) -> None:
        address = f"127.0.0.1:{free_port()}"
        self.url[name] = f"http://{address}"
        self.program[name] = Program(
            [*command, f"-httpListenAddr={address}"],
            self.folder / f"{name}.log",
            f"{self.url[name]}/health",
            environment(),
        )

    def start(self) -> None:
        for program in self.program.values():
            program.start()

    def stop(self) -> None:
        for program in reversed(self.program.values()):
            program.stop()

    def push(self, lines: Iterable[str]) -> None:
        """Give samples to vmagent, which is slow with many at a time."""
        remaining = iter(lines)
        while some := list(itertools.islice(remaining, 1000)):
            request = urllib.request.Request(
                f"{self.url['vmagent']}/api/v1/import/prometheus", "\n".join(some).encode()
            )
            with urllib.request.urlopen(request, timeout=30):
                pass

    def delivered(self) -> None:
        """Wait until all that vmagent holds can be queried: it hands on in order."""
        # Twice: what a storage takes while it makes visible what came before may be seen first.
        for _ in range(2):
            self._marks += 1
            mark = f'delivered{{mark="{self._marks}"}}'
            self.push([f"{mark} 1 {START * 1000}"])
            visible = partial(self._visible, mark)
            wait_for("vmagent has handed on what it holds", visible)

    def _visible(self, selector: str) -> bool:
        self.flush("raw")
        return bool(get(f"{self.url['raw']}/api/v1/export", **{"match[]": selector}))

    def on_disk(self) -> None:
        """Wait until vmagent has put on its disk what it cannot hand on."""

        def pending() -> float:
            # With the first that comes when nothing was taken for 5 s.
            self.push([f'delivered{{mark="none"}} 1 {START * 1000}'])
            page = get(f"{self.url['vmagent']}/metrics")
            return sum(
                map(float, re.findall(r"^vm_persistentqueue_bytes_pending\S* (\S+)", page, re.M))
            )

        wait_for("vmagent's queue is on its disk", pending)

    def flush(self, name: str) -> None:
        """Make what a storage has taken visible to queries."""
        get(f"{self.url[name]}/internal/force_flush")

    def export(self, name: str) -> dict[Labels, list[tuple[Millis, float]]]:
        """Every sample of a storage; a storage keeps one of those at one time."""
        series: dict[Labels, list[tuple[Millis, float]]] = {}
        selector = {"match[]": '{__name__!=""}', "reduce_mem_usage": "0"}
        for line in get(f"{self.url[name]}/api/v1/export", **selector).splitlines():
            entry = json.loads(line)
            points = zip(entry["timestamps"], entry["values"], strict=True)
            series.setdefault(tuple(sorted(entry["metric"].items())), []).extend(points)
        return {labels: sorted(points) for labels, points in series.items()}


class Timeline:
    """What nodes, our own components and vmalert would have delivered; times are whole seconds."""

    def __init__(self, nodes: Iterable[str]) -> None:
        self.nodes = tuple(nodes)
        self._random = random.Random(4)
        self.resets: set[str] = set()
        self._energy: dict[str, float] = defaultdict(float)

    def scrapes(self, node: str, start: int, end: int) -> Iterator[str]:
        """The samples of a node after ``start`` up to ``end``, with the jitter of real scrapes."""
        for second in range(start + SCRAPE, end + 1, SCRAPE):
            moment = second * 1000 + self._random.choice((0, 0, 0, -40, -13, 1, 7, 40))
            for name, labels, value in self._page(node, second):
                yield f'{name}{{node="{node}",job="gpu"{labels}}} {value!r} {moment}'

    def _page(self, node: str, second: int) -> Iterator[tuple[str, str, float]]:
        noise = self._random.random
        yield "gpu_devices", "", 2
        for gpu in ("0", "1"):
            of = f',gpu="{gpu}",uuid="GPU-{node}-{gpu}"'
            self._energy[node] += 700 * SCRAPE * noise()
            yield "gpu_power_watts", of, round(700 * noise(), 1)
            yield "gpu_temperature_celsius", f'{of},sensor="core"', round(30 + 60 * noise())
            yield "gpu_energy_joules_total", of, round(self._energy[node], 3)
            yield "gpu_source_info", f'{of},metric="busy",source="samples"', 1
        if second < ENDS:
            of = f',gpu="0",uuid="GPU-{node}-0",pid="7",name="train",user="ada"'
            yield "gpu_process_memory_used_bytes", of, float(int(80e9 * noise()))
            yield "gpu_process_info", of, 1
        yield "gpuglass_build_info", ',version="1"', 1
        yield "up", "", 1
        yield "scrape_samples_scraped", "", 14

    def reset(self, node: str) -> None:
        """Begin the node's counters again, as a restart of its exporter does."""
        self._energy[node] = 0

    def own(self, start: int, end: int) -> Iterator[str]:
        """The samples of our own components and of vmalert."""
        for second in range(start + SCRAPE, end + 1, SCRAPE):
            scraped = second * 1000 + self._random.choice((0, -40, 40))
            noise = self._random.random
            yield f'up{{job="keeper"}} 1 {scraped}'
            yield f'gpuglass_keeper_targets{{job="keeper",file="a.yml"}} {noise()!r} {scraped}'
            yield f'process_cpu_seconds_total{{job="keeper"}} {second} {scraped}'
            written = second * 1000
            yield f'ALERTS{{alertname="GPUStackWatchdog",alertstate="firing"}} 1 {written}'
            if second // 1800 % 3 == 1:
                alert = f'alertname="GPULost",node="{self.nodes[0]}"'
                yield f'ALERTS{{{alert},alertstate="firing"}} 1 {written}'
                yield f"ALERTS_FOR_STATE{{{alert}}} {second // 1800 * 1800} {written}"
            yield f'node:gpu_power_watts:sum{{node="{self.nodes[0]}"}} {noise()!r} {written}'
            yield f'node:energy_joules:increase{{node="{self.nodes[0]}"}} {noise()!r} {written}'
            yield f"job:gpu_energy_joules:sum_total {second - START} {written}"


def expected(raw: dict[Labels, list[tuple[Millis, float]]], tier: str, closed: int) -> Rollups:
    """What a tier must hold: computed from the raw samples, one by one."""
    found: Rollups = {}
    for labels, points in raw.items():
        kept = KEPT.get(dict(labels)["__name__"], ())
        if not kept or (tier == "hour" and kept is OF_MINUTES):
            continue
        windows: dict[int, list[tuple[Millis, float]]] = defaultdict(list)
        # A sample that came twice is one sample.
        for moment, value in dict(points).items():
            windows[-(-moment // (STEP[tier] * 1000)) * STEP[tier]].append((moment, value))
        for suffix, function in kept.items():
            name = tuple(
                (key, value + suffix if key == "__name__" else value) for key, value in labels
            )
            found[name] = {
                window: function(some) for window, some in windows.items() if window <= closed
            }
    return {labels: windows for labels, windows in found.items() if windows}


def held(tier: dict[Labels, list[tuple[Millis, float]]]) -> Rollups:
    """What a tier holds, without the keeper's own notes."""
    return {
        labels: {moment // 1000: value for moment, value in points}
        for labels, points in tier.items()
        if not dict(labels)["__name__"].startswith("gpuglass_rollup_")
    }


def _average(points: list[tuple[Millis, float]]) -> float:
    return math.fsum(value for _, value in points) / len(points)


def _least(points: list[tuple[Millis, float]]) -> float:
    return min(value for _, value in points)


def _most(points: list[tuple[Millis, float]]) -> float:
    return max(value for _, value in points)


def _sum(points: list[tuple[Millis, float]]) -> float:
    return math.fsum(value for _, value in points)


def _last(points: list[tuple[Millis, float]]) -> float:
    return max(points)[1]


START = int(time.time()) // 3600 * 3600 - 36 * 3600
SCRAPE = 15
STEP = {"minute": 60, "hour": 3600}
# When the process of each node ends.
ENDS = START + 2 * 3600 + 17 * 60 + 40
SPREAD = {"": _average, ":min": _least, ":max": _most}
OF_MINUTES = dict(SPREAD)
LAST = {"": _last}
SUM = {"": _sum}
KEPT = {
    **dict.fromkeys(("gpu_devices", "gpu_power_watts", "gpu_temperature_celsius"), SPREAD),
    **dict.fromkeys(("up", "gpuglass_keeper_targets", "node:gpu_power_watts:sum"), SPREAD),
    **dict.fromkeys(("gpu_energy_joules_total", "gpu_source_info", "gpuglass_build_info"), LAST),
    **dict.fromkeys(("ALERTS", "ALERTS_FOR_STATE", "job:gpu_energy_joules:sum_total"), LAST),
    "node:energy_joules:increase": SUM,
    "gpu_process_memory_used_bytes": OF_MINUTES,
}
