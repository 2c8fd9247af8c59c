"""The real programs, run as setup.sh runs them, on free ports and in a folder of their own."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
GPUGLASS = (sys.executable, "-m", "gpuglass")
SCRAPE_INTERVAL = 1.0
PATIENCE = 60.0
# What the keeper tells the rules.
KWH_PRICE, GPU_HOUR_PRICE, PUE, KWH_CARBON = 0.31, 2.5, 1.25, 380.0

LISTENING = ("VICTORIAMETRICS", "VMAGENT", "VMALERT", "ALERTMANAGER", "KEEPER")
# As with --insecure, on the loopback: whom nobody asks for a password may say anything.
OPEN = {
    **{f"LISTEN_{name}": "127.0.0.1" for name in LISTENING},
    "HTTP_USER": "",
    "PASSWORD_FILE": "/proc/sys/kernel/ostype",
    "ALERTMANAGER_WEB": "",
}

T = TypeVar("T")
Labels = tuple[tuple[str, str], ...]
Samples = list[tuple[float, float]]


def wait_for(what: str, answer: Callable[[], T | None], seconds: float = PATIENCE) -> T:
    """The first true answer; an error that names what was waited for if there is none in time."""
    deadline = time.monotonic() + seconds
    last: Any = None
    while time.monotonic() < deadline:
        try:
            last = found = answer()
            if found:
                return found
        except OSError as error:
            last = error
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {seconds:g} s; the last answer was {last!r}")


def get(url: str, **arguments: str) -> str:
    query = f"?{urllib.parse.urlencode(arguments)}" if arguments else ""
    with urllib.request.urlopen(url + query, timeout=10) as response:
        return str(response.read().decode())


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GPUGLASS_")}
    return {**kept, "PYTHONPATH": str(ROOT / "exporter"), **more}


def shipped_command(name: str, places: dict[str, str]) -> list[str]:
    """The command line of a program, as deploy/native has it for the supervisor.

    Unless ``places`` say otherwise, it asks nobody for a password.
    """
    text = (ROOT / "deploy/native/programs" / f"{name}.conf").read_text()
    text = text.partition("\ncommand=")[2]
    lines = text.splitlines()
    end = next(i for i, line in enumerate(lines[1:], 1) if not line.startswith(" "))
    command = " ".join(lines[:end])
    for place, value in (OPEN | places).items():
        command = command.replace(f"@{place}@", value)
    assert "@" not in command, f"a place of {name}.conf that this test does not know: {command}"
    return shlex.split(command)


def copy_base(folder: Path) -> Path:
    """A folder with our part of Alertmanager's configuration; the file for the user's part."""
    folder.mkdir(parents=True)
    for name in ("base.yml", "messages.tmpl"):
        shutil.copy(ROOT / "victoriametrics/alertmanager" / name, folder)
    return folder / "receivers.yml"


class Program:
    """One process, with its log in a file."""

    def __init__(self, command: list[str], log: Path, url: str, env: dict[str, str]) -> None:
        self.command, self.url = command, url
        self._log, self._env = log, env
        self._process: subprocess.Popen[bytes] | None = None
        self.started = 0.0

    @property
    def log(self) -> str:
        return self._log.read_text()

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command, stdout=log, stderr=subprocess.STDOUT, env=self._env
            )
        wait_for(f"{self._log.stem} answers", self._answers)
        self.started = time.time()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """End it with SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(PATIENCE)

    def stop(self) -> int:
        """Ask it to end, as a supervisor does, and return its exit status."""
        if self._process is None:
            return 0
        self._process.terminate()
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"{self.command} ended:\n{self.log}")
        get(self.url)
        return True


