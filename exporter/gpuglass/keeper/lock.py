"""One command at a time changes the files of a folder."""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOCK = ".gpuglass.lock"
_PATIENCE = 10.0
_PAUSE = 0.02


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
                what = "another command is changing what is in it and does not end"
                raise OSError(errno.EAGAIN, what, str(directory)) from None
        time.sleep(_PAUSE)
