"""Takes what is in some folders out and something else in: all of it, or nothing.

What comes is put together in a folder within the one where it belongs, and moved into place at the
end by renaming alone. A process that is killed in between has written down how far it was. Until
all is in place, a file keeps VictoriaMetrics from starting on a mixture.
"""

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from gpuglass.keeper.backup.layout import Place

_WORK = ".restore"
_NEW, _OLD = "new", "old"
# What was there is out, and what comes is on its way in.
_OUT = "out"
# All of it is in.
_DONE = "done"
# VictoriaMetrics does not start where this file is; vmrestore's own.
_BARRIER = "restore-in-progress"


class Exchange:
    """Exchanges what is in places.

    Args:
        stores: Those of storages; at least one.
        others: The others.
    """

    def __init__(self, stores: Sequence[Place], others: Sequence[Place]) -> None:
        self._stores, self._places = stores, [*stores, *others]
        self._work = stores[0].folder / _WORK

    def staged(self, place: Place) -> Path:
        """Where to put what comes to a place.

        Raises:
            OSError: The folder cannot be made.
        """
        folder = place.folder / _WORK / _NEW
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def commit(self) -> None:
        """Move what was put together into place.

        Raises:
            OSError: It cannot be done, and all is as it was.
        """
        try:
            for store in self._stores:
                (store.folder / _BARRIER).touch()
            os.sync()
            self._take_out()
            self._mark(_OUT)
            self._put_in()
            self._mark(_DONE)
        finally:
            self.settle()

    def settle(self) -> None:
        """Bring what was begun to its end: to the new if all of it is in, else back to the old.

        Raises:
            OSError: It cannot be done.
        """
        if not self._marked(_DONE):
            if self._marked(_OUT):
                self._take_back()
                os.sync()
                (self._work / _OUT).unlink()
            self._put_back()
            os.sync()
        for store in self._stores:
            (store.folder / _BARRIER).unlink(missing_ok=True)
        # The first one says how far it was, so it goes last, and what it says last of all.
        for place in reversed(self._places):
            _clear(place.folder / _WORK)

    def _mark(self, name: str) -> None:
        os.sync()
        (self._work / name).touch()
        os.sync()

    def _marked(self, name: str) -> bool:
        return (self._work / name).exists()

    def _take_out(self) -> None:
        for place in self._places:
            old = place.folder / _WORK / _OLD
            old.mkdir(mode=0o700, parents=True)
            _move(place.entries(), old)

    def _put_in(self) -> None:
        for place in self._places:
            _move(_within(place.folder / _WORK / _NEW), place.folder)

    def _take_back(self) -> None:
        for place in self._places:
            _move(place.entries(), self.staged(place))

    def _put_back(self) -> None:
        for place in self._places:
            _move(_within(place.folder / _WORK / _OLD), place.folder)


def _within(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _move(entries: Iterable[Path], target: Path) -> None:
    for entry in entries:
        if entry.name != _BARRIER:
            entry.rename(target / entry.name)


def _clear(work: Path) -> None:
    if work.exists():
        for name in (_OLD, _NEW):
            shutil.rmtree(work / name, ignore_errors=not (work / name).exists())
        for name in (_OUT, _DONE):
            (work / name).unlink(missing_ok=True)
        shutil.rmtree(work)
