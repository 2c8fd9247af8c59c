"""Reads one process's files in ``/proc``."""

import os
import time
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")
_FIRST_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO of the kernel
_LONGEST_STAT = 4096
_LONGEST_CGROUP = 64 * 1024
_LONGEST_COMMAND = 4096
_LONGEST_ENVIRONMENT = 1024 * 1024


class Status(NamedTuple):
    """What the kernel says of a process at one moment.

    Attributes:
        name: Its short name.
        parent: The pid of its parent.
        started: When it was started, in ticks since boot: what tells it from another process that
            had its pid.
    """

    name: str
    parent: int
    started: int


class Processes:
    """The processes that one ``/proc`` shows.

    Args:
        procfs: The machine's ``/proc``.
    """

    def __init__(self, procfs: Path) -> None:
        self._procfs = str(procfs)

    def status(self, pid: int) -> Status:
        """Read a process's name, parent and start.

        Raises:
            OSError: It is gone, or must not be seen.
            ValueError: Its file is not what the kernel writes.
        """
        return parse_status(self._read(pid, "stat", _LONGEST_STAT))

    def uid(self, pid: int) -> int:
        """Return the uid of a process's effective user; same errors."""
        return Path(f"{self._procfs}/{pid}").stat().st_uid

    def cgroup(self, pid: int) -> str:
        """Read a process's cgroups; same errors."""
        content = self._read(pid, "cgroup", _LONGEST_CGROUP)
        return content.decode(errors="backslashreplace")

    def command(self, pid: int) -> str:
        """Read a process's command line, which may hang; same errors."""
        content = self._read(pid, "cmdline", _LONGEST_COMMAND)
        return content.replace(b"\0", b" ").strip().decode(errors="backslashreplace")

    def environment(self, pid: int) -> dict[bytes, bytes]:
        """Read the environment that a process was started with, which may hang.

        Raises:
            OSError: It is gone, or it is another user's and the exporter has no right to it.
        """
        content = self._read(pid, "environ", _LONGEST_ENVIRONMENT)
        pairs = (entry.split(b"=", 1) for entry in content.split(b"\0") if b"=" in entry)
        return {pair[0]: pair[1] for pair in pairs}

    def problem(self) -> str:
        """Say why other users' processes cannot be seen at all; empty if they can.

        Process 1 is always there, and it is hardly ever the exporter's own user's.
        """
        if not os.path.lexists(f"{self._procfs}/self"):
            return "no_procfs"
        try:
            self.status(1)
        except (OSError, ValueError):
            return "hidepid"
        return ""

    def is_first_namespace(self) -> bool:
        """Tell whether these are the pids of the machine, and not those of a container.

        Only in the machine's own pid namespace is process 2 the parent of the kernel's threads;
        where it is hidden, the number of the exporter's own namespace tells.
        """
        try:
            return self.status(2).name == "kthreadd"
        except (OSError, ValueError):
            return self._own_namespace() == _FIRST_NAMESPACE

    def _own_namespace(self) -> str:
        try:
            return str(Path(self._procfs, "self/ns/pid").readlink())
        except OSError:
            return ""

    def _read(self, pid: int, name: str, most: int) -> bytes:
        number = os.open(f"{self._procfs}/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            content = os.read(number, most)
            # What is longer than a page comes in pieces; a stat, which is read often, never is.
            while name != "stat" and (more := os.read(number, most - len(content))):
                content += more
            return content
        finally:
            os.close(number)


def parse_status(content: bytes) -> Status:
    """Read ``/proc/PID/stat``; the name in it may hold anything, parentheses too.

    Raises:
        ValueError: It is not what the kernel writes.
    """
    begin, end = content.find(b"("), content.rfind(b")")
    fields = content[end + 1 :].split()
    if begin < 0 or end < begin or len(fields) < 20:
        raise ValueError("not a process's stat")
    name = content[begin + 1 : end].decode(errors="backslashreplace")
    return Status(name, int(fields[1]), int(fields[19]))


def unix_time(ticks: int) -> float:
    """Turn ticks since boot into Unix seconds, as the clock stands now."""
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return round(boot + ticks / _TICKS, 2)
