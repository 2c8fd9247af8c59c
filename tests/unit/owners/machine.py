"""A machine made of files, whose processes a test writes."""

import os
from collections.abc import Mapping
from pathlib import Path

from gpuglass.owners import OwnerPaths, Process, Resolver
from gpuglass.owners.jobs import JobFiles

# The uid that the files of a made process have: the tests' own.
UID = os.getuid()


class Machine:
    """The files of a machine, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.procfs = folder / "proc"
        self.rootfs = folder / "root"
        self.logs = folder / "log"
        self.jobs = folder / "gpustat"
        (self.rootfs / "etc").mkdir(parents=True)
        (self.rootfs / "etc/passwd").write_text(f"alice:x:{UID}:100::/home/alice:/bin/sh\n")
        self.procfs.mkdir()
        (self.procfs / "self").symlink_to("4242")
        self.add(1, name="systemd")
        self.add(2, name="kthreadd")

    @property
    def paths(self) -> OwnerPaths:
        return OwnerPaths(self.procfs, self.rootfs, self.logs, (self.jobs,))

    def add(
        self,
        pid: int,
        cgroup: str = "0::/user.slice",
        *,
        name: str = "python3",
        parent: int = 1,
        ticks: int = 1000,
        command: bytes = b"",
        environ: bytes | None = None,
    ) -> Path:
        """Make a process, or change one; without an environment it is not to be read."""
        folder = self.procfs / str(pid)
        folder.mkdir(exist_ok=True)
        (folder / "stat").write_bytes(stat(pid, name, parent, ticks))
        (folder / "cgroup").write_text(cgroup + "\n")
        (folder / "cmdline").write_bytes(command)
        if environ is not None:
            (folder / "environ").write_bytes(environ)
        return folder

    def hold(self, gpu: str, content: str) -> None:
        """Write a prolog's file."""
        self.jobs.mkdir(exist_ok=True)
        (self.jobs / gpu).write_text(content)

    def log_of(self, pod_folder: str, *containers: str) -> None:
        for container in containers:
            (self.logs / "pods" / pod_folder / container).mkdir(parents=True)

    def holders(self) -> Mapping[str, object]:
        return JobFiles((self.jobs,)).read()

    def process(self, pid: int, *gpus: str) -> Process:
        """Look up one process, with a new resolver."""
        found = look(Resolver(self.paths), {pid: gpus})[pid]
        assert found is not None
        return found

    def reason(self, capability: str, pid: int, *gpus: str) -> str:
        resolver = Resolver(self.paths)
        look(resolver, {pid: gpus})
        return resolver.capabilities()[capability]


def look(resolver: Resolver, gpus: Mapping[int, tuple[str, ...]]) -> dict[int, Process | None]:
    """Look processes up at once, without the resolver's thread."""
    resolver.look_up(gpus)
    resolver.refresh()
    return resolver.known(gpus)


def stat(pid: int, name: str, parent: int = 1, ticks: int = 1000) -> bytes:
    """What the kernel writes into ``/proc/PID/stat``."""
    head = f"{pid} ({name}) S {parent} {pid} {pid} 0 -1 4194560 1 0 0 0 1 1 0 0 20 0 1 0 {ticks}"
    return (head + " 4096 1" + " 0" * 28 + "\n").encode()
