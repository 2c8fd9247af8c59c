"""The stack with vmalert, and an Alertmanager that the keeper sets up."""

import json
import shutil
from pathlib import Path
from typing import Any

from tests.integration.alertmanager import TestedAlertmanager
from tests.integration.stack import ROOT, Program, Stack, environment, get, shipped_command
from tests.ports import free_port

SOURCE = ROOT / "victoriametrics/alertmanager"


class ShippedAlertmanager(TestedAlertmanager):
    """Alertmanager as it is shipped, with its data and configuration in a folder."""

    def __init__(self, components: Path, data: Path, port: int = 0) -> None:
        self.published = data / "alertmanager/published"
        self.published.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        places = {
            "BIN": str(components),
            "DATA": str(data),
            "NODE_NAME": "monitor",
            "ALERTMANAGER_PORT": str(self.port),
        }
        self.base = f"http://127.0.0.1:{self.port}"
        command = shipped_command("alertmanager", places)
        url = f"{self.base}/-/ready"
        Program.__init__(self, command, data / "alertmanager.log", url, environment())

    def alerts(self) -> list[dict[str, Any]]:
        """What it knows of."""
        found: list[dict[str, Any]] = json.loads(get(f"{self.base}/api/v2/alerts"))
        return found

    def suppressed(self) -> set[str]:
        """The names of the alerts that another one inhibits."""
        return {a["labels"]["alertname"] for a in self.alerts() if a["status"]["inhibitedBy"]}

    @property
    def running(self) -> str:
        """The configuration that it runs, without its secrets."""
        return str(json.loads(get(f"{self.base}/api/v2/status"))["config"]["original"])


class AlertingStack(Stack):
    """The stack, with vmalert on a copy of the rules, and Alertmanager."""

    def __init__(self, folder: Path, components: Path, scrape_interval: float = 1.0) -> None:
        super().__init__(folder, components, scrape_interval)
        data = folder / "data"
        data.mkdir()
        source = folder / "source/victoriametrics"
        shutil.copytree(ROOT / "victoriametrics/rules", source / "rules", dirs_exist_ok=True)
        self.rules = source / "rules/alerts"
        port = int(self.places["ALERTMANAGER_PORT"])
        self.alertmanager = ShippedAlertmanager(components, data, port)
        own = f"http://127.0.0.1:{self.places['VMALERT_PORT']}"
        places = {**self.places, "EXTERNAL_URL": own, "EXTERNAL_PATH": ""}
        self.vmalert = Program(
            shipped_command("vmalert", places),
            folder / "vmalert.log",
            f"{own}/health",
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
