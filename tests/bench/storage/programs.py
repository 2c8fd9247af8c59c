"""VictoriaMetrics, vmagent and vmalert, run with the flags that setup.sh gives them."""

import contextlib
import json
import re
import shutil
import time
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from tests import programs
from tests.bench.measure import smaps
from tests.bench.stage import ROOT
from tests.integration.stack import OPEN, Program, environment, shipped_command, wait_for
from tests.ports import free_port

RAW, MINUTE, HOUR = "victoria-metrics", "victoria-metrics-1m", "victoria-metrics-1h"
_PATIENCE = 600.0
# Seconds until a merge that was asked for counts as active.
_MERGE_BEGINS = 0.3
# What is stored is of any time.
_LONG = "100y"
# Of the raw storage, beside two tiers.
_MEMORY_PERCENT = "15"


@dataclass(frozen=True)
class Size:
    """What a storage holds on disk, merged.

    Attributes:
        samples: How many.
        data: Bytes of their values and times.
        index: Bytes of what finds them.
    """

    samples: int
    data: int
    index: int

    @property
    def per_sample(self) -> float:
        """Bytes of a sample, without the index."""
        return self.data / self.samples


class Programs:
    """The programs, each run in a folder of its own.

    Args:
        folder: Where they and what they store are put.
        bin: Where they are, if they were fetched before.
    """

    def __init__(self, folder: Path, bin: Path | None = None) -> None:
        self.folder = folder
        self.bin = bin or programs.fetch(folder / "components")

    @contextlib.contextmanager
    def storage(self, name: str, kind: str = RAW) -> Iterator["Storage"]:
        """Run a VictoriaMetrics, and throw away what it holds at the end.

        Args:
            name: Of its folder.
            kind: Which of ours it is.
        """
        port = free_port()
        data = self.folder / name
        tier = kind.removeprefix(RAW).replace("-", "_").upper()
        places = {
            "BIN": str(self.bin),
            "SOURCE": str(ROOT),
            "DATA": str(data),
            "MEMORY_PERCENT": _MEMORY_PERCENT,
            f"VICTORIAMETRICS{tier}_PORT": str(port),
            f"RETENTION{tier}": _LONG,
        }
        command = shipped_command(kind, places)
        data.mkdir()
        with self._running(command, data / "log", f"http://127.0.0.1:{port}/health") as program:
            try:
                yield Storage(program, data / kind)
            finally:
                program.stop()
                shutil.rmtree(data)

    @contextlib.contextmanager
    def scraper(self, node: str, address: str, storage: "Storage", seconds: int) -> Iterator[None]:
        """Run a vmagent that scrapes one node as ours does, but not our own components.

        Args:
            node: Its name.
            address: Where it is.
            storage: Where the samples go.
            seconds: Between two scrapes.
        """
        folder = self.folder / f"vmagent-{seconds}"
        folder.mkdir()
        groups = [{"targets": [address], "labels": {"node": node}}]
        (folder / "targets.json").write_text(json.dumps(groups))
        source = folder / "source" / "victoriametrics"
        source.mkdir(parents=True)
        shutil.copy(ROOT / "victoriametrics" / "vmagent.sh", source)
        config = yaml.safe_load((ROOT / "victoriametrics" / "scrape.yml").read_text())
        config["scrape_configs"] = [c for c in config["scrape_configs"] if c["job_name"] == "gpu"]
        (source / "scrape.yml").write_text(yaml.safe_dump(config))
        port = free_port()
        places = {
            "BIN": str(self.bin),
            "SOURCE": str(source.parent),
            "VMAGENT_PORT": str(port),
            "VICTORIAMETRICS_PORT": str(storage.port),
            "DATA": str(folder),
        }
        settings = environment(
            GPUGLASS_SCRAPE_INTERVAL=f"{seconds}s",
            GPUGLASS_SCRAPE_TIMEOUT=f"{900 * seconds}ms",
            GPUGLASS_TARGETS_PUBLISHED=str(folder),
            GPUGLASS_TLS_DIR=str(folder / "tls"),
            GPUGLASS_PASSWORD_FILE=OPEN["PASSWORD_FILE"],
        )
        command = shipped_command("vmagent", places)
        url = f"http://127.0.0.1:{port}/health"
        with self._running(command, folder / "log", url, settings):
            yield

    @contextlib.contextmanager
    def _running(
        self, command: list[str], log: Path, url: str, settings: dict[str, str] | None = None
    ) -> Iterator[Program]:
        program = Program(command, log, url, settings or environment())
        try:
            program.start()
            yield program
        finally:
            program.stop()


class Storage:
    """A VictoriaMetrics that runs."""

    def __init__(self, program: Program, folder: Path) -> None:
        self._program, self._folder = program, folder
        self.url = program.url.removesuffix("/health")
        self.port = int(self.url.rpartition(":")[2])

    @property
    def pid(self) -> int:
        """Its process."""
        return self._program.pid

    def get(
        self,
        path: str,
        arguments: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
    ) -> bytes:
        """What it answers.

        Args:
            path: From the root.
            arguments: Of the query.
            body: What is posted, if anything.
        """
        url = f"{self.url}{path}?{urllib.parse.urlencode(arguments)}"
        with urllib.request.urlopen(url, body, timeout=_PATIENCE) as answer:
            return bytes(answer.read())

    def settle(self) -> Size:
        """Write all to disk and merge it; what it then holds."""
        # It ends with all on disk, much sooner than by itself.
        self._program.stop()
        self._program.start()
        # It answers before it has begun.
        self.get("/internal/force_merge")
        time.sleep(_MERGE_BEGINS)
        wait_for("all is merged", lambda: not self._total("vm_active_force_merges"), _PATIENCE)
        return Size(
            self._total("vm_rows", "storage/.*"),
            self._total("vm_data_size_bytes", "storage/.*"),
            self._total("vm_data_size_bytes", "indexdb/.*"),
        )

    def _total(self, metric: str, kind: str = "") -> int:
        labels = rf'\{{type="{kind}"\}}' if kind else ""
        page = self.get("/metrics").decode()
        return int(sum(map(float, re.findall(rf"^{metric}{labels} (\S+)$", page, re.M))))

    def months(self) -> dict[str, int]:
        """Bytes of samples on disk by month: ``2020_01``."""
        sizes: dict[str, int] = {}
        for kind in ("small", "big"):
            for month in (self._folder / "data" / kind).glob("*_*"):
                files = (path.stat().st_size for path in month.rglob("*") if path.is_file())
                sizes[month.name] = sizes.get(month.name, 0) + sum(files)
        return sizes

    def rss(self) -> float:
        """Its resident memory, in MiB."""
        return smaps(self.pid, "", 0).rss

    def flush(self) -> None:
        """Let questions see what was taken until now."""
        self.get("/internal/force_flush")

    def export(self, form: str = "", selector: str = '{__name__!=""}') -> bytes:
        """What it holds.

        Args:
            form: The end of the path; lines of JSON without it.
            selector: Of which series.
        """
        return self.get(f"/api/v1/export{form}", {"match[]": selector})

    def take(self, lines: Iterable[str]) -> None:
        """Store samples: lines of JSON as it exports them, posted in pieces."""
        piece: list[str] = []
        size = 0
        for line in lines:
            piece.append(line)
            size += len(line)
            if size > 1 << 24:
                self.get("/api/v1/import", body="\n".join(piece).encode())
                piece, size = [], 0
        if piece:
            self.get("/api/v1/import", body="\n".join(piece).encode())
