"""The programs of a monitoring host with tiered storage, as setup.sh has them."""

import contextlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import yaml
from tests.bench.scale.exporters import address
from tests.bench.storage.programs import HOUR, MINUTE, RAW, Storage
from tests.integration.alerting import AlertingStack
from tests.integration.stack import ROOT, Program, get, shipped_command, wait_for
from tests.ports import free_port

_PORTS = {
    RAW: "VICTORIAMETRICS",
    MINUTE: "VICTORIAMETRICS_1M",
    HOUR: "VICTORIAMETRICS_1H",
}
# As setup.sh has them where there are tiers.
_PLACES = {
    "MEMORY_PERCENT": "15",
    "RETENTION": "7d",
    "RETENTION_1M": "30d",
    "RETENTION_1H": "400d",
}
_CLUSTERS = 4
_PATIENCE = 180.0
# Bytes in vmagent that wait for no more than the next delivery.
_LITTLE = 1e6
_SAMPLE = re.compile(r"^(\w+)(\{.*\})? (\S+)$", re.MULTILINE)


class Site(AlertingStack):
    """All programs of ``setup.sh --host`` but Grafana; the keeper makes no rollups by itself.

    Args:
        folder: Where they and what they store are put.
        components: Where the programs of others are.
    """

    def __init__(self, folder: Path, components: Path) -> None:
        super().__init__(folder, components, 5.0)
        shutil.copy(ROOT / "victoriametrics/tier.yml", self.targets.parent)
        self.places.update(_PLACES)
        self.tiers = [self._storage(MINUTE), self._storage(HOUR)]
        self.victoriametrics = self._storage(RAW)

    def _storage(self, kind: str) -> Program:
        name = _PORTS[kind]
        port = self.places.setdefault(f"{name}_PORT", str(free_port()))
        self.environment[f"GPUGLASS_{name}_ADDRESS"] = f"127.0.0.1:{port}"
        command = shipped_command(kind, self.places)
        url = f"http://127.0.0.1:{port}/health"
        return Program(command, self.folder / f"{kind}.log", url, self.environment)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Run all of it."""
        try:
            for program in self.tiers:
                program.start()
            self.start()
            yield
        finally:
            self.stop()
            for program in self.tiers:
                program.stop()

    def storage(self, kind: str) -> Storage:
        """One of the storages, to be asked."""
        program = dict(zip(_PORTS, (self.victoriametrics, *self.tiers), strict=True))[kind]
        return Storage(program, self.folder / "data" / kind)

    @property
    def programs(self) -> dict[str, int]:
        """All processes by name."""
        minute, hour = self.tiers
        return {
            "vmagent": self.vmagent.pid,
            "VictoriaMetrics, samples": self.victoriametrics.pid,
            "its tiers": minute.pid,
            "its tiers, hours": hour.pid,
            "vmalert": self.vmalert.pid,
            "Alertmanager": self.alertmanager.pid,
            "keeper": self.keeper.pid,
        }

    def pause(self) -> None:
        """Scrape nothing until ``scrape``."""
        self.vmagent.stop()

    def scrape(self, nodes: int, port: int, seconds: int) -> None:
        """Scrape so many nodes from now on, each once in so many seconds.

        It returns once the first scrapes are stored, which takes the longest, as all series are
        new; or when that has taken too long.

        Args:
            nodes: How many; the first ones.
            port: Of their addresses.
            seconds: From one scrape to the next.
        """
        # What could not be delivered before is none of what comes now.
        shutil.rmtree(self.folder / "data/vmagent", ignore_errors=True)
        groups = [
            {"targets": [found.pop("instance")], "labels": found}
            for found in (labels(number, port) for number in range(nodes))
        ]
        (self.targets / "fleet.yml").write_text(yaml.safe_dump(groups))
        timeout = min(10_000, 900 * seconds)
        self.environment["GPUGLASS_SCRAPE_INTERVAL"] = f"{seconds}s"
        self.environment["GPUGLASS_SCRAPE_TIMEOUT"] = f"{timeout}ms"
        self.vmagent.start()
        wait_for(f"{nodes} nodes are scraped", lambda: self._targets() == nodes, _PATIENCE)
        with contextlib.suppress(AssertionError):
            wait_for("all is stored", lambda: self._waiting() < _LITTLE, _PATIENCE)

    def _targets(self) -> float:
        labels = ('scrape_job="gpu"', 'status="up"')
        return self.agent().total("vm_promscrape_scrape_pool_targets", *labels)

    def _waiting(self) -> float:
        return self.agent().total("vmagent_remotewrite_pending_data_bytes")

    def agent(self) -> "Counts":
        """What vmagent counts now."""
        return Counts(get(f"{self.vmagent_url}/metrics"))


def labels(number: int, port: int) -> dict[str, str]:
    """What a node's targets file says of it, and vmagent."""
    return {
        "cluster": f"c{number % _CLUSTERS}",
        "node": f"node-{number:03}",
        "instance": f"{address(number)}:{port}",
    }


class Counts:
    """A program's own page of metrics.

    Args:
        page: Its text.
    """

    def __init__(self, page: str) -> None:
        self.samples = [
            (name, labels or "", float(value)) for name, labels, value in _SAMPLE.findall(page)
        ]

    def total(self, name: str, *some: str) -> float:
        """The sum over all series of a metric that have some labels, as they are written."""
        return sum(
            value
            for metric, labels, value in self.samples
            if metric == name and all(label in labels for label in some)
        )

    def by(self, name: str, label: str) -> dict[str, float]:
        """The sums of a metric by the values of a label."""
        found: dict[str, float] = {}
        for metric, labels, value in self.samples:
            text = re.search(rf'\b{label}="([^"]*)"', labels)
            if metric == name and text:
                found[text[1]] = found.get(text[1], 0.0) + value
        return found
