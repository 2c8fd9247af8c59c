"""A keeper that sees to receivers, and what its tests write into the file."""

import subprocess
import time
from pathlib import Path

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.integration.stack import copy_base

from gpuglass.catalogue import keeper as catalogue
from gpuglass.keeper import metrics
from gpuglass.keeper.receivers.keeper import ReceiversKeeper

PAGE = "receivers: [{name: page, webhook_configs: [{url: 'http://h/'}]}]\n"


class House:
    """A keeper with a receivers file and the folder that Alertmanager reads."""

    def __init__(self, folder: Path, components: Path, published: Path, url: str) -> None:
        self.file = copy_base(folder / "source")
        self.published = published / "alertmanager.yml"
        self.amtool = str(components / "amtool")
        self.skipped = 0.0
        self.keeper = ReceiversKeeper(
            self.file, published, self.amtool, url, clock=lambda: time.monotonic() + self.skipped
        )

    def settle(self) -> None:
        """Two looks: the first sees a change, the second that it has stayed."""
        self.keeper.check()
        self.keeper.check()

    def write(self, text: str) -> None:
        self.file.write_text(text)
        self.settle()

    def metrics(self) -> dict[str, float]:
        page = generate_latest(metrics.registry([self.keeper])).decode()
        return {
            sample.name: sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
        }

    @property
    def is_valid(self) -> bool:
        return self.metrics()[catalogue.RECEIVERS_FILE_VALID.name] == 1

    def receivers_of(self, **labels: str) -> list[str]:
        """Whom what is published would tell of an alert."""
        done = subprocess.run(
            [
                *(self.amtool, "config", "routes", "test", f"--config.file={self.published}"),
                *(f"{name}={value}" for name, value in labels.items()),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip().split(",")


def having(*names: str) -> str:
    """A file with receivers of these names."""
    lines = (f"- {{name: {name}, webhook_configs: [{{url: 'http://h/'}}]}}\n" for name in names)
    return "receivers:\n" + "".join(lines)
