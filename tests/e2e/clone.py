"""Runs of setup.sh on a copy of the working tree, as an ordinary user where the tests run as root.

Downloads are kept for the length of the session. Set ``GPUGLASS_COMPONENTS_CACHE`` to a folder
that anybody may read, and VictoriaMetrics and vmagent are taken from there, not downloaded.
"""

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.ports import free_port

from gpuglass.keeper.http import basic

REPOSITORY = Path(__file__).resolve().parents[2]
NOBODY = 65534
# A Grafana is run where this machine has one; none is downloaded by tests.
GRAFANA = shutil.which("grafana") or shutil.which("grafana-server")
OWN_GRAFANA = ("grafana",) if GRAFANA else ()
PROGRAMS = (
    *("exporter", "keeper", "victoria-metrics", "vmagent", "vmalert", "alertmanager"),
    *OWN_GRAFANA,
)
TIERS = ("victoria-metrics-1m", "victoria-metrics-1h")
ORDINARY_USER = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
RUN_TIMEOUT = 300


def pins() -> dict[str, str]:
    """The versions that the clone pins, by the names that the Compose files have for them."""
    lines = (REPOSITORY / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def is_root() -> bool:
    return os.getuid() == 0


def give_away(path: Path) -> None:
    """Make a tree the ordinary user's, where that is not us."""
    if is_root():
        subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", path], check=True)


def as_ordinary_user(command: list[str]) -> list[str]:
    return [*ORDINARY_USER, *command] if is_root() else command


def wait_for(what: str, check: Callable[[], Any], seconds: float = 60) -> Any:
    """The first true answer of ``check``; an error naming ``what`` if none comes."""
    deadline = time.monotonic() + seconds
    while not (answer := check()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.3)
    return answer


def _environment() -> dict[str, str]:
    """Ours without what would be another's settings, or code."""
    ours = ("GPUGLASS_", "PYTHONPATH")
    return {k: v for k, v in os.environ.items() if not k.startswith(ours)}


class Clone:
    """A copy of the working tree, with settings of its own and nothing of this machine's."""

    # What comes before each command that runs in it, as one that enters a network of its own.
    entry: Sequence[str] = ()

    def __init__(self, folder: Path, cache: Path) -> None:
        # A space, which shells, make and the supervisor each read in a way of their own.
        self.folder = folder / "a clone"
        self.home = folder / "home"
        self.prefix = self.folder / ".gpuglass"
        self.ports = {program: free_port() for program in {*PROGRAMS, *TIERS, "grafana"}}
        self.first_output = ""
        self.password = self.prefix / "data/access/password"
        self._cache = cache
        self._copy()

    def _copy(self) -> None:
        self.home.mkdir()
        listing = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=REPOSITORY,
            check=True,
            capture_output=True,
            text=True,
        )
        for name in filter(None, listing.stdout.split("\0")):
            is_target = name.startswith("victoriametrics/targets/") and name.endswith(".yml")
            if (REPOSITORY / name).is_file() and not is_target:
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(REPOSITORY / name, self.folder / name)
        give_away(self.folder.parent)

    def _inside(self, command: list[str]) -> list[str]:
        return [*self.entry, *as_ordinary_user(command)]

    def environment(self) -> dict[str, str]:
        kept = _environment()
        names = {p: p.replace("victoria-metrics", "victoriametrics") for p in self.ports}
        ports = {
            f"GPUGLASS_{names[p].replace('-', '_').upper()}_PORT": str(n)
            for p, n in self.ports.items()
        }
        return {
            **kept,
            **ports,
            "HOME": str(self.home),
            "TMPDIR": str(self.home),
            "PIP_CACHE_DIR": str(self._cache / "pip"),
            "GPUGLASS_NODE_NAME": "testnode",
            "GPUGLASS_SCRAPE_INTERVAL": "1s",
            "GPUGLASS_GRAFANA_RELEASE_URL": "http://127.0.0.1:1",
            "GPUGLASS_COMPONENTS_CACHE": os.environ.get(
                "GPUGLASS_COMPONENTS_CACHE", str(self._cache / "components")
            ),
        }

    def start(
        self, *arguments: str, env: Mapping[str, str] | None = None, stdin: Path = Path(os.devnull)
    ) -> subprocess.Popen[str]:
        """setup.sh in a process group of its own; its output goes to a pipe."""
        with stdin.open() as given:
            return subprocess.Popen(
                self._inside([str(self.folder / "setup.sh"), *arguments]),
                cwd=self.folder,
                env={**self.environment(), **(env or {})},
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )

    def setup(
        self, *arguments: str, env: Mapping[str, str] | None = None, stdin: Path = Path(os.devnull)
    ) -> tuple[int, str]:
        """Exit code and output of ``setup.sh``."""
        process = self.start(*arguments, env=env, stdin=stdin)
        output, _ = process.communicate(timeout=RUN_TIMEOUT)
        return process.returncode, output

    def fails(self, *arguments: str, env: Mapping[str, str] | None = None, code: int = 1) -> str:
        """The one line with which ``setup.sh`` refuses."""
        actual, output = self.setup(*arguments, env=env)
        assert actual == code, output
        lines = [line for line in output.splitlines() if line.startswith("setup.sh: error: ")]
        assert len(lines) == 1 and output.splitlines()[-1] == lines[0], output
        return lines[0]

    def ask(self, program: str, path: str) -> Any:
        """What a program's API answers."""
        return json.loads(self.fetch(f"http://127.0.0.1:{self.ports[program]}{path}", self.login()))

    def fetch(self, url: str, headers: Mapping[str, str]) -> str:
        """What answers at a URL; an error if nothing does."""
        request = urllib.request.Request(url, headers=dict(headers))
        with urllib.request.urlopen(request, timeout=10) as answer:
            text: str = answer.read().decode()
            return text

    def status(
        self, program: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> int:
        """The HTTP status with which a program answers."""
        address = f"http://127.0.0.1:{self.ports[program]}{path}"
        try:
            request = urllib.request.Request(address, body, dict(headers))
            with urllib.request.urlopen(request, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def login(self) -> dict[str, str]:
        """The header that lets in who knows the installation's password."""
        return basic("gpuglass", self.password.read_text().strip())

    def query(self, expression: str) -> list[dict[str, Any]]:
        query = urllib.parse.urlencode({"query": expression})
        answer = self.ask("victoria-metrics", f"/api/v1/query?{query}")
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def gpuglass(self, *arguments: str) -> str:
        """What the installed command prints; an error if it fails."""
        done = self.command(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """A run of the installed command, from wherever its user is."""
        return subprocess.run(
            self._inside([str(self.prefix / "bin/gpuglass"), *arguments]),
            cwd="/",
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    def pids(self) -> dict[str, int]:
        """The process of each program, as its supervisor knows them."""
        control = next(self.prefix.glob("venvs/supervisor-*/bin/supervisorctl"))
        command = [str(control), "-c", str(self.prefix / "run/supervisord.conf"), "status"]
        done = subprocess.run(self._inside(command), capture_output=True, text=True, check=False)
        fields = [line.replace(",", "").split() for line in done.stdout.splitlines()]
        return {f[0]: int(f[3]) for f in fields if f[1:3] == ["RUNNING", "pid"]}

    def processes(self) -> list[str]:
        """Command lines that still mention this clone."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(self.folder) in line:
                found.append(line)
        return found

    def remove(self) -> None:
        """End what a failed test left running, then remove everything."""
        if (self.prefix / "run/supervisord.pid").exists():
            self.setup("--stop")
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if str(self.folder) in entry.read_bytes().decode(errors="replace"):
                    os.kill(int(entry.parent.name), signal.SIGKILL)
            except (OSError, ValueError):
                continue
        shutil.rmtree(self.folder.parent, ignore_errors=True)
