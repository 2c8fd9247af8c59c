"""A Docker engine of the tests' own, beside any other: own data, socket and pid file.

As a program it makes sure that there is one, and says in one line why there cannot be.
"""

import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import IO

PACKAGES = ("docker.io", "iptables", "mmdebstrap", "busybox-static")
_PROGRAMS = ("docker", "dockerd", "containerd", "runc", "iptables", "mmdebstrap", "busybox")
_BUSYBOX = Path("/bin/busybox")
_START_SECONDS = 60.0
# An engine within, or systemd, needs much of what a machine has, and no more than that.
MACHINE_RIGHTS = (
    "--cap-add=ALL",
    "--cap-drop=SYS_RESOURCE",
    "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined",
    "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw",
)


class NoEngineError(Exception):
    """Why no engine can be had here."""


class Engine:
    """An engine that runs, as ``docker`` asks it.

    Args:
        host: Its socket's address.
    """

    def __init__(self, host: str) -> None:
        self.host = host

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which ``docker`` asks this engine."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DOCKER_", "GPUGLASS_"))}
        # A frontend for the other builder would have to be pulled.
        return {**kept, "DOCKER_HOST": self.host, "DOCKER_BUILDKIT": "0"}

    def run(
        self, *arguments: str, input: bytes | None = None, output: IO[bytes] | None = None
    ) -> "subprocess.CompletedProcess[bytes]":
        """Run ``docker`` with arguments, and return how it ended."""
        return subprocess.run(
            ["docker", *arguments],
            env=self.environment,
            input=input,
            stdout=output or subprocess.PIPE,
            stderr=subprocess.PIPE,
            check=False,
        )

    def docker(self, *arguments: str, input: bytes | None = None) -> str:
        """What ``docker`` prints; an error if it fails."""
        done = self.run(*arguments, input=input)
        output = done.stdout.decode()
        assert done.returncode == 0, f"docker {' '.join(arguments)}: {output}{done.stderr.decode()}"
        return output.strip()

    def write(self, path: Path, *arguments: str) -> None:
        """Write what ``docker`` prints to a file; an error if it fails."""
        with path.open("wb") as file:
            done = self.run(*arguments, output=file)
        assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr.decode()}"


class Daemon:
    """A daemon of one's own; ``stop`` ends it and removes all that it held."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="gpuglass-engine-"))
        self._log = self._folder / "log"
        self.engine = Engine(f"unix://{self._folder}/sock")
        with self._log.open("w") as log:
            self._daemon = subprocess.Popen(
                [
                    "dockerd",
                    f"--data-root={self._folder}/data",
                    f"--exec-root={self._folder}/exec",
                    f"--pidfile={self._folder}/pid",
                    f"--host={self.engine.host}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while self.engine.run("info").returncode:
            if self._daemon.poll() is not None or time.monotonic() > deadline:
                raise NoEngineError(f"dockerd does not start: {self._last_words()}")
            time.sleep(0.2)

    def _last_words(self) -> str:
        lines = [line for line in self._log.read_text().splitlines() if line.strip()]
        return lines[-1] if lines else "it says nothing"

    def stop(self) -> None:
        """End the daemon with all its containers, and remove its data."""
        if self._daemon.poll() is None:
            containers = self.engine.run("ps", "--quiet").stdout.decode().split()
            if containers:
                self.engine.run("kill", *containers)
            # Their bridges would stay on this machine, which has room for some thirty.
            networks = self.engine.run("network", "ls", "--quiet", "--filter=type=custom")
            for network in networks.stdout.decode().split():
                self.engine.run("network", "rm", network)
            self._daemon.terminate()
            try:
                self._daemon.wait(60)
            except subprocess.TimeoutExpired:
                self._daemon.kill()
                self._daemon.wait()
        self._unmount()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _unmount(self) -> None:
        """Unmount what the daemon leaves mounted, as the network of containers on the host's."""
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        places = [line.split()[4] for line in mounts]
        for place in reversed([p for p in places if p.startswith(f"{self._folder}/")]):
            subprocess.run(["umount", "--lazy", place], capture_output=True, check=False)


def started() -> Daemon:
    """A daemon; one that does not start is tried again once.

    Raises:
        NoEngineError: It does not start.
    """
    try:
        return Daemon()
    except NoEngineError:
        return Daemon()


def require() -> None:
    """Install what an engine needs, where that is possible, and see one start.

    Raises:
        NoEngineError: There cannot be one.
    """
    if os.getuid() != 0:
        raise NoEngineError("only root may start one")
    if _distribution() != "debian":
        raise NoEngineError("what stands in for images is made of Debian's packages")
    missing = [name for name in _PROGRAMS if not shutil.which(name)]
    if missing:
        _install(missing)
    daemon = started()
    try:
        _see_a_container(daemon.engine)
    finally:
        daemon.stop()


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("ID", "")
    except OSError:
        return ""


def _see_a_container(engine: Engine) -> None:
    """Run one with the rights of a machine: a daemon may start where none can."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(_BUSYBOX, "busybox")
    engine.run("import", "-", "try", input=packed.getvalue())
    done = engine.run("run", "--rm", *MACHINE_RIGHTS, "try", "/busybox", "true")
    if done.returncode:
        words = done.stderr.decode().strip().splitlines() or ["it does not say why"]
        raise NoEngineError(f"a container does not start: {words[0]}")


def _install(missing: list[str]) -> None:
    if not shutil.which("apt-get"):
        raise NoEngineError(f"{', '.join(missing)} is not here, and no apt-get to install it with")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(
            ["apt-get", "-qq", "--option=DPkg::Lock::Timeout=300", *command],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            complaints = done.stderr.strip().splitlines() or ["it does not say why"]
            raise NoEngineError(f"apt-get {command[0]} fails: {complaints[-1]}")


if __name__ == "__main__":
    try:
        require()
    except NoEngineError as reason:
        sys.exit(f"no Docker engine here: {reason}")
