"""A real Alertmanager that tells nobody."""

import json
import time
import urllib.request
from pathlib import Path

from tests.integration.stack import Program, environment
from tests.ports import free_port

CONFIG = "route: {receiver: none}\nreceivers: [{name: none}]\n"


class TestedAlertmanager(Program):
    """One that is given alerts as vmalert would."""

    __test__ = False

    def __init__(self, bin_folder: Path, folder: Path) -> None:
        config = folder / "alertmanager.yml"
        config.write_text(CONFIG)
        self.base = f"http://127.0.0.1:{free_port()}"
        command = [
            str(bin_folder / "alertmanager"),
            f"--config.file={config}",
            f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address={self.base.removeprefix('http://')}",
            "--cluster.listen-address=",
        ]
        url = f"{self.base}/-/ready"
        super().__init__(command, folder / "alertmanager.log", url, environment())

    def fire(self, *alerts: dict[str, str], seconds: float = 600.0) -> None:
        """Take alerts by their labels in; what is fired for 0 seconds has ended."""
        ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
        started = "2026-01-01T00:00:00Z"
        body = [
            {"labels": a, "annotations": {"summary": "it"}, "startsAt": started, "endsAt": ends}
            for a in alerts
        ]
        request = urllib.request.Request(
            f"{self.base}/api/v2/alerts",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=10).close()
