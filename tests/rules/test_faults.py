"""Every alert that the stand-in driver can cause fires, of the right GPU, and nothing else does.

Real exporters tell of scenarios, the real storage keeps what they tell, and vmalert evaluates our
rules on it, over the hours that rules wait.
"""

import datetime
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from grafana.builder.metricsql import named
from prometheus_client import generate_latest
from tests.exporter.process import Serve
from tests.exporter.process import play as replace_scenario
from tests.integration.stack import Stack, get
from tests.rules.conftest import ALERTS, RECORDS, rules
from tests.rules.faults import FAULTS, IMPOSSIBLE, Fault
from tests.rules.recording import Samples, Stage, Taken, play, read

from gpuglass.keeper import metrics
from gpuglass.keeper.choices import Choices

ALERT_RULES = {rule["alert"]: rule for rule in rules()}
RECORD_RULES = {rule["record"]: rule for rule in rules(RECORDS)}
HEALTHY = """\
gpus 8 preset=h200
gpu 1 preset=rtx4090 display=on
gpu 2 preset=v100
gpu 3 preset=a100
gpu 4 preset=gh200
gpu 5 preset=l40s
gpu 7 preset=b200
load gpu=0 wave min=0.7 max=0.98 period=10s
load gpu=1 idle
load gpu=2 constant 0.5
load gpu=3 burst min=0 max=0.9 period=5s duty=0.5
load gpu=4 constant 0.97
load gpu=5 constant 0.3
mig gpu=6 profile=3g.71gb
load gpu=6 constant 0.5
load gpu=7 constant 0.8
process pid=4200000 gpu=0 type=compute memory=60GiB
process pid=4200004 gpu=4 type=compute memory=80GiB
at 0s ecc corrected=2 location=dram gpu=0
at 1s xid code=13 gpu=0
at 1s xid code=43 gpu=3
at 1s pcie-replay count=2 gpu=5
at 0s throttle reason=sw_power_cap gpu=4
"""
# More than that in one process would make it slow.
MOST = 20
SETTLING, STEP = 12.0, 10.0
BEFORE, AFTER = 60 * 60.0, 75 * 60.0
# So often is read what changes seldom: a test of what is on the page, not of when.
ARGUMENTS = (
    *("--probe.slow-interval", "1s", "--probe.deadline", "3s", "--path.kmsg", "/nonexistent"),
    *("--interval.ratings", "1s", "--interval.limits", "1s"),
)
CHOICES = Choices(temperature=95, utilization=0.99, memory=0.97)


class Node(NamedTuple):
    """A node and the faults of its GPUs, in the order of their indexes."""

    name: str
    faults: tuple[Fault, ...] = ()

    @property
    def cluster(self) -> str:
        """Nodes of their own are no cluster; those that are compared with each other are."""
        return "mixed" if self.name in ("other", "fewer") else self.name

    def scenario(self, start: float, at: float | None = None) -> str:
        """What its driver plays, with the faults from a moment on if one is given."""
        lines = [f"start {start:.0f}", "root on"]
        if not self.faults:
            return "\n".join([*lines, HEALTHY])
        lines.append(f"gpus {max(2, len(self.faults))} preset=h200")
        lines += [f"gpu {gpu} preset={fault.preset}" for gpu, fault in enumerate(self.faults)]
        lines += [fault.base.format(gpu=gpu) for gpu, fault in enumerate(self.faults)]
        if at is not None:
            moment = f"{at - start:.0f}s"
            lines += [fault.lines.format(gpu=g, at=moment) for g, fault in enumerate(self.faults)]
        return "\n".join([*lines, ""])

    def expected(self) -> set[tuple[str, str, str]]:
        """The alerts that fire: name, node or cluster, GPU."""
        found = set()
        for alert, fault in FAULTS.items():
            if fault in self.faults:
                gpu = "" if fault.whole_node else str(self.faults.index(fault))
                where = self.cluster if alert == "GPUDriverMismatch" else self.name
                found.add((alert, where, gpu))
                for other in fault.also:
                    name, slash, its_gpu = other.partition("/")
                    found.add((name, self.name, its_gpu if slash else gpu))
        return found


