"""Hands the XIDs of the kernel log on to whoever is connected, and nothing else of it.

    python -m gpuglass.kernel /dev/kmsg

It is for systemd, which starts one for each connection to a socket of packets (SOCK_SEQPACKET) and
makes that the standard output. Each record is one packet; the first packet says that there will be
any, or why not. All that the log still holds since boot comes first. It ends with the connection.
"""

import contextlib
import errno
import os
import select
import sys

from gpuglass.kernel.records import READY, RECORD_BYTES, XID


def main(path: str, connection: int) -> None:
    """Hand on until the other side hangs up.

    Args:
        path: Where the kernel log is.
        connection: The descriptor of the socket.
    """
    os.set_blocking(connection, True)
    try:
        log = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        os.write(connection, errno.errorcode.get(error.errno or 0, "EIO").encode())
        sys.exit(f"the kernel log {path} may not be read: {error.strerror}")
    os.write(connection, READY)
    waiting = select.poll()
    waiting.register(log, select.POLLIN)
    # That the other side has hung up is told of always.
    waiting.register(connection, 0)
    while connection not in [descriptor for descriptor, _ in waiting.poll()]:
        for record in _records(log):
            os.write(connection, record)


def _records(log: int) -> list[bytes]:
    """The parts of the next record that tell of XIDs, most often none."""
    try:
        record = os.read(log, RECORD_BYTES)
    except BlockingIOError:
        return []
    except OSError as error:
        if error.errno != errno.EPIPE:  # the kernel has overwritten what came next
            raise
        return []
    if not record:
        sys.exit("the kernel log has ended")
    return [match[0] for match in XID.finditer(record)]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m gpuglass.kernel LOG")
    with contextlib.suppress(BrokenPipeError):
        main(sys.argv[1], sys.stdout.fileno())
