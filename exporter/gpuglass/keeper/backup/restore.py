"""Puts a backup in the place of what an installation has."""

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import gpuglass
from gpuglass.keeper.backup import manifest, ownership
from gpuglass.keeper.backup.exchange import Exchange
from gpuglass.keeper.backup.layout import Layout, Place
from gpuglass.keeper.backup.manifest import BackupError, Manifest
from gpuglass.keeper.backup.programs import Tool

_MARGIN = 64 << 20
_TOLD = 3


class Restorer:
    """Restores backups.

    Args:
        layout: Where the installation lies.
        tool: vmrestore.
    """

    def __init__(self, layout: Layout, tool: Tool) -> None:
        self._layout, self._tool = layout, tool

    def restore(self, backup: Path, replace: bool) -> Manifest:
        """Put a backup in place: all of it, or nothing.

        Args:
            backup: Its folder.
            replace: Whether what is there may go.

        Returns:
            What the backup says of itself.

        Raises:
            BackupError: It cannot be restored here, and all is as it was.
            OSError: Something cannot be read or written, and all is as it was.
        """
        told = manifest.read(backup)
        self._check_kind(backup, told)
        keys = tuple({"/".join(path.split("/")[:2]) for path in told.files})
        stores = [self._layout.store(name) for name in told.stores]
        others = list(self._layout.places(keys))
        with self._storage_at_rest(stores) as locks:
            exchange = Exchange(stores, others)
            exchange.settle()
            if not replace:
                self._check_empty([*stores, *others], backup)
            check_whole(backup, told)
            self._check_disk(told, stores, others)
            try:
                for store in stores:
                    self._stage_store(store, backup, exchange.staged(store), locks)
                for place in others:
                    _stage(backup, place, exchange.staged(place))
                    ownership.give(exchange.staged(place), place.folder)
                exchange.commit()
            finally:
                # After a failure, what was put together for nothing.
                exchange.settle()
        return told

    def _check_kind(self, backup: Path, told: Manifest) -> None:
        if told.profile != self._layout.profile:
            raise BackupError(
                f"{backup}: of {told.profile} storage, and this installation's is "
                f"{self._layout.profile}; set GPUGLASS_STORAGE={told.profile} in gpuglass.env, "
                "run setup.sh, stop it, and restore again"
            )
        if set(told.stores) != set(self._layout.stores()):
            raise BackupError(f"{backup / manifest.FILE}: damaged; take another backup")
        for what, made, here in (
            ("gpuglass", told.gpuglass, gpuglass.__version__),
            ("VictoriaMetrics", told.victoriametrics, self._tool.version()),
        ):
            if made and here and _release(made) > _release(here):
                raise BackupError(
                    f"{backup}: made by {what} {made}, and {here} is here, which may not read it; "
                    "upgrade this installation first"
                )

    @contextlib.contextmanager
    def _storage_at_rest(self, stores: list[Place]) -> Iterator[tuple[int, ...]]:
        """See to it that no VictoriaMetrics runs on the folders, and none starts."""
        with contextlib.ExitStack() as stack:
            locks = []
            for store in stores:
                store.folder.mkdir(parents=True, exist_ok=True)
                file = stack.enter_context((store.folder / "flock.lock").open("a"))
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise BackupError(
                        f"{store.folder}: in use by VictoriaMetrics, or by another restore; "
                        "./setup.sh --stop first"
                    ) from None
                locks.append(file.fileno())
            yield tuple(locks)

    def _check_empty(self, places: list[Place], backup: Path) -> None:
        there = [
            str(entry)
            for place in places
            for entry in place.entries()
            if not _is_same(entry, backup / place.key / entry.name)
        ]
        if there:
            more = f" and {len(there) - _TOLD} more" if len(there) > _TOLD else ""
            raise BackupError(
                f"there are data already, which would be lost: {', '.join(there[:_TOLD])}{more}; "
                "--replace gives them up for those of the backup"
            )

    def _check_disk(self, told: Manifest, stores: list[Place], others: list[Place]) -> None:
        needed: dict[int, int] = {}
        folder_on: dict[int, Path] = {}
        for place in (*stores, *others):
            folder = _existing(place.folder)
            device = folder.stat().st_dev
            folder_on.setdefault(device, folder)
            needed[device] = needed.get(device, _MARGIN) + told.size_of(place.key)
        for device, size in needed.items():
            free = shutil.disk_usage(folder_on[device]).free
            if free < size:
                raise BackupError(
                    f"{folder_on[device]}: {free // 1_000_000} MB are free, "
                    f"{-(-size // 1_000_000)} MB are needed, for what is there goes last; make room"
                )

    def _stage_store(
        self, store: Place, backup: Path, staged: Path, locks: tuple[int, ...]
    ) -> None:
        self._tool.run(
            f"-src=fs://{(backup / store.key).resolve()}", f"-storageDataPath={staged}", held=locks
        )
        (staged / "flock.lock").unlink()
        ownership.give(staged, store.folder)


def check_whole(backup: Path, told: Manifest) -> None:
    """Read all of a backup.

    Raises:
        BackupError: It is not as it was made.
    """
    try:
        found = list(manifest.damages(backup, told))
    except OSError as error:
        found = [f"{error.filename}: cannot be read ({error.strerror})"]
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise BackupError(f"damaged: {found[0]}{more}; take another backup")


def _stage(backup: Path, place: Place, target: Path) -> None:
    source = backup / place.key
    for entry in source.iterdir() if source.is_dir() else ():
        if place.kept(entry.name):
            if entry.is_dir():
                shutil.copytree(entry, target / entry.name)
            else:
                shutil.copy2(entry, target / entry.name)


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def _is_same(entry: Path, other: Path) -> bool:
    if entry.is_file() and other.is_file():
        return entry.read_bytes() == other.read_bytes()
    return entry.is_dir() and not any(os.scandir(entry))


def _release(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:3]))
