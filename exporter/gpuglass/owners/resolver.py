"""Looks up processes in a thread of its own, and tells what it has found without waiting."""

import logging
import threading
import time
from collections.abc import Iterable, Mapping

from gpuglass.owners.jobs import JobFiles, JobHolder
from gpuglass.owners.model import OwnerPaths, Process
from gpuglass.owners.process import Processes, Status
from gpuglass.owners.reader import Reader

_log = logging.getLogger(__name__)

_PASS_SECONDS = 1.0
# How old the proof may be that a pid is still the same process: one read of a small file.
_CHECK_SECONDS = 10.0
# What was incomplete is read again: a name service or a log folder may be there by then.
_RETRY_SECONDS = 30.0
_FORGET_SECONDS = 30.0
# How long the driver may tell a pid that has ended.
_END_SECONDS = 5.0
_MOST_PROCESSES = 20_000
# A pid that was not asked for in this time is one that has left, where there is no room.
_ASKED_SECONDS = 2.0

_CAPABILITIES = ("process", "user", "container", "pod_names", "slurm", "job_files")


class _Entry:
    """What is known of one pid, in seconds of the monotonic clock."""

    __slots__ = ("asked", "checked", "gone", "gpus", "lacks", "process", "read", "status", "uid")

    def __init__(self) -> None:
        self.asked = 0.0
        self.checked = 0.0  # 0: not yet
        self.read = 0.0
        self.gone = 0.0  # since when; 0: it is there
        self.gpus: frozenset[str] = frozenset()
        self.lacks: dict[str, str] = {}
        self.process: Process | None = None
        self.status: Status | None = None
        self.uid = -1


