"""Space and files of mounted file systems."""

import os
import threading
import time
from pathlib import Path

from gpuglass.catalogue import host as metrics
from gpuglass.catalogue.model import Sample
from gpuglass.host.mounts import Mount, parse, worthwhile
from gpuglass.host.registry import Paths, register

_DEADLINE_SECONDS = 5.0


class _Call(threading.Thread):
    """One ``statvfs`` in a thread of its own: the kernel may never answer it."""

    def __init__(self, path: bytes) -> None:
        super().__init__(name="statvfs", daemon=True)
        self._path = path
        self.answer: os.statvfs_result | None = None

    def run(self) -> None:
        try:
            self.answer = os.statvfs(self._path)
        except OSError:
            return


@register
class FilesystemCollector:
    """Space and files, from ``mountinfo`` and ``statvfs``.

    All file systems are asked at once. One that does not answer in time (a server that is gone)
    has an error and no sizes, and is asked again only after the first call has returned, so that it
    never holds more than one thread.

    The mounts are those of process 1, seen through ``rootfs``. A mount that the exporter does not
    see there (it has a mount table of its own in a container or a sandboxed service) has an error
    too: ``statvfs`` on its place would give another file system's sizes.
    """

    name = "filesystem"
    slow = True

    def __init__(self, paths: Paths, deadline: float = _DEADLINE_SECONDS) -> None:
        """Remember where to look.

        Args:
            paths: Where the machine's files are.
            deadline: Seconds after which a file system has not answered.
        """
        self._paths = paths
        self._root = os.fsencode(paths.rootfs.resolve()).rstrip(b"/")
        self._deadline = deadline
        self._stuck: dict[bytes, _Call] = {}

    def read(self) -> list[Sample]:
        """Read space in bytes and numbers of files; takes as long as the deadline at most.

        Raises:
            OSError: No ``mountinfo`` can be read.
            ValueError: It has no readable line.
        """
        mounts, reachable = self._mounts()
        answers = self._ask(reachable)
        return [sample for mount in mounts for sample in _samples(mount, answers.get(mount.path))]

    def _mounts(self) -> tuple[list[Mount], list[Mount]]:
        """Return the mounts to publish, and those of them that can be asked."""
        own = self._own()
        try:
            mounts = worthwhile(_table(self._paths.procfs / "1/mountinfo"))
        except OSError:
            if own is None:
                raise
            mounts = worthwhile(own)
        if own is None:
            return mounts, mounts
        seen = {mount.path: mount.number for mount in own}
        return mounts, [mount for mount in mounts if seen.get(mount.path) == mount.number]

    def _own(self) -> list[Mount] | None:
        """Return the exporter's own mounts under ``rootfs``, without that prefix, if known."""
        try:
            mounts = _table(self._paths.procfs / "self/mountinfo")
        except (OSError, ValueError):
            return None
        return [_below(mount, self._root) for mount in mounts if _is_below(mount.path, self._root)]

    def _ask(self, mounts: list[Mount]) -> dict[bytes, os.statvfs_result]:
        """Ask every mount that is not stuck, and collect what is answered in time."""
        self._stuck = {path: call for path, call in self._stuck.items() if call.is_alive()}
        calls = {
            mount.path: _Call(self._root + mount.path)
            for mount in mounts
            if mount.path not in self._stuck
        }
        for call in calls.values():
            call.start()
        end = time.monotonic() + self._deadline
        for path, call in calls.items():
            call.join(max(0.0, end - time.monotonic()))
            if call.is_alive():
                self._stuck[path] = call
        return {path: call.answer for path, call in calls.items() if call.answer is not None}


def _table(path: Path) -> list[Mount]:
    try:
        return parse(path.read_bytes())
    except ValueError as problem:
        raise ValueError(f"{path}: {problem}") from None


def _is_below(path: bytes, root: bytes) -> bool:
    return path == root or path.startswith(root + b"/")


def _below(mount: Mount, root: bytes) -> Mount:
    path = mount.path[len(root) :] or b"/"
    return mount._replace(path=path, mountpoint=path.decode(errors="backslashreplace"))


def _samples(mount: Mount, answer: os.statvfs_result | None) -> list[Sample]:
    """Turn an answer into samples; a 0 as a whole means that the file system does not tell."""
    labels = (mount.mountpoint, mount.device, mount.fstype)
    samples = []
    if answer is not None and answer.f_blocks:
        unit = answer.f_frsize
        samples += [
            Sample(metrics.FILESYSTEM_SIZE, labels, answer.f_blocks * unit),
            Sample(metrics.FILESYSTEM_FREE, labels, answer.f_bfree * unit),
            Sample(metrics.FILESYSTEM_AVAILABLE, labels, answer.f_bavail * unit),
        ]
    if answer is not None and answer.f_files:
        samples += [
            Sample(metrics.FILESYSTEM_FILES, labels, answer.f_files),
            Sample(metrics.FILESYSTEM_FILES_FREE, labels, answer.f_ffree),
        ]
    return [
        *samples,
        Sample(metrics.FILESYSTEM_READONLY, labels, int(b"ro" in mount.options)),
        Sample(metrics.FILESYSTEM_ERROR, labels, int(answer is None)),
    ]
