"""Files that are read while others write them, and written while others read them."""

import contextlib
import os
import stat
from pathlib import Path
from typing import NamedTuple


class IrregularFileError(OSError):
    """It is no regular file."""


class Signature(NamedTuple):
    """What changes when a file does, or the error that hides it."""

    device: int = 0
    inode: int = 0
    size: int = 0
    modified_ns: int = 0
    changed_ns: int = 0
    error: str = ""


def signature(path: Path) -> Signature:
    """How to tell later whether a file has changed."""
    try:
        found = path.stat()
    except OSError as error:
        return Signature(error=error.strerror or str(error))
    return Signature(
        found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
    )


def read_bytes(path: Path, most: int) -> bytes:
    """The beginning of a file, without waiting for anybody.

    Args:
        path: The file.
        most: How many bytes to read.

    Raises:
        IrregularFileError: It is a named pipe, a device or the like.
        OSError: It cannot be read.
    """
    with open(path, "rb", opener=_open_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise IrregularFileError(f"{path} is not a regular file")
        return file.read(most)


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting for the writer of a named pipe."""
    return os.open(path, flags | os.O_NONBLOCK)


def replace(
    path: Path, content: bytes, mode: int = 0o666, like: os.stat_result | None = None
) -> None:
    """Write a file so that its readers, and a power cut, meet the old or the new one, whole.

    Args:
        path: The file.
        content: What to write.
        mode: Who may read it, less what the umask takes away.
        like: Another file, whose owner and mode it gets as far as we may give them.

    Raises:
        OSError: It cannot be written; the old one stays.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        # Never with the mode of a leftover.
        temporary.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(temporary, flags, mode), "wb") as file:
            if like is not None:
                _take_after(file.fileno(), like)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _take_after(descriptor: int, like: os.stat_result) -> None:
    # Only root may give a file away.
    with contextlib.suppress(PermissionError):
        os.fchown(descriptor, like.st_uid, like.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(like.st_mode))


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