def nodes() -> list[Node]:
    """The nodes that the table asks for, and a healthy one."""
    by_node: dict[str, list[Fault]] = {}
    for fault in dict.fromkeys(FAULTS.values()):
        by_node.setdefault(fault.node, []).append(fault)
    made = [Node("healthy")]
    for name, faults in by_node.items():
        for number, first in enumerate(range(0, len(faults), MOST)):
            part = tuple(faults[first : first + MOST])
            made.append(Node(f"{name}{number or ''}", part))
    return made


def wanted() -> set[str]:
    """The metrics that the rules ask for, also by way of what is recorded."""
    found: set[str] = set()
    waiting = [rule["expr"] for rule in ALERT_RULES.values()]
    while waiting:
        for metric in named(waiting.pop()).metrics - found:
            found.add(metric)
            if metric in RECORD_RULES:
                waiting.append(RECORD_RULES[metric]["expr"])
    return found


class Fleet:
    """The exporters of all nodes, whose pages are taken together."""

    def __init__(self, folder: Path, driver: Path) -> None:
        self.nodes = nodes()
        self.metrics = wanted()
        self._folder = folder
        self._driver = driver
        self._serving: dict[str, Serve] = {}
        self._pool = ThreadPoolExecutor(len(self.nodes))
        self.start = time.time()

    def begin(self) -> None:
        """Start all of them, with nothing wrong."""
        list(self._pool.map(self._begin, self.nodes))

    def spoil(self) -> None:
        """Let the faults begin."""
        at = time.time()
        for node in self.nodes:
            replace_scenario(self._path(node), node.scenario(self.start, at))
        # Faults begin at whole seconds, and what looks at its start has to find them.
        time.sleep(2)
        for node in self.nodes:
            if any(fault.restarts for fault in node.faults):
                self._serving[node.name].close()
                self._serve(node)

    def take(self, pages: int) -> list[Taken]:
        """Pages of all nodes, so many, one after the other."""
        taken = []
        due = time.time()
        for _ in range(pages):
            time.sleep(max(0.0, due - time.time()))
            page = Taken(time.time(), dict(self._of_keeper()))
            for samples in self._pool.map(self._page, self.nodes):
                page.samples.update(samples)
            taken.append(page)
            due += STEP
        return taken

    def close(self) -> None:
        """End all of them."""
        list(self._pool.map(Serve.close, self._serving.values()))
        self._pool.shutdown()

    def _begin(self, node: Node) -> None:
        replace_scenario(self._path(node), node.scenario(self.start))
        self._serve(node)
        # What is not on the page before a fault cannot change by it.
        self._serving[node.name].wait_ready()

    def _serve(self, node: Node) -> None:
        arguments = ("--node.name", node.name, *ARGUMENTS)
        self._serving[node.name] = Serve(arguments, self._driver, self._path(node), {})
        self._serving[node.name].wait(lambda: "gpu_energy_joules_total{" in self._text(node))

    def _path(self, node: Node) -> Path:
        return self._folder / f"{node.name}.conf"

    def _text(self, node: Node) -> str:
        return self._serving[node.name].get().text

    def _page(self, node: Node) -> Samples:
        labels = {"job": "gpu", "instance": f"{node.name}:9400", "cluster": node.cluster}
        text = self._text(node)
        text += (
            f'up{{node="{node.name}"}} 1\nscrape_duration_seconds 0.01\nscrape_timeout_seconds 4\n'
        )
        return read(text, self.metrics, node=node.name, **labels)

    def _of_keeper(self) -> Samples:
        text = generate_latest(metrics.registry([CHOICES])).decode()
        keeper = read(text, self.metrics, job="keeper", instance="127.0.0.1:9401")
        return {**keeper, **read("up 1", self.metrics, job="vmagent", instance="127.0.0.1:8429")}


