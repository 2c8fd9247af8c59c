"""A reader of the kernel log that hands XIDs on, and the exporter at its other side."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gpuglass.kernel.records import READY, XID
from gpuglass.pipeline.kernel_log import KernelLog

SECRET = "NVRM: loading module at ffffffffc0de0000"


class Machine:
    """A kernel log, and a socket that does for connections what systemd does."""

    def __init__(self, folder: Path) -> None:
        self.log, self.path = folder / "kmsg", folder / "reader.sock"
        os.mkfifo(self.log)
        self._writer = os.open(self.log, os.O_RDWR)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(os.fspath(self.path))
        self._listener.listen()
        self.readers: list[subprocess.Popen[bytes]] = []

    def serve(self) -> None:
        """Start a reader for the next connection."""
        connection, _ = self._listener.accept()
        command = [sys.executable, "-m", "gpuglass.kernel", str(self.log)]
        with connection:
            self.readers.append(subprocess.Popen(command, stdout=connection.fileno()))

    def say(self, sequence: int, message: str) -> None:
        record = f"6,{sequence},{sequence * 1000},-;{message}\n SUBSYSTEM=pci\n"
        os.write(self._writer, record.encode())

    def close(self) -> None:
        for reader in self.readers:
            reader.kill()
            reader.wait()
        self._listener.close()
        os.close(self._writer)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    yield made
    made.close()


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def xid(number: int) -> str:
    return f"NVRM: Xid (PCI:0000:3b:00): {number}, pid=1234, name=python"


def connect(machine: Machine) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    client.settimeout(30)
    client.connect(os.fspath(machine.path))
    machine.serve()
    return client


def test_nothing_else_is_handed_on(machine: Machine) -> None:
    with connect(machine) as client:
        assert client.recv(100) == READY
        machine.say(1, SECRET)
        machine.say(2, f"user: {xid(79)}")
        machine.say(3, xid(79))
        assert client.recv(8192) == b"6,3,3000,-;NVRM: Xid (PCI:0000:3b:00): 79"


def test_a_reader_ends_with_its_connection(machine: Machine) -> None:
    with connect(machine) as client:
        assert client.recv(100) == READY
    assert machine.readers[0].wait(30) == 0


def test_a_reader_that_may_not_says_why(machine: Machine) -> None:
    machine.log.unlink()
    with connect(machine) as client:
        assert client.recv(100) == b"ENOENT"
        assert client.recv(100) == b""
    assert machine.readers[0].wait(30) == 1


async def test_xids_are_counted_once_however_often_a_reader_starts(machine: Machine) -> None:
    seen: list[int] = []
    told: list[str] = []
    serving = asyncio.get_running_loop().run_in_executor(None, machine.serve)
    log = await asyncio.to_thread(
        KernelLog, machine.path, lambda _, xid, __: seen.append(xid), told.append
    )
    await serving
    following = asyncio.create_task(log.run())
    machine.say(7, xid(79))
    machine.say(8, xid(48))
    await until(lambda: seen == [79, 48])
    machine.readers[0].kill()
    await until(lambda: told == ["gone"])
    await asyncio.get_running_loop().run_in_executor(None, machine.serve)
    await until(lambda: told == ["gone", ""])
    # It begins with what the log still holds.
    machine.say(8, xid(48))
    machine.say(9, xid(31))
    await until(lambda: 31 in seen)
    assert seen == [79, 48, 31]
    following.cancel()
    log.close()


def test_who_may_not_read_is_told_like_everybody(machine: Machine) -> None:
    machine.log.unlink()
    serving = threading.Thread(target=machine.serve)
    serving.start()
    with pytest.raises(FileNotFoundError):
        KernelLog(machine.path, lambda *_: None)
    serving.join()


def test_a_record_is_of_one_line() -> None:
    assert not XID.search(b"6,1,2,-\n;NVRM: Xid (PCI:0000:3b:00): 79")
