"""The folder that backups go to: one folder for each, named by its time."""

import contextlib
import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from gpuglass.keeper.backup import manifest, ownership
from gpuglass.keeper.backup.manifest import BackupError, Manifest

_MARK = ".gpuglass-backups"
_UNFINISHED = ".unfinished"
_NAME = re.compile(r"\d{8}T\d{6}Z")
_REMOVED = ".removed"


class Shelf:
    """A folder of backups.

    Args:
        folder: Which one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Here a backup grows until it is whole. One that was interrupted is continued.
        self.unfinished = folder / _UNFINISHED

    @contextlib.contextmanager
    def claimed(self) -> Iterator[int]:
        """Keep it to ourselves, and make it if it is not there.

        Returns:
            The descriptor that holds the claim, for programs that write to the folder as well.

        Raises:
            BackupError: It is something else's, or another backup is at work.
            OSError: It cannot be written to.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mark = self.folder / _MARK
        others = [path for path in self.folder.iterdir() if path.name != "lost+found"]
        if others and not mark.exists():
            raise BackupError(
                f"{self.folder}: not empty and no folder of backups; name one that is empty or new"
            )
        with mark.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BackupError(f"{self.folder}: another backup is at work there") from None
            yield file.fileno()

    def backups(self) -> list[Path]:
        """The whole ones, oldest first.

        Raises:
            OSError: The folder cannot be listed.
        """
        return sorted(
            path
            for path in self.folder.iterdir()
            if _NAME.fullmatch(path.name) and (path / manifest.FILE).exists()
        )

    def begin(self) -> Path:
        """The folder of the backup to be made; it may hold what an earlier try has copied.

        Raises:
            OSError: It cannot be made.
        """
        self.unfinished.mkdir(mode=0o700, exist_ok=True)
        self.unfinished.chmod(0o700)
        (self.unfinished / manifest.FILE).unlink(missing_ok=True)
        return self.unfinished

    def finish(self, told: Manifest) -> Path:
        """Make what was begun a backup.

        Raises:
            OSError: It cannot be written.
        """
        os.sync()
        manifest.write(self.unfinished, told)
        for path in (self.unfinished, self.folder / _MARK):
            ownership.give(path, self.folder)
        moment = told.moment
        while (made := self.folder / _name(moment)).exists():
            moment += 1
        self.unfinished.rename(made)
        return made

    def thin_out(self, keep: int) -> int:
        """Remove all but the newest backups; how many.

        Raises:
            BackupError: Another backup is at work.
            OSError: One cannot be removed.
        """
        with self.claimed():
            for leftover in self.folder.glob(f"*{_REMOVED}"):
                shutil.rmtree(leftover)
            old = self.backups()[:-keep]
            for path in old:
                # First of all none is taken for whole.
                gone = path.rename(path.with_name(path.name + _REMOVED))
                shutil.rmtree(gone)
            return len(old)


def newest(folder: Path) -> Path:
    """The backup that is meant by a folder: itself, or the newest one of a folder of backups.

    Raises:
        BackupError: There is none.
    """
    try:
        if (folder / manifest.FILE).exists():
            return folder
        found = Shelf(folder).backups()
        if found:
            return found[-1]
        unfinished = (folder / _UNFINISHED).exists() or folder.name == _UNFINISHED
    except OSError as error:
        raise BackupError(f"{folder}: {error.strerror}") from None
    if unfinished:
        raise BackupError(f"{folder}: only an unfinished backup; let gpuglass backup end first")
    raise BackupError(f"{folder}: no backup of gpuglass; name the folder of one")


def _name(moment: int) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(moment))
