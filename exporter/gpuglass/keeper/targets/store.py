"""The folder of targets files as commands change it: one at a time, whole files only."""

import errno
import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gpuglass.keeper import folder
from gpuglass.keeper.targets.edit import Identity
from gpuglass.keeper.targets.file import Target, TargetsFile, parse
from gpuglass.keeper.targets.keeper import IS_TARGETS_NAME
from gpuglass.text.document import Problem
from gpuglass.text.files import replace

_LOCK = ".gpuglass.lock"
_PATIENCE = 10.0
_PAUSE = 0.02


@dataclass(frozen=True)
class Place:
    """A target and the file that names it."""

    file: str
    target: Target

    def __str__(self) -> str:
        return f"{self.file}:{self.target.line}"


@contextmanager
def locked(directory: Path, patience: float = _PATIENCE) -> Iterator[None]:
    """Keep other commands from changing the folder meanwhile; people's editors do as they like.

    Args:
        directory: The folder.
        patience: Seconds to wait for another command.

    Raises:
        OSError: The folder cannot be written to, or another command does not end.
    """
    descriptor = _opened(directory / _LOCK)
    try:
        _lock(descriptor, directory, time.monotonic() + patience)
        yield
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except PermissionError:
        # Another user's, such as root's. To lock it, reading will do.
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _lock(descriptor: int, directory: Path, end: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= end:
                what = "another command is changing the targets and does not end"
                raise OSError(errno.EAGAIN, what, str(directory)) from None
        time.sleep(_PAUSE)


class Store:
    """The files as they are when this is made.

    Args:
        directory: The folder.

    Raises:
        OSError: It cannot be listed.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._contents: dict[str, bytes] = {}
        self.files: dict[str, TargetsFile] = {}
        for name in sorted(folder.scan(directory, IS_TARGETS_NAME)):
            self._read(name)

    def content(self, name: str) -> bytes:
        """What a file holds; nothing if it is not there or cannot be read."""
        return self._contents.get(name, b"")

    def unreadable(self, name: str) -> Problem | None:
        """Why a file that is there cannot be changed, if its bytes cannot even be read."""
        file = self.files.get(name)
        return file.problems[0] if file and file.problems and name not in self._contents else None

    def places(self) -> Mapping[Identity, Place]:
        """Where each target of a good file is named, in the order of files and lines."""
        found: dict[Identity, Place] = {}
        for name, file in self.files.items():
            for target in file.targets:
                found.setdefault(target.identity, Place(name, target))
        return found

    def write(self, name: str, content: bytes) -> None:
        """Replace a file, or make it; its owner and who may read it stay.

        Raises:
            OSError: It cannot be written; the old one stays.
        """
        # A link stays a link.
        path = (self.directory / name).resolve()
        try:
            like = path.stat()
        except FileNotFoundError:
            like = None
        replace(path, content, like=like)

    def _read(self, name: str) -> None:
        content = folder.read(self.directory / name, name)
        if isinstance(content, Problem):
            self.files[name] = TargetsFile(name, problems=(content,))
            return
        self._contents[name] = content
        self.files[name] = parse(name, content)
