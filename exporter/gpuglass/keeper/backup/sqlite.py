"""Grafana's database, while Grafana may be writing to it."""

import sqlite3
from pathlib import Path

_PATIENCE = 30.0


def copy(database: Path, to: Path) -> None:
    """Copy a database as it is between two changes.

    Raises:
        OSError: It cannot be read, or the copy not be written.
    """
    try:
        source = sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=_PATIENCE)
        target = sqlite3.connect(to)
        try:
            source.backup(target)
        finally:
            target.close()
            source.close()
    except sqlite3.Error as error:
        raise OSError(None, str(error), str(database)) from None
