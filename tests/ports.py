"""Free ports for the programs that tests start, several test runs at a time."""

import fcntl
import os
import socket
import tempfile
from functools import cache
from itertools import count, cycle
from pathlib import Path
from typing import NamedTuple, TextIO

# Below the ports that the kernel gives to outgoing connections: one of those could be taken
# between the look at it and the start of the program.
FIRST, BLOCK, BLOCKS = 20000, 400, 30


class _Block(NamedTuple):
    """Ports that are this process's until its end."""

    lock: TextIO
    ports: "cycle[int]"


@cache
def _block() -> _Block:
    """The first block that no other process has."""
    folder = Path(tempfile.gettempdir()) / f"gpuglass-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for number in range(BLOCKS):
        lock = (folder / str(number)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        first = FIRST + number * BLOCK
        return _Block(lock, cycle(range(first, first + BLOCK)))
    raise RuntimeError(f"{BLOCKS} processes hold the ports for tests; see {folder}")


def is_free(port: int, family: socket.AddressFamily, host: str) -> bool:
    """Whether a program could listen there now."""
    try:
        with socket.socket(family) as probe:
            probe.bind((host, port))
    except OSError:
        return False
    return True


def free_port(family: socket.AddressFamily = socket.AF_INET, host: str = "") -> int:
    """A port that is free, and that no later call gives until all others were given.

    Args:
        family: Of the address on which it will be used.
        host: That address; every one of this machine by default.
    """
    tried = count(1)
    for port in _block().ports:
        if is_free(port, family, host):
            return port
        if next(tried) == BLOCK:
            break
    raise RuntimeError(f"none of {BLOCK} ports is free on {host or 'this machine'}")