class Stack:
    """VictoriaMetrics, vmagent and the keeper, on a copy of what they read."""

    def __init__(
        self, folder: Path, bin_folder: Path, scrape_interval: float = SCRAPE_INTERVAL
    ) -> None:
        self.folder = folder
        self.targets = folder / "source/victoriametrics/targets"
        self.published = folder / "published"
        self.tls_dir = folder / "data/tls"
        self.targets.mkdir(parents=True)
        for file in ("scrape.yml", "vmagent.sh"):
            shutil.copy(ROOT / "victoriametrics" / file, self.targets.parent)
        (self.targets.parent / "rules/custom").mkdir(parents=True)
        self.receivers = copy_base(self.targets.parent / "alertmanager")
        names = ("VICTORIAMETRICS", "VMAGENT", "KEEPER", "VMALERT", "ALERTMANAGER")
        ports = {name: free_port() for name in names}
        self.places = places = {
            "BIN": str(bin_folder),
            "VENV": "/nowhere",
            "SOURCE": str(folder / "source"),
            "PUBLISHED": str(self.published),
            "DATA": str(folder / "data"),
            "RETENTION": "400d",
            "MEMORY_PERCENT": "25",
            **{f"{name}_PORT": str(port) for name, port in ports.items()},
        }
        addresses = {f"GPUGLASS_{n}_ADDRESS": f"127.0.0.1:{p}" for n, p in ports.items()}
        self.environment = env = environment(
            GPUGLASS_SCRAPE_INTERVAL=f"{scrape_interval:g}s",
            GPUGLASS_SCRAPE_TIMEOUT=f"{900 * scrape_interval:g}ms",
            GPUGLASS_TARGETS_PUBLISHED=str(self.published),
            GPUGLASS_TLS_DIR=str(self.tls_dir),
            GPUGLASS_PASSWORD_FILE=OPEN["PASSWORD_FILE"],
            GPUGLASS_COST_KWH_PRICE=str(KWH_PRICE),
            GPUGLASS_COST_GPU_HOUR_PRICE=str(GPU_HOUR_PRICE),
            GPUGLASS_COST_CURRENCY="EUR",
            GPUGLASS_COST_PUE=str(PUE),
            GPUGLASS_COST_CARBON_GRAMS_PER_KWH=str(KWH_CARBON),
            GPUGLASS_VICTORIAMETRICS_1M_ADDRESS="none",
            GPUGLASS_VICTORIAMETRICS_1H_ADDRESS="none",
            GPUGLASS_GRAFANA_ADDRESS="none",
            GPUGLASS_VMAUTH_ADDRESS="none",
            **addresses,
        )
        base = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        self.url = base["VICTORIAMETRICS"]
        self.vmagent_url, self.keeper_url = base["VMAGENT"], base["KEEPER"]

        def program(name: str, url: str) -> Program:
            return Program(shipped_command(name, places), folder / f"{name}.log", url, env)

        self.victoriametrics = program("victoria-metrics", f"{self.url}/health")
        self.vmagent = program("vmagent", f"{self.vmagent_url}/health")
        self.keeper = program("keeper", f"{self.keeper_url}/metrics")
        self.keeper.command[0:1] = GPUGLASS
        self.exporters: list[Program] = []

    def start(self) -> None:
        for program in (self.victoriametrics, self.keeper, self.vmagent):
            program.start()

    def stop(self) -> None:
        for program in (self.vmagent, self.keeper, self.victoriametrics, *self.exporters):
            program.stop()

    def exporter(self, node: str, scenario: str, simulator: Path, *more: str) -> str:
        """Start an exporter on the stand-in driver, with more arguments; its address."""
        path = self.folder / f"{node}.conf"
        path.write_text(scenario)
        address = f"127.0.0.1:{free_port()}"
        command = [*GPUGLASS, "serve", "--web.listen-address", address, "--node.name", node, *more]
        env = environment(GPUGLASS_SIM_SCENARIO=str(path), LD_LIBRARY_PATH=str(simulator))
        started = Program(command, self.folder / f"{node}.log", f"http://{address}/metrics", env)
        self.exporters.append(started)
        started.start()
        wait_for(
            f"{node} has read its GPUs",
            lambda: "gpu_energy_joules_total{" in get(f"http://{address}/metrics"),
        )
        return address

    def change(self, node: str, scenario: str) -> None:
        """Let the driver of an exporter go on by another scenario."""
        path = self.folder / f"{node}.conf"
        temporary = path.with_suffix(".new")
        temporary.write_text(scenario)
        temporary.replace(path)

    def write_targets(self, file: str, *targets: tuple[str, str]) -> None:
        """Write a file of the users' with (node, address) in each group."""
        groups = [f"- targets: ['{a}']\n  labels: {{node: {n}}}\n" for n, a in targets]
        (self.targets / file).write_text("".join(groups) or "[]\n")

    def write(self, *samples: str) -> None:
        """Store samples: text format, with times in milliseconds."""
        body = "\n".join(samples).encode()
        urllib.request.urlopen(f"{self.url}/api/v1/import/prometheus", body, timeout=10).close()
        get(f"{self.url}/internal/force_flush")

    def query(self, promql: str, at: float | None = None) -> list[tuple[dict[str, str], float]]:
        """An instant query, at a Unix time or now."""
        arguments = {"query": promql, "nocache": "1"}
        if at is not None:
            arguments["time"] = f"{at:.3f}"
        answer = json.loads(get(f"{self.url}/api/v1/query", **arguments))
        return [(s["metric"], float(s["value"][1])) for s in answer["data"]["result"]]

    def values(self, promql: str) -> list[float]:
        return [value for _, value in self.query(promql)]

    def export(self, selector: str) -> dict[Labels, Samples]:
        """Every raw sample: by the labels of the series, (Unix time, value) in order of time."""
        series = {}
        for line in get(f"{self.url}/api/v1/export", **{"match[]": selector}).splitlines():
            entry = json.loads(line)
            times = (t / 1000 for t in entry["timestamps"])
            series[tuple(sorted(entry["metric"].items()))] = list(
                zip(times, entry["values"], strict=True)
            )
        return series

    def flush(self) -> None:
        """Let queries see what was written until now."""
        get(f"{self.url}/internal/force_flush")

    def scraped(self) -> dict[str, str]:
        """vmagent's targets of the job gpu: health by address."""
        answer = json.loads(get(f"{self.vmagent_url}/api/v1/targets"))
        return {
            target["labels"]["instance"]: target["health"]
            for target in answer["data"]["activeTargets"]
            if target["labels"]["job"] == "gpu"
        }