class Resolver:
    """Knows who the processes on the GPUs belong to.

    Its thread reads; the other methods only take what that has found, and never wait.

    Args:
        paths: Where the machine's files are.
        commands: Whether command lines are read. They may hold secrets.
    """

    def __init__(self, paths: OwnerPaths, commands: bool = False) -> None:
        self._processes = Processes(paths.procfs)
        self._reader = Reader(self._processes, paths, commands)
        self._job_files = JobFiles(paths.jobs)
        self._names = (*_CAPABILITIES, "command") if commands else _CAPABILITIES
        self._capabilities: dict[str, str] = {}
        self._entries: dict[int, _Entry] = {}
        self._believed = False
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._ending = False

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._run, daemon=True, name="gpuglass-owners").start()

    def stop(self) -> None:
        """Let the thread end; it is not waited for, as it may be in a read that hangs."""
        self._ending = True
        self._wake.set()

    def look_up(self, gpus: Mapping[int, Iterable[str]]) -> None:
        """Ask for processes, and go on asking: what is not asked for any more is forgotten.

        Args:
            gpus: For each pid the names that a Slurm prolog's file may have for what it uses: a
                GPU's index and UUID, or a MIG instance's UUID and ``INDEX.INSTANCE``.
        """
        now = time.monotonic()
        with self._lock:
            for pid, names in gpus.items():
                entry = self._entries.get(pid)
                if entry is None:
                    if len(self._entries) >= _MOST_PROCESSES and not self._forget(now):
                        continue
                    entry = self._entries[pid] = _Entry()
                    self._wake.set()
                entry.asked = now
                if not entry.gpus.issuperset(names):
                    entry.gpus = entry.gpus.union(names)
                    if "slurm" in entry.lacks:
                        entry.read = 0.0

    def _forget(self, now: float) -> int:
        """Make room: forget those that were not asked for lately; return how many."""
        old = [pid for pid, one in self._entries.items() if now - one.asked > _ASKED_SECONDS]
        for pid in old:
            del self._entries[pid]
        return len(old)

    def known(self, pids: Iterable[int]) -> dict[int, Process | None]:
        """Tell what is known of those already looked up.

        Returns:
            The processes by pid; None for one that is gone or cannot be seen. A pid that has not
            been looked at yet is left out.
        """
        with self._lock:
            entries, believed = self._entries, self._believed
            return {
                pid: entry.process if believed else None
                for pid in pids
                if (entry := entries.get(pid)) is not None and entry.checked
            }

    def job_holders(self) -> Mapping[str, tuple[JobHolder, ...]]:
        """Tell the jobs that hold each GPU, used or not, by the name of the prolog's file."""
        return self._reader.jobs.holders

    def capabilities(self) -> dict[str, str]:
        """Tell what works: for each kind of fact an empty text, or why it is lacking somewhere.

        - ``process``: ``no_procfs``; ``hidepid``, as other users' processes are hidden;
          ``foreign_pid_namespace``, as the driver tells pids that mean others or nobody here;
          ``too_many_processes``.
        - ``user``: ``uid_without_name``, ``name_service_timeout``, ``no_passwd_file``.
        - ``container``: ``no_cgroup``.
        - ``pod_names``: ``no_log_folder``, ``log_folder_unreadable``, ``pod_without_logs``.
        - ``slurm``: ``sluid_without_job_file``, ``sluid_not_in_job_file``,
          ``several_jobs_in_job_file``.
        - ``job_files``: ``job_folder_unreadable``, ``bad_job_file``.
        - ``command``, if command lines are read: ``hangs``, ``unreadable``.

        Returns:
            The reasons by capability; empty before the first look.
        """
        with self._lock:
            return dict(self._capabilities)

    def refresh(self) -> None:
        """Read what is new, check what is due, forget what is not asked for; this may wait."""
        now = time.monotonic()
        self._reader.jobs.holders = self._job_files.read()
        self._believed = self._believed or self._processes.is_first_namespace()
        for pid, entry in self._due(now):
            self._check(pid, entry, now)
        self._judge()

    def _run(self) -> None:
        while not self._ending:
            self._wake.clear()
            try:
                self.refresh()
            except Exception:
                _log.exception("the owners of processes cannot be looked up")
            self._wake.wait(_PASS_SECONDS)

    def _due(self, now: float) -> list[tuple[int, _Entry]]:
        """Forget what nobody asks for, and list what has to be looked at, new pids first."""
        with self._lock:
            old = [pid for pid, entry in self._entries.items() if _is_old(entry, now)]
            for pid in old:
                del self._entries[pid]
            due = [
                pair for pair in self._entries.items() if now - pair[1].checked >= _CHECK_SECONDS
            ]
        return sorted(due, key=lambda pair: pair[1].checked)

    def _check(self, pid: int, entry: _Entry, now: float) -> None:
        """See whether a pid is still the same process; read all of it if not."""
        process, lacks, status, uid = None, entry.lacks, None, -1
        try:
            status, uid = self._processes.status(pid), self._processes.uid(pid)
            if self._is_current(entry, status, uid, now):
                entry.checked = now
                return
            process, lacks = self._reader.read(pid, status, entry.gpus)
        except (OSError, ValueError):  # gone, or not to be seen
            lacks = {}
        except Exception:  # one odd process must not end the others
            _log.exception("process %d cannot be looked up", pid)
            lacks = {}
        with self._lock:
            entry.process, entry.lacks, entry.status, entry.uid = process, lacks, status, uid
            entry.checked = entry.read = now
            entry.gone = 0.0 if process else entry.gone or now
            if process is None:
                entry.gpus = frozenset()  # those of the next process with this pid may be others

    def _is_current(self, entry: _Entry, status: Status, uid: int, now: float) -> bool:
        """Whether what is known still holds.

        A program that was executed has another name, and a server may become another user.
        """
        known = entry.status
        if entry.process is None or known is None:
            return False
        if (known.started, known.name, entry.uid) != (status.started, status.name, uid):
            return False
        return not entry.lacks or now - entry.read < _RETRY_SECONDS

    def _judge(self) -> None:
        """Find what works, and whether the pids are this machine's at all."""
        with self._lock:
            entries = [entry for entry in self._entries.values() if entry.checked]
        reasons: dict[str, set[str]] = {}
        for entry in entries:
            for name, reason in entry.lacks.items():
                reasons.setdefault(name, set()).add(reason)
        found = {name: min(reasons.get(name, [""])) for name in self._names}
        found["job_files"] = self._job_files.problem
        hidden = self._processes.problem()
        foreign = self._is_foreign(entries)
        found["process"] = hidden or ("foreign_pid_namespace" if foreign else "")
        if not found["process"] and len(self._entries) >= _MOST_PROCESSES:
            found["process"] = "too_many_processes"
        with self._lock:
            self._capabilities = found

    def _is_foreign(self, entries: list[_Entry]) -> bool:
        """Whether the driver's pids are those of another pid namespace.

        Then a pid that exists here is another process by chance, so none is believed. In the
        machine's own namespace a pid that is missing has ended. In a container's it has ended too
        if the driver soon stops telling it; until all were seen once, none is believed.
        """
        if self._processes.is_first_namespace():
            return False
        missing = [entry for entry in entries if entry.gone]
        if entries and not missing:
            self._believed = True
        if any(entry.asked - entry.gone > _END_SECONDS for entry in missing):
            self._believed = False
        return bool(missing) and not self._believed


def _is_old(entry: _Entry, now: float) -> bool:
    return now - entry.asked > _FORGET_SECONDS
