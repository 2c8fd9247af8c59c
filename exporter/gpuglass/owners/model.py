"""What is told of a process, and where the files are that tell it."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class Owner(NamedTuple):
    """Who a process belongs to; empty text where there is none, or none that can be known.

    Attributes:
        user: The user's name, or the uid as text where the uid has no name.
        container: The container's name in its pod, a machine's name, or the first 12 digits of the
            container's id.
        namespace: The Kubernetes namespace.
        pod: The pod's name, or its uid where the name is unknown.
        job_id: The Slurm job's id, or its SLUID where the id is unknown.
    """

    user: str = ""
    container: str = ""
    namespace: str = ""
    pod: str = ""
    job_id: str = ""


class Process(NamedTuple):
    """One process, which its pid and its start time identify.

    Attributes:
        pid: Its number, which another process may have had before.
        start_time: When it was started, in Unix seconds.
        name: Its short name, at most 15 bytes, which it can change.
        command: Its command line, cut to 256 characters; empty unless command lines were asked for.
        owner: Who it belongs to.
    """

    pid: int
    start_time: float
    name: str
    command: str
    owner: Owner


@dataclass(frozen=True)
class OwnerPaths:
    """Where the machine's files are; a container mounts the host's elsewhere.

    Attributes:
        procfs: The machine's ``/proc``.
        rootfs: The machine's root directory; user names come from its ``etc/passwd``, or from the
            name service where it is ``/``.
        logs: The machine's ``/var/log``, in which the kubelet keeps ``pods`` and ``containers``.
        jobs: The folders in which Slurm's prolog writes a file for each GPU.
    """

    procfs: Path = Path("/proc")
    rootfs: Path = Path("/")
    logs: Path = Path("/var/log")
    jobs: tuple[Path, ...] = (Path("/run/gpustat"),)
