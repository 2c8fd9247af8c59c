"""The folder that users edit: which files are in it, and when one has changed."""

import os
import stat
from pathlib import Path
from typing import NamedTuple

from gpuglass.keeper.targets.file import MAX_BYTES, Problem, TargetsFile, parse

SUFFIXES = (".yml", ".yaml", ".json")


class Signature(NamedTuple):
    """What changes when a file does, or the error that hides it."""

    device: int = 0
    inode: int = 0
    size: int = 0
    modified_ns: int = 0
    changed_ns: int = 0
    error: str = ""


def is_targets_name(name: str) -> bool:
    """Whether a file of this name holds targets: no hidden file, no editor's leftover."""
    return name.endswith(SUFFIXES) and not name.startswith((".", "#")) and name.isprintable()


def scan(folder: Path) -> dict[str, Signature]:
    """List the targets files.

    Returns:
        The signature of each file, by its name.

    Raises:
        OSError: The folder cannot be listed.
    """
    names = (entry.name for entry in folder.iterdir() if is_targets_name(entry.name))
    return {name: _signature(folder / name) for name in names}


def read(path: Path, name: str | None = None) -> TargetsFile:
    """Read and check a file.

    Args:
        path: The file.
        name: What to call it in messages; the last part of the path by default.

    Returns:
        Its targets or its problems; that it cannot be read is one of them.
    """
    name = path.name if name is None else name
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return _unreadable(name, "not a regular file; remove it or give it another name")
            return parse(name, file.read(MAX_BYTES + 1))
    except OSError as error:
        reason = error.strerror or str(error)
        return _unreadable(name, f"cannot be read ({reason}); correct that or remove the file")


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting for the writer of a named pipe."""
    return os.open(path, flags | os.O_NONBLOCK)


def _signature(path: Path) -> Signature:
    try:
        found = path.stat()
    except OSError as error:
        return Signature(error=error.strerror or str(error))
    return Signature(
        found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
    )


def _unreadable(name: str, what: str) -> TargetsFile:
    return TargetsFile(name, problems=(Problem(name, 1, what),))


class Watcher:
    """Tells which files have changed since the last look.

    A change counts once the file has looked the same twice: a copy that is half done may be a
    good file with half the targets, and an editor may take a file away for a moment.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: dict[str, Signature] | None = None
        self._taken: dict[str, Signature] = {}

    def look(self) -> tuple[set[str], set[str]]:
        """Look once; the first look takes everything as it is.

        Returns:
            The names of new or changed files, and of files that are gone.

        Raises:
            OSError: The folder cannot be listed. What was known stays known.
        """
        now = scan(self._folder)
        before = now if self._seen is None else self._seen
        self._seen = now
        changed = {
            name
            for name, signature in now.items()
            if before.get(name) == signature and self._taken.get(name) != signature
        }
        gone = {name for name in self._taken if name not in now and name not in before}
        self._taken.update((name, now[name]) for name in changed)
        for name in gone:
            del self._taken[name]
        return changed, gone
