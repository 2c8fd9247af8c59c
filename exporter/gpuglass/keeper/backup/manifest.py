"""What a backup says of itself, and whether it is still as it says."""

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from gpuglass.text.files import replace

FILE = "manifest.json"
FORMAT = 1
_PIECE = 1 << 20


class BackupError(Exception):
    """A backup cannot be made or used; the text says why and what to do."""


class Content(NamedTuple):
    """A file by its size in bytes and its SHA-256."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What is known of a backup.

    Attributes:
        gpuglass: The version that made it.
        victoriametrics: That of the storage; empty where it does not tell.
        moment: Unix time of its content.
        machine: Where it was made.
        profile: The storage's profile.
        stores: The storages that it holds.
        files: What is in it, by path.
    """

    gpuglass: str
    victoriametrics: str
    moment: int
    machine: str
    profile: str
    stores: tuple[str, ...]
    files: dict[str, Content]

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(content.size for content in self.files.values())

    def size_of(self, key: str) -> int:
        """The bytes of the files below a path."""
        return sum(c.size for path, c in self.files.items() if path.startswith(f"{key}/"))

    def sizes_of_parts(self, key: str) -> dict[str, int]:
        """The sizes of files of a storage, by the paths they have there: a backup cuts them up."""
        sizes: dict[str, int] = defaultdict(int)
        for path, content in self.files.items():
            if path.startswith(f"{key}/"):
                sizes[path.removeprefix(f"{key}/").rpartition("/")[0]] += content.size
        return sizes


def read(folder: Path) -> Manifest:
    """Read the manifest of a backup.

    Raises:
        BackupError: There is none that can be read, or a newer gpuglass made it.
    """
    path = folder / FILE
    try:
        told = json.loads(path.read_bytes())
        if told["format"] > FORMAT:
            raise BackupError(
                f"{folder}: made by gpuglass {told['gpuglass']}, whose backups this version cannot "
                "read; upgrade this installation first"
            )
        files = {name: Content(*content) for name, content in told.pop("files").items()}
        stores = tuple(told.pop("stores"))
        del told["format"]
        return Manifest(**told, files=files, stores=stores)
    except FileNotFoundError:
        raise BackupError(f"{folder}: no backup of gpuglass; name the folder of one") from None
    except OSError as error:
        raise BackupError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BackupError(f"{path}: damaged; take another backup") from None


def write(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, which makes the folder a backup.

    Raises:
        OSError: It cannot be written.
    """
    told = {"format": FORMAT, **asdict(manifest)}
    told["files"] = {name: list(content) for name, content in sorted(manifest.files.items())}
    replace(folder / FILE, json.dumps(told, indent=1).encode(), 0o600)


def contents(folder: Path, before: Path | None, known: dict[str, Content]) -> dict[str, Content]:
    """What is in a folder: every file is read, but for those that are the same as before.

    Args:
        folder: The folder.
        before: Another one, with which it shares files that did not change.
        known: What is in that.

    Raises:
        OSError: A file cannot be read.
    """
    found = {}
    for path in walk(folder):
        name = path.relative_to(folder).as_posix()
        content = known.get(name)
        if content is None or before is None or not _is_same(path, before / name):
            content = _content(path)
        found[name] = content
    return found


def damages(folder: Path, manifest: Manifest) -> Iterator[str]:
    """What of a backup is not as its manifest says, a line each; every file is read."""
    there = {path.relative_to(folder).as_posix() for path in walk(folder)} - {FILE}
    for name in sorted(there - manifest.files.keys()):
        yield f"{folder / name}: does not belong there"
    for name, content in manifest.files.items():
        path = folder / name
        if name not in there:
            yield f"{path}: missing"
            continue
        try:
            if path.stat().st_size != content.size:
                yield f"{path}: has {path.stat().st_size} bytes instead of {content.size}"
            elif _content(path) != content:
                yield f"{path}: its content has changed"
        except OSError as error:
            yield f"{path}: cannot be read ({error.strerror})"


def walk(folder: Path) -> Iterator[Path]:
    """The files below a folder."""
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders.sort()
        yield from (Path(parent) / name for name in sorted(names))


def total(paths: Iterable[Path]) -> int:
    """The bytes of files."""
    return sum(path.stat().st_size for path in paths)


def _raise(error: OSError) -> None:
    raise error


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False


def _content(path: Path) -> Content:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            size += len(piece)
    return Content(size, digest.hexdigest())
