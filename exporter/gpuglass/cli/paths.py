"""Files and folders as they are named on the command line."""

from collections.abc import Iterable
from pathlib import Path

import click

from gpuglass.keeper import folder


def files(paths: Iterable[Path], wanted: folder.Wanted) -> list[Path]:
    """The files that are meant, each once: those that are named, and the wanted ones of folders.

    Args:
        paths: Files and folders.
        wanted: Tells by its name whether a file of a folder is meant.

    Raises:
        click.UsageError: There is no such file or folder, or it cannot be listed.
    """
    found: dict[Path, None] = {}
    for path in paths:
        try:
            inside = [path]
            if path.is_dir():
                inside = [path / name for name in sorted(folder.scan(path, wanted))]
            else:
                path.stat()
        except OSError as error:
            raise click.UsageError(f"{path}: {error.strerror or error}") from None
        found.update(dict.fromkeys(inside))
    return list(found)
