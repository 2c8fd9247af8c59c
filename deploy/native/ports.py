"""Which of the given ports are taken, and by whom: a line "PORT PROCESS" for each that is.

usage: ports.py ADDRESS:PORT...     (* is every address)
"""

import errno
import socket
import sys
from pathlib import Path

LISTEN = "0A"


def is_taken(address: str, port: int) -> bool:
    """Whether we could not listen there."""
    if address == "*":
        return is_taken("0.0.0.0", port) or is_taken("::", port)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        probe = socket.socket(family)
    except OSError:
        return False  # a machine without IPv6
    with probe:
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError as error:
            return error.errno in (errno.EADDRINUSE, errno.EACCES)
    return False


def listeners(port: int) -> set[str]:
    """The sockets that listen on the port, as /proc spells them in a process's files."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in map(str.split, rows):
            if row[3] == LISTEN and int(row[1].rpartition(":")[2], 16) == port:
                found.add(f"socket:[{row[9]}]")
    return found


def owner(port: int) -> str:
    """Who listens on the port, in words."""
    sockets = listeners(port)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(file.readlink()) in sockets for file in (process / "fd").iterdir()):
                name = (process / "comm").read_text().strip()
                return f"{name} (process {process.name})"
        except OSError:
            continue  # another user's process, or one that is gone
    return "another process" if sockets else "nobody we can see (is it a reserved port?)"


def main() -> None:
    """Print the taken ones of the addresses on the command line."""
    for argument in sys.argv[1:]:
        address, _, port = argument.rpartition(":")
        if is_taken(address, int(port)):
            print(port, owner(int(port)))


if __name__ == "__main__":
    main()
