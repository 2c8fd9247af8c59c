"""Reads the XIDs in the kernel log: all since boot that it still holds, then each as it comes."""

import asyncio
import contextlib
import errno
import logging
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

_log = logging.getLogger(__name__)

# The driver writes the address without its function, older ones without its domain.
_RECORD = re.compile(
    rb"^\d+,\d+,(?P<microseconds>\d+),[^;]*;"
    rb"NVRM: Xid \((?:PCI:)?(?P<address>[0-9a-fA-F:]+)(?:\.\d+)?\): (?P<xid>\d{1,4})\b",
    re.MULTILINE,
)
_RECORD_BYTES = 8192
# Others get their turn while a card floods the log.
_RECORDS_A_TURN = 500

Take = Callable[[str, int, float], None]


class KernelLog:
    """The kernel log of this machine.

    Args:
        path: ``/dev/kmsg``, or what stands in for it.
        take: Told the PCI address (such as ``0000:3b:00``), the XID and its Unix time.

    Raises:
        OSError: It may not be read: that takes CAP_SYSLOG where ``kernel.dmesg_restrict`` is 1.
    """

    def __init__(self, path: Path, take: Take) -> None:
        self._take = take
        self._file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    async def run(self) -> None:
        """Read until cancelled."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(self._file, ready.set)
        try:
            while True:
                await ready.wait()
                ready.clear()
                self._read()
                # A reader that is called for data that it leaves is called again at once.
                await asyncio.sleep(0)
        finally:
            loop.remove_reader(self._file)

    def close(self) -> None:
        """Let go of the log."""
        with contextlib.suppress(OSError):
            os.close(self._file)

    def _read(self) -> None:
        for _ in range(_RECORDS_A_TURN):
            try:
                record = os.read(self._file, _RECORD_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.EPIPE:  # the kernel has overwritten what came next
                    raise
                continue
            if not record:
                return
            self._parse(record)

    def _parse(self, record: bytes) -> None:
        """Find XIDs in ``PRIORITY,SEQUENCE,MICROSECONDS,FLAGS;MESSAGE`` (Linux, ABI/dev-kmsg).

        Anybody who may write to the log can write the rest of it: only what the driver writes
        counts, at the beginning of a message.
        """
        for match in _RECORD.finditer(record):
            since_boot = int(match["microseconds"]) / 1e6
            booted = time.time() - time.clock_gettime(time.CLOCK_MONOTONIC)
            self._take(match["address"].decode().lower(), int(match["xid"]), booted + since_boot)
