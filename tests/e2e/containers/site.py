"""Machines of their own, each with a root file system, a network address and a Docker engine."""

import io
import json
import re
import subprocess
import tarfile
import time
import urllib.parse
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.e2e.clone import REPOSITORY, pins
from tests.e2e.containers.engine import MACHINE_RIGHTS, Engine
from tests.e2e.containers.registry import Store

from gpuglass import __version__

CACHE = REPOSITORY / ".cache/containers"
NETWORK = "site"
PYTHON, MACHINE = "python:3.13-slim", "stand-in/machine"
# Where a run tells its tests what it has prepared.
PREPARED = "GPUGLASS_E2E_SITE"
# As the machine's root, who sees the volume; without Docker, in the clone's folder. It posts what
# comes from the standard input.
_ASK = """\
import base64, pathlib, sys, urllib.error, urllib.request
request = urllib.request.Request(sys.argv[1], sys.stdin.buffer.read() or None)
for place in ("/var/lib/docker/volumes/gpuglass_access/_data", ".gpuglass/data/access"):
    password = pathlib.Path(place, "password")
    if not password.exists():
        continue
    pair = f"gpuglass:{password.read_text().strip()}".encode()
    request.add_header("Authorization", "Basic " + base64.b64encode(pair).decode())
try:
    print(urllib.request.urlopen(request, timeout=10).read().decode())
except urllib.error.URLError as error:
    sys.exit(str(error))
"""


def host_services() -> dict[str, Any]:
    """The services of the monitoring host's Compose file."""
    text = (REPOSITORY / "docker-compose.host.yml").read_text()
    found: dict[str, Any] = yaml.safe_load(text)["services"]
    return found


def image_of(service: str) -> str:
    """The image that the host's Compose file names for a service."""
    image = host_services()[service]["image"]
    return re.sub(r"\$\{(\w+):[^}]*\}", lambda name: pins()[name[1]], image)


@dataclass(frozen=True)
class Site:
    """An engine's network, on which machines are, and a registry, from which they pull.

    Attributes:
        engine_host: The engine's socket.
        gateway: The address by which machines reach this one.
        registry: The address of the registry.
        folder: What the registry serves; ``Store`` adds to it.
    """

    engine_host: str
    gateway: str
    registry: str
    folder: str

    @property
    def engine(self) -> Engine:
        """What runs the machines."""
        return Engine(self.engine_host)

    @property
    def store(self) -> Store:
        """The registry's images."""
        return Store(Path(self.folder))

    def machine(self, name: str) -> "Machine":
        """Start a machine with an engine, which answers; if it does not, try once more."""
        # As systemd makes it: what is mounted later is seen in containers too.
        start = f"{self._configured} && mount --make-rshared / && exec dockerd"
        settings = (
            *(f"--network={NETWORK}", f"--dns={_name_server()}", "--volume=/var/lib/docker"),
            *("--env=DOCKER_ALLOW_IPV6_ON_IPV4_INTERFACE=1", "--env=DOCKER_BUILDKIT=1"),
            *(MACHINE, "sh", "-c", start),
        )
        try:
            return self._answering(name, settings)
        except AssertionError:
            self.engine.run("rm", "--force", "--volumes", name)
            return self._answering(name, settings)

    def _answering(self, name: str, settings: Sequence[str]) -> "Machine":
        made = Machine(self.engine, name, *settings)
        made.wait("docker", "info")
        return made

    @property
    def _configured(self) -> str:
        """The command that tells an engine where to pull from."""
        settings = {
            "registry-mirrors": [f"http://{self.registry}"],
            "insecure-registries": [self.registry],
            "dns": [_name_server()],
            "runtimes": {"nvidia": {"path": "runc"}},
        }
        return f"mkdir -p /etc/docker && echo '{json.dumps(settings)}' >/etc/docker/daemon.json"


