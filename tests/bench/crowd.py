"""Processes that come and go on the GPUs of the stand-in driver, of many users, containers, jobs.

The driver plays them from one scenario, written before it starts: each change of a scenario would
cost it memory. None of them is real. What the kernel would show of them is made of files, in a
``/proc`` that is the machine's own in all else.
"""

import contextlib
import os
import random
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

# From the lowest pid that no process of the kernel's has.
_FIRST_PID = 1000
_USERS = range(2000, 2024)
# So many processes follow each other in a container, or are of one job.
_CONTAINER, _JOB = 7, 19
_STAT = (
    "{pid} ({name}) S 1 {pid} {pid} 0 -1 4194560 1 0 0 0 1 1 0 0 20 0 1 0 {ticks} 4096 1{rest}\n"
)
# How long before it is on a GPU a process is in /proc, and how long after.
_AROUND = 2.0


class Visit(NamedTuple):
    """A process's time on a GPU.

    Attributes:
        pid: Of the process.
        gpu: Where.
        begin: Seconds of the scenario.
        end: Seconds of the scenario.
        mebibytes: The memory that it has.
    """

    pid: int
    gpu: int
    begin: float
    end: float
    mebibytes: int

    def statement(self) -> str:
        """The line of the scenario."""
        return (
            f"process pid={self.pid} gpu={self.gpu} type=compute memory={self.mebibytes}MiB "
            f"name=worker from={self.begin:.1f}s until={self.end:.1f}s\n"
        )


def plan(gpus: int, at_once: int, seconds: float, choose: random.Random) -> list[Visit]:
    """Visits for some time, in the order in which they begin.

    Args:
        gpus: How many there are.
        at_once: The most processes on a GPU at a time.
        seconds: Until when processes come.
        choose: Where lengths and pauses come from.
    """
    visits = []
    for gpu in range(gpus):
        for _ in range(at_once):
            now = choose.uniform(0, 20)
            while now < seconds:
                end = now + choose.uniform(10, 60)
                visits.append(Visit(0, gpu, now, end, choose.randrange(500, 10_000)))
                now = end + choose.uniform(0, 10)
    visits.sort(key=lambda visit: visit.begin)
    return [visit._replace(pid=_FIRST_PID + number) for number, visit in enumerate(visits)]


class Files:
    """A ``/proc`` with the processes that are there at a time.

    Args:
        folder: Where it is made.
        visits: When each process is there.
    """

    def __init__(self, folder: Path, visits: Iterable[Visit]) -> None:
        self.folder = folder
        self._coming = sorted(visits, key=lambda visit: visit.begin, reverse=True)
        self._there: list[Visit] = []
        self.seen = 0
        folder.mkdir()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or entry.name == "1":
                (folder / entry.name).symlink_to(entry)
        # By its name the exporter knows that these are the pids of the machine.
        self._write(2, "kthreadd", "0::/")

    def show(self, now: float) -> None:
        """Make those that come, and take away those that have gone."""
        while self._coming and self._coming[-1].begin - _AROUND <= now:
            visit = self._coming.pop()
            self._write(visit.pid, "python3", _cgroup(visit.pid))
            self._there.append(visit)
            self.seen += 1
        gone = [visit for visit in self._there if visit.end + _AROUND < now]
        for visit in gone:
            shutil.rmtree(self.folder / str(visit.pid))
        self._there = [visit for visit in self._there if visit.end + _AROUND >= now]

    def _write(self, pid: int, name: str, cgroup: str) -> None:
        folder = self.folder / str(pid)
        folder.mkdir()
        stat = _STAT.format(pid=pid, name=name, ticks=pid, rest=" 0" * 28)
        (folder / "stat").write_text(stat)
        (folder / "cgroup").write_text(f"{cgroup}\n")
        (folder / "cmdline").write_bytes(b"python3\0train.py\0")
        with contextlib.suppress(PermissionError):  # then all are this user's
            os.chown(folder, _USERS[pid % len(_USERS)], -1)


def _cgroup(pid: int) -> str:
    """The path of a process's cgroup: by turns in a container, of a job, and neither."""
    kind = pid % 3
    if kind == 0:
        return f"0::/system.slice/docker-{pid // _CONTAINER:012x}{'0' * 52}.scope"
    if kind == 1:
        return f"0::/system.slice/slurmstepd.scope/job_{pid // _JOB}/step_0/user/task_0"
    return "0::/user.slice/user-2000.slice/session-1.scope"
