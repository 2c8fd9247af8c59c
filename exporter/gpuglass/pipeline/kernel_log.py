"""Reads the XIDs in the kernel log: all since boot that it still holds, then each as it comes."""

import asyncio
import contextlib
import errno
import logging
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

from gpuglass.kernel.records import READY, RECORD_BYTES, XID

_log = logging.getLogger(__name__)

# Others get their turn while a card floods the log.
_RECORDS_A_TURN = 500
# A reader of its own is started first, by systemd.
_ANSWER_SECONDS = 10.0
_RETRY_SECONDS = 2.0

Take = Callable[[str, int, float], None]
Tell = Callable[[str], None]


class KernelLog:
    """The kernel log of this machine.

    Args:
        path: ``/dev/kmsg``, or what stands in for it, or the socket of ``gpuglass.kernel``, which
            reads it for us.
        take: Told the PCI address (such as ``0000:3b:00``), the XID and its Unix time.
        tell: Told why a reader of its own is not there any more, in one word; nothing when it is
            there again.

    Raises:
        OSError: It may not be read: that takes CAP_SYSLOG where ``kernel.dmesg_restrict`` is 1.
    """

    def __init__(self, path: Path, take: Take, tell: Tell = lambda _: None) -> None:
        self._path, self._take, self._tell = path, take, tell
        self._is_socket = path.is_socket()
        # A reader begins with the oldest record, whatever the one before it has told.
        self._last_sequence = -1
        self._file = self._open()

    def _open(self) -> int:
        if self._is_socket:
            return _connect(self._path)
        return os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            if self._file < 0:
                await self._open_again()
            await self._follow()
            if self._is_socket:
                self.close()
                _log.warning("the reader of the kernel log at %s is gone", self._path)
                self._tell("gone")

    async def _open_again(self) -> None:
        """Try until the reader is there again."""
        while self._file < 0:
            await asyncio.sleep(_RETRY_SECONDS)
            with contextlib.suppress(OSError):
                self._file = await asyncio.to_thread(self._open)
        self._tell("")

    async def _follow(self) -> None:
        """Read until there is nobody any more who could write."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(self._file, ready.set)
        try:
            while True:
                await ready.wait()
                ready.clear()
                if not self._read() and self._is_socket:
                    return
                # A reader that is called for data that it leaves is called again at once.
                await asyncio.sleep(0)
        finally:
            loop.remove_reader(self._file)

    def close(self) -> None:
        """Let go of the log."""
        if self._file >= 0:
            with contextlib.suppress(OSError):
                os.close(self._file)
        self._file = -1

    def _read(self) -> bool:
        """Take what is there; false if that is the end."""
        for _ in range(_RECORDS_A_TURN):
            try:
                record = os.read(self._file, RECORD_BYTES)
            except BlockingIOError:
                return True
            except ConnectionError:
                return False
            except OSError as error:
                if error.errno != errno.EPIPE:  # the kernel has overwritten what came next
                    raise
                continue
            if not record:
                return False
            self._parse(record)
        return True

    def _parse(self, record: bytes) -> None:
        for match in XID.finditer(record):
            sequence, since_boot = int(match["sequence"]), int(match["microseconds"]) / 1e6
            if self._is_socket and sequence <= self._last_sequence:
                continue
            self._last_sequence = sequence
            booted = time.time() - time.clock_gettime(time.CLOCK_MONOTONIC)
            self._take(match["address"].decode().lower(), int(match["xid"]), booted + since_boot)


def _connect(path: Path) -> int:
    """Connect to a reader, and see that it may read.

    Raises:
        OSError: It may not, with its error; or it is not there.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as reader:
        reader.settimeout(_ANSWER_SECONDS)
        reader.connect(os.fspath(path))
        answer = reader.recv(64)
        if answer != READY:
            numbers = {name.encode(): number for number, name in errno.errorcode.items()}
            number = numbers.get(answer, errno.EIO)
            raise OSError(number, os.strerror(number))
        reader.setblocking(False)
        return reader.detach()
