"""A monitoring host with its door for workers, and workers that push through it: all shipped."""

import shutil
import ssl
import subprocess
import urllib.request
from pathlib import Path

from tests.integration.stack import (
    GPUGLASS,
    ROOT,
    Program,
    Stack,
    environment,
    shipped_command,
)
from tests.ports import free_port

Done = subprocess.CompletedProcess[str]


def gpuglass(*arguments: str, stdin: str = "", **settings: str) -> Done:
    """Run a command, with settings of the environment."""
    return subprocess.run(
        [*GPUGLASS, *arguments],
        input=stdin,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def ask_door(url: str) -> str:
    """Ask vmauth as somebody who trusts everybody."""
    context = ssl._create_unverified_context()
    with urllib.request.urlopen(url, timeout=10, context=context) as answer:
        return str(answer.read().decode())


class Door(Program):
    """vmauth, which speaks TLS at all its addresses."""

    def _answers(self) -> bool:
        ask_door(self.url)
        return True


class Host:
    """VictoriaMetrics, the keeper and vmauth."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.stack = Stack(folder, programs)
        self.programs = programs
        self.port, internal = free_port(), free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.internal = f"https://127.0.0.1:{internal}"
        self.workers = folder / "data/workers"
        places = {
            **self.stack.places,
            "VMAUTH_PORT": str(self.port),
            "VMAUTH_METRICS_PORT": str(internal),
        }
        self.vmauth = Door(
            shipped_command("vmauth", places),
            folder / "vmauth.log",
            f"{self.internal}/health",
            environment(),
        )

    def start(self) -> None:
        for program in (self.stack.victoriametrics, self.stack.keeper, self.vmauth):
            program.start()

    def stop(self) -> None:
        self.vmauth.stop()
        self.stack.stop()

    def manage(self, *arguments: str) -> Done:
        """Run ``gpuglass workers``."""
        return gpuglass(
            "workers",
            *arguments,
            GPUGLASS_WORKERS_DIR=str(self.workers),
            GPUGLASS_TLS_DIR=str(self.stack.tls_dir),
            GPUGLASS_PUSH_URL=self.url,
            GPUGLASS_VICTORIAMETRICS_URL=self.stack.url,
        )

    def add(self, name: str, *arguments: str) -> str:
        """Add a worker; what it is given, as its user would paste it."""
        printed = self.manage("add", name, *arguments)
        assert printed.returncode == 0, printed.stderr
        command, _, rest = printed.stdout.partition("<<'END'\n")
        assert command.endswith(f"./setup.sh --worker --push {self.url} --credentials - ")
        return rest.partition("END\n")[0]

    def lets_in(self, name: str) -> bool:
        """Whether vmauth has taken what the keeper published."""
        return f'username="{name}"' in ask_door(f"{self.internal}/metrics")


class Worker:
    """What a worker was given, and vmagent, which sends what the exporter says."""

    def __init__(self, folder: Path, host: Host, name: str, given: str) -> None:
        self.folder, self.host, self.name, self.given = folder, host, name, given
        self.directory = folder / "push"
        self.settings = {
            "GPUGLASS_PUSH_URL": host.url,
            "GPUGLASS_PUSH_DIR": str(self.directory),
        }
        (folder / "source/victoriametrics").mkdir(parents=True)
        for file in ("push.yml", "vmagent.sh"):
            shutil.copy(ROOT / "victoriametrics" / file, folder / "source/victoriametrics")
        self._vmagent_port = free_port()
        self.vmagent_url = f"http://127.0.0.1:{self._vmagent_port}"
        self.settings["GPUGLASS_PUSH_VMAGENT_URL"] = self.vmagent_url
        self.exporter = self._exporter(folder)
        self.vmagent = self._vmagent(folder)

    def join(self, given: str | None = None) -> Done:
        text = self.given if given is None else given
        return gpuglass("push", "join", "-", stdin=text, **self.settings)

    def check(self) -> Done:
        return gpuglass("push", "check", **self.settings)

    def start(self) -> None:
        self.exporter.start()
        self.vmagent.start()

    def stop(self) -> None:
        for program in (self.vmagent, self.exporter):
            program.stop()

    def _exporter(self, folder: Path) -> Program:
        self.address = f"127.0.0.1:{free_port()}"
        arguments = ["--web.listen-address", self.address, "--node.name", self.name]
        arguments += ["--no-collector.nvml", "--control.socket", "none"]
        return Program(
            [*GPUGLASS, "serve", *arguments],
            folder / "exporter.log",
            f"http://{self.address}/metrics",
            environment(**self.settings),
        )

    def _vmagent(self, folder: Path) -> Program:
        places = {
            "BIN": str(self.host.programs),
            "SOURCE": str(folder / "source"),
            "DATA": str(folder / "data"),
            "VMAGENT_PORT": str(self._vmagent_port),
            "PUSH_URL": self.host.url,
            "PUSH_DIR": str(self.directory),
            "PUSH_QUEUE": "1GB",
        }
        env = environment(
            GPUGLASS_SCRAPE_INTERVAL="1s",
            GPUGLASS_SCRAPE_TIMEOUT="900ms",
            GPUGLASS_EXPORTER_ADDRESS=self.address,
            GPUGLASS_NODE_NAME=self.name,
        )
        command = shipped_command("vmagent-push", places)
        return Program(command, folder / "vmagent.log", f"{self.vmagent_url}/health", env)
