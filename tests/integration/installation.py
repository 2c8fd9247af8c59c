"""An installation whose storage runs by the command lines of deploy/native."""

import json
import shutil
import subprocess
import threading
import time
import urllib.parse
from pathlib import Path

from tests.integration.stack import (
    GPUGLASS,
    PATIENCE,
    ROOT,
    Labels,
    Program,
    Samples,
    environment,
    shipped_command,
)
from tests.ports import free_port

from gpuglass.keeper.http import Login, Way, ask

# By the names that backups have for them: program, and what its port is called.
STORES = {
    "raw": ("victoria-metrics", "VICTORIAMETRICS"),
    "1m": ("victoria-metrics-1m", "VICTORIAMETRICS_1M"),
    "1h": ("victoria-metrics-1h", "VICTORIAMETRICS_1H"),
}


class Installation:
    """A clone, a folder of data, and the storages.

    Args:
        folder: Where to put it.
        programs: The folder of the programs of others.
        tiered: Whether it has tiers.
        raw_retention: How long the samples themselves are kept.
    """

    def __init__(
        self, folder: Path, programs: Path, tiered: bool, raw_retention: str = "400d"
    ) -> None:
        self.clone, self.data, self._programs = folder / "clone", folder / "data", programs
        theirs = self.clone / "victoriametrics"
        for name in ("targets", "rules/custom", "alertmanager"):
            (theirs / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "victoriametrics/tier.yml", theirs)
        self.data.mkdir(exist_ok=True)
        self.password_file = self.data / "access/password"
        self.password_file.parent.mkdir(exist_ok=True)
        self.password_file.write_text(f"secret-of-{folder.name}")
        self.way = Way(login=Login("gpuglass", self.password_file))
        self.url: dict[str, str] = {}
        self.program: dict[str, Program] = {}
        for name in STORES if tiered else ("raw",):
            self._add(name, folder, raw_retention)

    def _add(self, name: str, folder: Path, raw_retention: str) -> None:
        program, port_name = STORES[name]
        port = str(free_port())
        places = {
            "BIN": str(self._programs),
            "SOURCE": str(self.clone),
            "DATA": str(self.data),
            "RETENTION": raw_retention,
            "RETENTION_1M": "30d",
            "RETENTION_1H": "400d",
            "MEMORY_PERCENT": "5",
            "HTTP_USER": "gpuglass",
            "PASSWORD_FILE": str(self.password_file),
            f"{port_name}_PORT": port,
        }
        self.url[name] = f"http://127.0.0.1:{port}"
        self.program[name] = Program(
            shipped_command(program, places),
            folder / f"{program}.log",
            f"{self.url[name]}/health",
            environment(),
        )

    def start(self) -> None:
        for program in self.program.values():
            program.start()

    def stop(self) -> None:
        for program in self.program.values():
            program.stop()

    def command(self, *arguments: str) -> list[str]:
        """A command line of gpuglass that is about this installation."""
        return [*GPUGLASS, *arguments]

    def environment(self, **more: str) -> dict[str, str]:
        """What tells gpuglass about this installation, as setup.sh does."""
        tiers = {}
        if "1h" in self.url:
            tiers = {
                "GPUGLASS_ROLLUP_MINUTE_URL": self.url["1m"],
                "GPUGLASS_ROLLUP_HOUR_URL": self.url["1h"],
            }
        programs = ("vmbackup", "vmrestore", "vmalert")
        told = {
            "GPUGLASS_SOURCE_DIR": str(self.clone),
            "GPUGLASS_DATA_DIR": str(self.data),
            "GPUGLASS_VICTORIAMETRICS_URL": self.url["raw"],
            "GPUGLASS_PASSWORD_FILE": str(self.password_file),
            **{f"GPUGLASS_{name.upper()}_PATH": str(self._programs / name) for name in programs},
        }
        return environment(**{**told, **tiers, **more})

    def gpuglass(self, *arguments: str, **more: str) -> tuple[int, str]:
        """Run a command to its end; its exit code and all that it printed."""
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment(**more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=2 * PATIENCE,
            check=False,
        )
        return done.returncode, done.stdout

    def write(self, name: str, lines: list[str]) -> None:
        """Store samples: text format, with times in milliseconds."""
        body = "\n".join(lines).encode()
        ask(f"{self.url[name]}/api/v1/import/prometheus", body, way=self.way)

    def get(self, name: str, path: str, **arguments: str) -> str:
        """What a storage answers."""
        query = urllib.parse.urlencode(arguments)
        return ask(f"{self.url[name]}{path}?{query}", way=self.way).decode()

    def flush(self, name: str) -> None:
        self.get(name, "/internal/force_flush")

    def export(self, name: str, selector: str) -> dict[Labels, Samples]:
        """Every sample of a storage: by the labels of the series, (Unix time, value)."""
        arguments = {"match[]": selector, "reduce_mem_usage": "0"}
        series: dict[Labels, Samples] = {}
        for line in self.get(name, "/api/v1/export", **arguments).splitlines():
            entry = json.loads(line)
            times = (moment / 1000 for moment in entry["timestamps"])
            points = list(zip(times, entry["values"], strict=True))
            series.setdefault(tuple(sorted(entry["metric"].items())), []).extend(points)
        return {labels: sorted(points) for labels, points in series.items()}

    def answer(self, name: str, promql: str, start: float, end: float, step: float) -> object:
        """What PromQL says over some time."""
        arguments = {"query": promql, "start": str(start), "end": str(end), "step": f"{step:g}s"}
        answer = json.loads(self.get(name, "/api/v1/query_range", nocache="1", **arguments))
        return sorted(answer["data"]["result"], key=str)

    def snapshots(self) -> list[str]:
        """The snapshots that there are, of all storages."""
        return [
            path.name
            for name in self.url
            for path in (self.data / STORES[name][0] / "snapshots").glob("*")
        ]


class Writer(threading.Thread):
    """Writes to all storages of an installation, without a pause, until it is ended.

    Attributes:
        written: How many rounds each storage has taken; round n is a sample of value n.
    """

    def __init__(self, installation: Installation) -> None:
        super().__init__(daemon=True)
        self._installation = installation
        self._ending = threading.Event()
        self.written = 0

    def run(self) -> None:
        while not self._ending.is_set():
            number = self.written + 1
            moment = time.time_ns() // 1_000_000
            for name in self._installation.url:
                self._installation.write(
                    name,
                    [f'round{{series="{i}"}} {number} {moment}' for i in range(20)],
                )
            self.written = number
            time.sleep(0.005)

    def end(self) -> None:
        self._ending.set()
        self.join()
