"""Listens on the control socket.

One line of JSON is asked, one is answered, and the connection ends. The socket's mode keeps others
out, and whoever is connected is looked at once more: root and the exporter's own user may command.
"""

import asyncio
import contextlib
import errno
import fcntl
import json
import logging
import os
import socket
import stat
import struct
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

_log = logging.getLogger(__name__)

Handler = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]

_LONGEST_REQUEST = 4096
_REQUEST_SECONDS = 5.0
# The probe is given 5 s to end.
_ANSWER_SECONDS = 30.0
_MOST_CONNECTIONS = 16
_LOCK_SECONDS = 1.0
_LONGEST_PATH = 107


class ControlError(Exception):
    """A control socket cannot be made; the text says why."""


class Control:
    """A control socket that is listened on.

    Args:
        path: Where it is to be.
        handler: Answers a request; a ``ValueError`` of it becomes an error of the asker's.
    """

    def __init__(self, path: Path, handler: Handler) -> None:
        self.path = path
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._connections = 0
        self._identity = (0, 0)

    async def start(self) -> None:
        """Listen; a socket that a dead process has left is replaced.

        Raises:
            ControlError: The socket cannot be made, or another process listens on it.
        """
        try:
            listener = _bind(self.path)
        except OSError as error:
            raise ControlError(f"{self.path}: {error.strerror or error}") from None
        status = self.path.lstat()
        self._identity = status.st_dev, status.st_ino
        self._server = await asyncio.start_unix_server(
            self._serve, sock=listener, limit=_LONGEST_REQUEST
        )

    def stop(self) -> None:
        """Listen no more."""
        if self._server is None:
            return
        self._server.close()
        with contextlib.suppress(OSError):
            status = self.path.lstat()
            if (status.st_dev, status.st_ino) == self._identity:
                self.path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections > _MOST_CONNECTIONS:
                answer = {"error": "too many ask at once; try again"}
            else:
                line = await asyncio.wait_for(reader.readline(), _REQUEST_SECONDS)
                if not line:
                    return
                answer = await asyncio.wait_for(self._answer(writer, line), _ANSWER_SECONDS)
            writer.write(json.dumps(answer).encode() + b"\n")
            await asyncio.wait_for(writer.drain(), _REQUEST_SECONDS)
        except (OSError, ValueError, asyncio.TimeoutError):
            pass  # who does not ask in a line, or does not listen, gets no answer
        finally:
            self._connections -= 1
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, line: bytes) -> dict[str, Any]:
        if _uid(writer.get_extra_info("socket")) not in (0, os.getuid()):
            return {"error": "only root and the exporter's own user may do that"}
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise ValueError("a request is a JSON object")
            return await self._handler(request)
        except (ValueError, RecursionError) as error:
            return {"error": f"not a request: {error}"}


async def listen(paths: Iterator[Path], handler: Handler) -> Control | None:
    """Listen on the first of some paths on which it is possible.

    Args:
        paths: The paths to try.
        handler: Answers requests.

    Returns:
        The socket; ``None``, after one warning, if there is none.
    """
    trouble = "there is no folder for it"
    for path in paths:
        control = Control(path, handler)
        try:
            await control.start()
            return control
        except ControlError as error:
            trouble = str(error)
            if isinstance(error, _TakenError):
                break
    _log.warning(
        "there is no control socket, so that gpuglass release cannot be used, nor doctor where "
        "metrics need a password (%s); see --control.socket",
        trouble,
    )
    return None


class _TakenError(ControlError):
    pass


def _bind(path: Path) -> socket.socket:
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise ControlError(f"{path}: a socket's path has at most {_LONGEST_PATH} bytes")
    with _locked(path.parent):
        _make_way(path)
        listener = socket.socket(socket.AF_UNIX)
        try:
            # Nobody can connect before it listens, and by then its mode is right.
            listener.bind(os.fspath(path))
            path.chmod(0o600)
            listener.listen(_MOST_CONNECTIONS)
            listener.setblocking(False)
        except OSError:
            listener.close()
            raise
    return listener


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Two exporters that start at once must not each take the other's socket for a dead one."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ControlError(f"{folder}: is locked by another process") from None
                time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def _make_way(path: Path) -> None:
    """Remove the socket of a process that is dead.

    Raises:
        ControlError: It is something else, or of a living process.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ControlError(f"{path}: is there and is no socket")
    with socket.socket(socket.AF_UNIX) as client:
        client.setblocking(False)
        code = client.connect_ex(os.fspath(path))
    if code != errno.ECONNREFUSED:
        raise _TakenError(f"{path}: another exporter listens there")
    path.unlink()


def _uid(connection: socket.socket) -> int:
    """Who is connected, as the kernel tells."""
    size = struct.calcsize("3i")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    uid: int = struct.unpack("3i", credentials)[1]
    return uid
