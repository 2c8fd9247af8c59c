"""Machines of their own, each with a root file system, a network address and a Docker engine."""

import io
import json
import re
import subprocess
import tarfile
import time
import urllib.parse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from tests import programs
from tests.e2e.clone import REPOSITORY
from tests.e2e.containers import images
from tests.e2e.containers.engine import Engine

from gpuglass import __version__

CACHE = REPOSITORY / ".cache/containers"
NETWORK = "site"
PYTHON, MACHINE, REGISTRY = "python:3.13-slim", "stand-in/machine", "stand-in/registry"
MIRROR_NAME = "registry:5000"
MIRROR = f"http://{MIRROR_NAME}"
# An engine, or systemd, needs much of what a machine has, and no more than that.
MACHINE_RIGHTS = (
    "--cap-add=ALL",
    "--cap-drop=SYS_RESOURCE",
    "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined",
    "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw",
)
# As the machine's root, who sees the volume. It posts what comes from the standard input.
_ASK = """\
import base64, pathlib, sys, urllib.error, urllib.request
request = urllib.request.Request(sys.argv[1], sys.stdin.buffer.read() or None)
password = pathlib.Path("/var/lib/docker/volumes/gpuglass_access/_data/password")
if password.exists():
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
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", host_services()[service]["image"])


class Site:
    """The engine's network, and the registry from which its machines pull."""

    def __init__(self, engine: Engine, work: Path) -> None:
        self.engine = engine
        engine.docker("network", "create", NETWORK)
        config = json.loads(engine.docker("network", "inspect", NETWORK))[0]["IPAM"]["Config"]
        self.gateway: str = config[0]["Gateway"]
        self.registry = self._build(work)

    def _build(self, work: Path) -> str:
        """Build the stand-ins, and have the machines' images in a registry; return its address."""
        docker = self.engine.docker
        images.build_python(docker, work, CACHE, PYTHON)
        found = programs.fetch(work / "components")
        stand_ins = images.program_images(image_of)
        for stand_in in stand_ins:
            images.build_program(docker, work, found, stand_in)
        names = [PYTHON, *(stand_in.image for stand_in in stand_ins)]
        if "grafana" in host_services():
            images.build_grafana(docker, work, image_of("grafana"))
            names.append(image_of("grafana"))
        images.build_machine(docker, work, CACHE, PYTHON, MACHINE)
        images.build_registry(docker, work, CACHE, REGISTRY)
        docker(
            "run",
            "--detach",
            f"--network={NETWORK}",
            "--name=registry",
            "-p=127.0.0.1::5000",
            REGISTRY,
        )
        self.registry = docker("port", "registry", "5000").splitlines()[0]
        self.publish(names)
        return self.registry

    def publish(self, names: Iterable[str]) -> None:
        """Put images into the registry under the names by which they are pulled."""
        for name in names:
            path = name if "/" in name else f"library/{name}"
            self.engine.docker("tag", name, f"{self.registry}/{path}")
            self.engine.docker("push", "--quiet", f"{self.registry}/{path}")

    def machine(self, name: str) -> "Machine":
        """Start a machine with an engine, which answers."""
        server = _name_server()
        # As systemd makes it: what is mounted later is seen in containers too.
        start = "mount --make-rshared / && exec dockerd"
        gpus = "--add-runtime=nvidia=runc"
        flags = (
            f"{gpus} --dns={server} --registry-mirror={MIRROR} --insecure-registry={MIRROR_NAME}"
        )
        started = Machine(
            self.engine,
            name,
            *(f"--network={NETWORK}", f"--dns={server}", "--volume=/var/lib/docker"),
            *("--env=DOCKER_ALLOW_IPV6_ON_IPV4_INTERFACE=1", MACHINE),
            *("sh", "-c", f"{start} {flags}"),
        )
        started.wait("docker", "info")
        return started


class Machine:
    """A machine of its own; what is asked of it is asked inside.

    Args:
        engine: The engine that runs it.
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
    if name.endswith(("__init__.py", ".yml")):
        content = content.replace(__version__.encode(), version.encode())
    entry = tar.gettarinfo(REPOSITORY / name, name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def previous_commit() -> bytes:
    """The files of the commit before what is in the working tree."""

    def git(*arguments: str) -> bytes:
        return subprocess.run(
            ["git", *arguments], cwd=REPOSITORY, check=True, capture_output=True
        ).stdout

    is_changed = bool(git("status", "--porcelain").strip())
    return git("archive", "HEAD" if is_changed else "HEAD~1")