def replay(stack: Stack, vmalert: Path, rule_file: Path, start: float, end: float) -> None:
    """Evaluate rules on what was; what they make is in the storage afterwards."""
    moments = [
        datetime.datetime.fromtimestamp(t, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        for t in (start, end)
    ]
    made = subprocess.run(
        [
            vmalert,
            f"-rule={rule_file}",
            f"-datasource.url={stack.url}",
            f"-remoteWrite.url={stack.url}",
            f"-replay.timeFrom={moments[0]}",
            f"-replay.timeTo={moments[1]}",
            "-replay.rulesDelay=0s",
            "-replay.maxDatapointsPerQuery=10000",
            "-replay.disableProgressBar",
            "-loggerLevel=WARN",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    get(f"{stack.url}/internal/force_flush")


def needed(folder: Path) -> Iterator[Path]:
    """Rule files for a replay: first what is recorded for alerts, then the alerts.

    Alerts without annotations, for a replay cannot ask what they ask.
    """
    asked = wanted()
    for number, path in enumerate([*RECORDS, *ALERTS]):
        text = yaml.safe_load(path.read_text())
        for group in text["groups"]:
            kept = [
                r
                for r in group["rules"]
                if r.get("record", r.get("alert")) in asked or "alert" in r
            ]
            group["rules"] = [{k: v for k, v in r.items() if k != "annotations"} for r in kept]
        if any(group["rules"] for group in text["groups"]):
            made = folder / f"{number:02}-{path.name}"
            made.write_text(yaml.safe_dump(text, sort_keys=False))
            yield made


Fired = set[tuple[str, str, str]]


class Proof(NamedTuple):
    """What fired: name, node or cluster, GPU."""

    nodes: list[Node]
    fired: Fired


def _told(labels: dict[str, str]) -> tuple[str, str, str]:
    where = labels.get("node", labels.get("cluster", ""))
    return labels["alertname"], where, labels.get("gpu", "")


@pytest.fixture(scope="module")
def proof(
    tmp_path_factory: pytest.TempPathFactory, components: Path, simulator: Path
) -> Iterator[Proof]:
    folder = tmp_path_factory.mktemp("faults")
    stack = Stack(folder / "stack", components)
    fleet = Fleet(folder, simulator)
    try:
        stack.victoriametrics.start()
        fleet.begin()
        before = fleet.take(3)
        fleet.spoil()
        time.sleep(SETTLING)
        after = fleet.take(3)
    finally:
        fleet.close()
    try:
        end = time.time() - 60
        start = end - BEFORE - AFTER
        lines = "\n".join(play([Stage(before, BEFORE), Stage(after, AFTER)], start))
        urllib.request.urlopen(f"{stack.url}/api/v1/import", lines.encode(), timeout=60).close()
        get(f"{stack.url}/internal/force_flush")
        for path in needed(folder):
            replay(stack, components / "vmalert", path, start + BEFORE - 60, end)
        firing = map(dict, stack.export('ALERTS{alertstate="firing"}'))
        yield Proof(fleet.nodes, {_told(labels) for labels in firing})
    finally:
        stack.stop()


def test_a_fault_makes_its_alert_fire_and_no_other(proof: Proof) -> None:
    expected = {one for node in proof.nodes for one in node.expected()}
    told = {one for one in proof.fired if one[0] != "GPUStackWatchdog"}
    assert sorted(expected - told) == []
    assert sorted(told - expected) == []


def test_nothing_fires_of_a_healthy_node(proof: Proof) -> None:
    assert "GPUStackWatchdog" in {name for name, _, _ in proof.fired}
    assert {one for one in proof.fired if one[1] == "healthy"} == set()


def test_every_alert_has_a_fault_or_a_reason() -> None:
    assert not FAULTS.keys() & IMPOSSIBLE.keys()
    assert FAULTS.keys() | IMPOSSIBLE.keys() == ALERT_RULES.keys()
    assert all(IMPOSSIBLE.values())
