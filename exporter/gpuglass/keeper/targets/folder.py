"""The folder that users edit: which files are in it, and when one has changed."""

from pathlib import Path

from gpuglass.keeper.document import MAX_BYTES, Problem
from gpuglass.keeper.files import IrregularFileError, Signature, read_bytes, signature
from gpuglass.keeper.targets.file import TargetsFile, parse

SUFFIXES = (".yml", ".yaml", ".json")


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
    return {name: signature(folder / name) for name in names}


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
        return parse(name, read_bytes(path, MAX_BYTES + 1))
    except IrregularFileError:
        return _unreadable(name, "not a regular file; remove it or give it another name")
    except OSError as error:
        reason = error.strerror or str(error)
        return _unreadable(name, f"cannot be read ({reason}); correct that or remove the file")


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