class Machine:
    """A machine of its own; what is asked of it is asked inside.

    Args:
        engine: What runs it.
        name: Its name, also as a host.
        run: What else ``docker run`` is told.
    """

    folder = "/opt/gpuglass"

    def __init__(self, engine: Engine, name: str, *run: str) -> None:
        self._engine, self.name = engine, name
        self._place = "/"
        self.files: list[str] = []
        named = (f"--name={name}", f"--hostname={name}")
        engine.docker("run", "--detach", *named, *MACHINE_RIGHTS, *run)

    def wait(self, *command: str) -> None:
        """Wait until a command succeeds."""
        deadline = time.monotonic() + 60
        while self.try_run(*command)[0]:
            assert time.monotonic() < deadline, self._engine.docker("logs", self.name)
            time.sleep(0.2)

    @property
    def command(self) -> str:
        """The installed command."""
        return f"{self.folder}/.gpuglass/bin/gpuglass"

    @property
    def address(self) -> str:
        """Where other machines reach it."""
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return self._engine.docker("inspect", "--format", form, self.name)

    def try_run(self, *command: str) -> tuple[int, str]:
        """Exit code and output of a command in the clone's folder."""
        done = self._engine.run("exec", f"--workdir={self._place}", self.name, *command)
        return done.returncode, done.stdout.decode() + done.stderr.decode()

    def run(self, *command: str) -> str:
        """What a command prints; an error if it fails."""
        code, output = self.try_run(*command)
        assert code == 0, f"{self.name}: {' '.join(command)}: {output}"
        return output

    def setup(self, *arguments: str) -> str:
        """What ``setup.sh`` prints; an error with its log if it fails."""
        code, output = self.try_run("./setup.sh", *arguments)
        if code:
            logs = self.try_run("sh", "-c", "cat /tmp/gpuglass-setup.*")[1]
            raise AssertionError(f"{self.name}: setup.sh {' '.join(arguments)}: {output}{logs}")
        return output

    def gpuglass(self, *arguments: str) -> str:
        """What the installed command prints; an error if it fails."""
        return self.run(self.command, *arguments)

    def enter(self) -> None:
        """Run what comes in the clone's folder."""
        self._engine.docker("exec", self.name, "mkdir", "-p", self.folder)
        self._place = self.folder

    def put_clone(self, archive: bytes) -> None:
        """Put the files of a commit into the clone's folder; those of the one before go first."""
        self.enter()
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            names = [member.name for member in tar if not member.isdir()]
        self._put("xargs -0r rm -f", "\0".join(self.files).encode())
        self._put("tar -xf -", archive)
        self.files = names

    def _put(self, script: str, data: bytes) -> None:
        self._engine.docker(
            *("exec", "-i", f"--workdir={self.folder}", self.name, "sh", "-c", script), input=data
        )

    def put_file(self, file: Path, path: str) -> None:
        """Copy a file of this machine to a place on the other."""
        self._engine.docker("cp", str(file), f"{self.name}:{path}")

    def write(self, path: str, text: str) -> None:
        """Write a file of the clone, as an editor does that renames."""
        self._put(f"cat >'{path}.new' && mv '{path}.new' '{path}'", text.encode())

    def ask(self, address: str) -> str | None:
        """What an address answers inside the machine, if it does."""
        code, output = self.try_run("python3", "-c", _ASK, address)
        return None if code else output

    def send(self, address: str, text: str) -> None:
        """Post a text to an address inside the machine."""
        command = ("exec", "-i", self.name, "python3", "-c", _ASK, address)
        self._engine.docker(*command, input=text.encode())

    def query(self, expression: str, port: int = 8428) -> list[dict[str, Any]]:
        """What PromQL answers; nothing while VictoriaMetrics does not."""
        query = urllib.parse.urlencode({"query": expression})
        answer = self.ask(f"http://127.0.0.1:{port}/api/v1/query?{query}")
        result: list[dict[str, Any]] = json.loads(answer)["data"]["result"] if answer else []
        return result

    def value(self, expression: str, port: int = 8428) -> float | None:
        """The value of the only series, if there is one."""
        found = self.query(expression, port)
        assert len(found) < 2, f"{expression}: {found}"
        return float(found[0]["value"][1]) if found else None


def _name_server() -> str:
    """The first name server of this machine, for engines within engines."""
    found = re.search(r"^nameserver\s+(\S+)", Path("/etc/resolv.conf").read_text(), re.MULTILINE)
    assert found, "no nameserver in /etc/resolv.conf"
    return found[1]


def working_tree(version: str = __version__) -> bytes:
    """The files of the working tree, without what it ignores, as users' files.

    Args:
        version: The one that they are to be of.
    """
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    )
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in filter(None, listing.stdout.split("\0")):
            if (REPOSITORY / name).is_file():
                _add(tar, name, version)
    return archive.getvalue()


def _add(tar: tarfile.TarFile, name: str, version: str) -> None:
    content = (REPOSITORY / name).read_bytes()
    if name in ("exporter/gpuglass/__init__.py", ".env"):
        content = content.replace(__version__.encode(), version.encode())
    entry = tar.gettarinfo(REPOSITORY / name, name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def previous_commit() -> bytes:
    """The files of the commit before what is in the working tree."""

    def git(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(["git", *arguments], cwd=REPOSITORY, check=False, capture_output=True)

    before = "HEAD" if git("status", "--porcelain").stdout.strip() else "HEAD~1"
    if git("rev-parse", "--verify", "--quiet", before).returncode:
        warnings.warn("a shallow clone: what is upgraded here is of the same commit", stacklevel=2)
        before = "HEAD"
    done = git("archive", before)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
