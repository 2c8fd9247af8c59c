"""Puts together what is told of one process."""

import re
from typing import NamedTuple

from gpuglass.owners import cgroup
from gpuglass.owners.errands import Errands
from gpuglass.owners.model import Owner, OwnerPaths, Process
from gpuglass.owners.pods import PodName, PodNames
from gpuglass.owners.process import Processes, Status, unix_time
from gpuglass.owners.slurm import Jobs
from gpuglass.owners.users import UserNames

_COMMAND_CHARACTERS = 256
_COMMAND_SECONDS = 1.0
_MOST_HANGING = 8
_ID = re.compile(r"[0-9a-f]{32,}(?:-\d+)?")
_ID_DIGITS = 12


class Reading(NamedTuple):
    """A process, and what could not be learned of it.

    Attributes:
        process: The process.
        lacks: The reason by capability, for each that is lacking.
    """

    process: Process
    lacks: dict[str, str]


class Reader:
    """Reads processes, one at a time.

    Args:
        processes: Where they are read.
        paths: Where the machine's other files are.
        commands: Whether command lines are read.

    Attributes:
        jobs: Finds Slurm jobs behind SLUIDs.
    """

    def __init__(self, processes: Processes, paths: OwnerPaths, commands: bool) -> None:
        self._processes = processes
        self._commands = commands
        self._errands = Errands(_MOST_HANGING)
        self._users = UserNames(paths.rootfs)
        self._pods = PodNames(paths.logs)
        self.jobs = Jobs(processes, self._errands)

    def read(self, pid: int, status: Status, gpus: frozenset[str]) -> Reading:
        """Read all that is told of a process.

        Args:
            pid: The process.
            status: What the kernel has just said of it.
            gpus: The names that job files may have for the GPUs that it uses.

        Raises:
            OSError: It is gone, or must not be seen.
            ValueError: A file of it is not what the kernel writes.
        """
        lacks: dict[str, str] = {}
        uid = self._processes.uid(pid)
        user, lacks["user"] = self._users.name(uid)
        group, lacks["container"] = self._group(pid)
        name, lacks["pod_names"] = PodName(), ""
        if not group.of_user:
            name, lacks["pod_names"] = self._pods.name(group.pod, group.container)
        job_id, lacks["slurm"] = group.job_id, ""
        if group.sluid:
            job_id, lacks["slurm"] = self.jobs.find(pid, uid, group.sluid, gpus)
        command, lacks["command"] = self._command(pid)
        if self._processes.status(pid).started != status.started:
            raise ProcessLookupError("another process has this pid now")
        owner = Owner(
            user,
            name.container or _short(group.container),
            name.namespace,
            name.pod or group.pod,
            job_id,
        )
        process = Process(pid, unix_time(status.started), status.name, command, owner)
        return Reading(process, {fact: reason for fact, reason in lacks.items() if reason})

    def _group(self, pid: int) -> tuple[cgroup.Group, str]:
        try:
            return cgroup.parse(self._processes.cgroup(pid)), ""
        except (OSError, ValueError):
            return cgroup.Group(), "no_cgroup"

    def _command(self, pid: int) -> tuple[str, str]:
        if not self._commands:
            return "", ""
        try:
            command = self._errands.run(pid, lambda: self._processes.command(pid), _COMMAND_SECONDS)
        except TimeoutError:
            return "", "hangs"
        except (OSError, ValueError):
            return "", "unreadable"
        return command[:_COMMAND_CHARACTERS], ""


def _short(container: str) -> str:
    """Shorten an id, but no name."""
    return container[:_ID_DIGITS] if _ID.fullmatch(container) else container
