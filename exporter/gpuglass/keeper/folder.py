"""A folder that people edit: which files are in it, and when one has changed."""

import os
from collections.abc import Callable
from pathlib import Path

from gpuglass.text.document import MAX_BYTES, Problem
from gpuglass.text.files import IrregularFileError, Signature, read_bytes, signature

Wanted = Callable[[str], bool]


def with_suffix(*suffixes: str) -> Wanted:
    """Tells by its name whether a file is wanted: no hidden file, no editor's leftover."""

    def wanted(name: str) -> bool:
        return name.endswith(suffixes) and not name.startswith((".", "#")) and name.isprintable()

    return wanted


def scan(folder: Path, wanted: Wanted) -> dict[str, Signature]:
    """List the files whose names are wanted.

    Returns:
        The signature of each file, by its name.

    Raises:
        OSError: The folder cannot be listed.
    """
    names = (entry.name for entry in folder.iterdir() if wanted(entry.name))
    return {name: signature(folder / name) for name in names}


def read(path: Path, name: str) -> bytes | Problem:
    """Read a file that may be anything.

    Args:
        path: The file.
        name: What to call it in messages.

    Returns:
        Its content, or the beginning of one that is too large; or why it cannot be read.
    """
    try:
        return read_bytes(path, MAX_BYTES + 1)
    except IrregularFileError:
        return Problem(name, 1, "not a regular file; remove it or give it another name")
    except OSError as error:
        remedy = "correct that"
        if isinstance(error, PermissionError):
            remedy = f"let uid {os.geteuid()} read it,"
        reason = error.strerror or str(error)
        return Problem(name, 1, f"cannot be read ({reason}); {remedy} or remove the file")


class Watcher:
    """Tells which files have changed since the last look.

    A change counts once the file has looked the same twice: a copy that is half done may be a
    good file with half of what it should have, and an editor may take a file away for a moment.
    """

    def __init__(self, folder: Path, wanted: Wanted) -> None:
        self._folder = folder
        self._wanted = wanted
        self._seen: dict[str, Signature] | None = None
        self._taken: dict[str, Signature] = {}

    def look(self) -> tuple[set[str], set[str]]:
        """Look once; the first look takes everything as it is.

        Returns:
            The names of new or changed files, and of files that are gone.

        Raises:
            OSError: The folder cannot be listed. What was known stays known.
        """
        now = scan(self._folder, self._wanted)
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
