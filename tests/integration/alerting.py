"""The stack with vmalert, and an Alertmanager that the keeper sets up."""

import json
import shutil
import urllib.request
from pathlib import Path
from typing import Any

from tests.integration.stack import ROOT, Program, Stack, environment, get, shipped_command
from tests.ports import free_port

SOURCE = ROOT / "victoriametrics/alertmanager"


class Alertmanager(Program):
    """Alertmanager as it is shipped, with its data and configuration in a folder."""

    def __init__(self, components: Path, data: Path, port: int = 0) -> None:
        self.port = port or free_port()
        self.published = data / "alertmanager/published"
        self.published.mkdir(parents=True, exist_ok=True)
        places = {
            "BIN": str(components),
            "DATA": str(data),
            "ALERTMANAGER_PORT": str(self.port),
        }
        self.address = f"http://127.0.0.1:{self.port}"
        super().__init__(
            shipped_command("alertmanager", places),
            data / "alertmanager.log",
            f"{self.address}/-/ready",
            environment(),
        )

    def send(self, *alerts: dict[str, str]) -> None:
        """Have it told of alerts that fire, by their labels."""
        body = json.dumps([{"labels": labels} for labels in alerts]).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.address}/api/v2/alerts", body, headers)
        with urllib.request.urlopen(request, timeout=10):
            pass

    def alerts(self) -> list[dict[str, Any]]:
        """What it knows of."""
        found: list[dict[str, Any]] = json.loads(get(f"{self.address}/api/v2/alerts"))
        return found

    def suppressed(self) -> set[str]:
        """The names of the alerts that another one inhibits."""
        return {a["labels"]["alertname"] for a in self.alerts() if a["status"]["inhibitedBy"]}

    @property
    def running(self) -> str:
        """The configuration that it runs, without its secrets."""
        return str(json.loads(get(f"{self.address}/api/v2/status"))["config"]["original"])


class AlertingStack(Stack):
    """The stack, with vmalert on a copy of the rules, and Alertmanager."""

    def __init__(self, folder: Path, components: Path, scrape_interval: float = 1.0) -> None:
        super().__init__(folder, components, scrape_interval)
        data = folder / "data"
        data.mkdir()
        source = folder / "source/victoriametrics"
        shutil.copytree(ROOT / "victoriametrics/rules", source / "rules", dirs_exist_ok=True)
        self.rules = source / "rules/alerts"
        self.alertmanager = Alertmanager(components, data, int(self.places["ALERTMANAGER_PORT"]))
        places = {**self.places, "NODE_NAME": "grafana.example.org"}
        self.vmalert = Program(
            shipped_command("vmalert", places),
            folder / "vmalert.log",
            f"http://127.0.0.1:{places['VMALERT_PORT']}/health",
            environment(),
        )

    def start(self) -> None:
        super().start()
        self.alertmanager.start()
        self.vmalert.start()

    def stop(self) -> None:
        self.vmalert.stop()
        self.alertmanager.stop()
        super().stop()
