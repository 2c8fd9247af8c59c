"""The job behind a SLUID.

From 26.05 Slurm names a job's cgroup after its SLUID, and the number that users know has to come
from elsewhere. Nothing here is asked of Slurm itself.
"""

import re
from collections.abc import Iterable, Mapping

from gpuglass.owners import cgroup
from gpuglass.owners.errands import Errands
from gpuglass.owners.jobs import JobHolder
from gpuglass.owners.process import Processes

Holders = Mapping[str, tuple[JobHolder, ...]]

# The step's daemon shows the job in its command line. Only root can put a process into its group.
_DAEMON = re.compile(r"slurmstepd\.scope/s[0-9A-Z]{13}/step_[^/]+/slurm$", re.MULTILINE)
_TITLE = re.compile(r"slurmstepd: \[(\d{1,20})\..*", re.ASCII | re.DOTALL)
_JOB_ID = re.compile(rb"\d{1,20}")
_MOST_GENERATIONS = 16
_READ_SECONDS = 1.0
_MOST_JOBS = 10_000


class Jobs:
    """Finds the job of a process whose cgroup shows a SLUID.

    Args:
        processes: Where processes are read.
        errands: Makes the reads that may hang.

    Attributes:
        holders: The jobs that hold each GPU, as the prolog's files have it.
    """

    def __init__(self, processes: Processes, errands: Errands) -> None:
        self._processes = processes
        self._errands = errands
        self.holders: Holders = {}
        self._told: dict[str, str] = {}

    def find(self, pid: int, uid: int, sluid: str, gpus: Iterable[str]) -> tuple[str, str]:
        """Return a process's job, and why it is only the SLUID (empty if it is the job's id).

        The step's daemon above the process is looked at first: root wrote what it shows, and it
        holds for all processes of the job, also for one whose parent has ended. Then the prolog's
        files, which may leave a choice on a shared GPU; then the environment of the
        process and of its ancestors in the same job, which the user can have written.

        The reasons: ``sluid_without_job_file``, ``sluid_not_in_job_file``, and
        ``several_jobs_in_job_file`` where the user has several jobs on the GPU.

        Args:
            pid: The process.
            uid: Its user.
            sluid: The SLUID in its cgroup's path.
            gpus: The names that job files may have for the GPUs that it uses.
        """
        family = self._family(pid, sluid)
        by_daemon = self._shown(family[-1]) if family else ""
        if by_daemon:
            if len(self._told) >= _MOST_JOBS:
                self._told.clear()
            self._told[sluid] = by_daemon
        if sluid in self._told:
            return self._told[sluid], ""
        named = self._named(uid, gpus)
        if len(named) == 1:
            return named.pop(), ""
        for member in family:
            job_id = self._exported(member, uid, sluid)
            if job_id and (not named or job_id in named):
                return job_id, ""
        return sluid, self._reason(named)

    def _reason(self, named: set[str]) -> str:
        if named:
            return "several_jobs_in_job_file"
        return "sluid_not_in_job_file" if self.holders else "sluid_without_job_file"

    def _named(self, uid: int, gpus: Iterable[str]) -> set[str]:
        """The jobs of a user that hold some of these GPUs, by the prolog's files."""
        holders = (holder for gpu in gpus for holder in self.holders.get(gpu, ()))
        return {holder.job_id for holder in holders if holder.uid in (None, uid)}

    def _family(self, pid: int, sluid: str) -> list[int]:
        """The process and its ancestors in the same job, itself first."""
        family: list[int] = []
        try:
            while len(family) < _MOST_GENERATIONS:
                if cgroup.parse(self._processes.cgroup(pid)).sluid != sluid:
                    break
                family.append(pid)
                pid = self._processes.status(pid).parent
        except (OSError, ValueError):  # gone, or not to be seen
            pass
        return family

    def _shown(self, pid: int) -> str:
        """The job that a step's daemon shows; empty if the process is none."""
        try:
            if not _DAEMON.search(self._processes.cgroup(pid)):
                return ""
            title = self._errands.run(pid, lambda: self._processes.command(pid), _READ_SECONDS)
        except (OSError, ValueError):  # gone, not to be seen, or it hangs
            return ""
        match = _TITLE.fullmatch(title)
        return match[1] if match else ""

    def _exported(self, pid: int, uid: int, sluid: str) -> str:
        """The job in a process's environment; empty if its user or SLUID do not fit."""
        try:
            variables = self._errands.run(
                pid, lambda: self._processes.environment(pid), _READ_SECONDS
            )
        except (OSError, ValueError):  # gone, not permitted, or it hangs
            return ""
        claims = {
            b"SLURM_JOB_UID": str(uid).encode(),
            b"SLURM_JOB_SLUID": sluid.encode(),
        }
        made = [variables[name] == value for name, value in claims.items() if name in variables]
        job_id = variables.get(b"SLURM_JOB_ID", b"")
        if not made or not all(made) or not _JOB_ID.fullmatch(job_id):
            return ""
        return job_id.decode()
