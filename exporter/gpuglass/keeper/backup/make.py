"""Makes a backup of an installation that goes on running."""

import shutil
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import gpuglass
from gpuglass.keeper.backup import manifest, sqlite
from gpuglass.keeper.backup.layout import DATABASE, JOURNALS, Layout
from gpuglass.keeper.backup.manifest import BackupError, Manifest
from gpuglass.keeper.backup.programs import Tool
from gpuglass.keeper.backup.shelf import Shelf
from gpuglass.keeper.backup.snapshots import Snapshots
from gpuglass.keeper.victoriametrics import VictoriaMetrics

# What is written besides the storages themselves.
_MARGIN = 64 << 20


@dataclass(frozen=True)
class Made:
    """A backup that was just made.

    Attributes:
        folder: Where it is.
        manifest: What it says of itself.
        new: How many bytes of it are in no earlier backup of that folder.
    """

    folder: Path
    manifest: Manifest
    new: int


class Maker:
    """Makes backups.

    Args:
        layout: Where the installation lies.
        storages: Its VictoriaMetrics, by the names of ``layout.stores()`` and in their order.
        tool: vmbackup.
    """

    def __init__(self, layout: Layout, storages: Mapping[str, VictoriaMetrics], tool: Tool) -> None:
        self._layout, self._storages, self._tool = layout, storages, tool

    def make(self, shelf: Shelf) -> Made:
        """Make a backup; what is in the newest one of the same folder is not copied again.

        Raises:
            BackupError: It cannot be made.
            QueryError: A storage does not answer.
            OSError: Something cannot be read or written.
        """
        self._check_place(shelf.folder)
        with shelf.claimed() as claim:
            earlier = shelf.backups()
            origin = earlier[-1] if earlier else None
            before = manifest.read(origin) if origin else None
            folder = shelf.begin()
            with Snapshots(self._storages, shelf.folder).taken() as taken:
                moment = int(time.time())
                self._copy_places(folder)
                self._check_disk(folder, taken, before)
                for name, snapshot in taken.items():
                    self._back_up(name, snapshot, folder, origin, claim)
            known = before.files if before else {}
            files = manifest.contents(folder, origin, known)
            told = Manifest(
                gpuglass=gpuglass.__version__,
                victoriametrics=self._tool.version(),
                moment=moment,
                machine=socket.gethostname(),
                profile=self._layout.profile,
                stores=tuple(taken),
                files=files,
            )
            new = sum(content.size for name, content in files.items() if known.get(name) != content)
            return Made(shelf.finish(told), told, new)

    def _check_place(self, folder: Path) -> None:
        for inside in (*self._layout.stores().values(), self._layout.data):
            if folder.resolve().is_relative_to(inside.resolve()):
                raise BackupError(f"{folder}: within what is to be saved; name another folder")
        for name, path in self._layout.stores().items():
            if not (path / "data").is_dir():
                raise BackupError(
                    f"{path}: no data of a VictoriaMetrics ({name}); backups are made on the "
                    "monitoring host (see --data.dir)"
                )

    def _copy_places(self, folder: Path) -> None:
        """Copy what people wrote, and what was made for them."""
        for leftover in folder.iterdir():
            if leftover.name != "storage":
                shutil.rmtree(leftover)
        for leftover in folder.glob("storage/*"):
            if leftover.name not in self._storages:
                shutil.rmtree(leftover)
        for place in self._layout.places():
            for entry in place.entries():
                target = folder / place.key / entry.name
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                _copy(entry, target)

    def _check_disk(self, folder: Path, taken: dict[str, str], before: Manifest | None) -> None:
        needed = _MARGIN
        for name, snapshot in taken.items():
            known = before.sizes_of_parts(f"storage/{name}") if before else {}
            there = self._layout.stores()[name] / "snapshots" / snapshot
            if not there.is_dir():
                raise BackupError(
                    f"{there}: not there; the VictoriaMetrics at {self._storages[name].url} "
                    "stores elsewhere: see --data.dir"
                )
            needed += sum(size for part, size in _parts(there) if known.get(part) != size)
        copied = manifest.total(manifest.walk(folder))
        free = shutil.disk_usage(folder).free
        if needed > free + copied:
            raise BackupError(
                f"{folder.parent}: {_mb(free)} MB are free, {_mb(needed - copied)} MB are needed; "
                "make room, or name another folder"
            )

    def _back_up(
        self, name: str, snapshot: str, folder: Path, origin: Path | None, claim: int
    ) -> None:
        key = f"storage/{name}"
        arguments = [
            f"-storageDataPath={self._layout.stores()[name]}",
            f"-snapshotName={snapshot}",
            f"-dst=fs://{(folder / key).resolve()}",
        ]
        if origin and (origin / key).is_dir():
            # What it shares with that is linked, not copied.
            arguments.append(f"-origin=fs://{(origin / key).resolve()}")
        self._tool.run(*arguments, held=(claim,))


def _copy(entry: Path, target: Path) -> None:
    """Copy a file or a folder with its files; what is neither is left out."""
    if entry.is_dir():
        target.mkdir(mode=0o700, exist_ok=True)
        shutil.copystat(entry, target)
        for inside in entry.iterdir():
            _copy(inside, target / inside.name)
    elif entry.name == DATABASE:
        sqlite.copy(entry, target)
        shutil.copymode(entry, target)
    elif entry.is_file() and entry.name not in JOURNALS:
        shutil.copy2(entry, target)


def _parts(snapshot: Path) -> list[tuple[str, int]]:
    """The files of a snapshot with their sizes; parts of it are links to folders."""
    found = []
    folders = [snapshot]
    while folders:
        for path in folders.pop().iterdir():
            if path.is_dir():
                folders.append(path)
            else:
                found.append((path.relative_to(snapshot).as_posix(), path.stat().st_size))
    return found


def _mb(size: int) -> int:
    return -(-size // 1_000_000)
