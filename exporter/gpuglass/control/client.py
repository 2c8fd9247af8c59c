"""Asks the exporter of this machine through its control socket."""

import contextlib
import errno
import json
import os
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

# Longer than the exporter takes to answer.
_TIMEOUT = 40.0
# A page of metrics with thousands of processes and owners on it.
_LONGEST_ANSWER = 2**24


class AskError(Exception):
    """The exporter cannot be asked, or refuses; the text says why and what to do."""


def ask(paths: Iterable[Path], request: Mapping[str, Any]) -> dict[str, Any]:
    """Ask the one exporter that listens on one of some paths.

    Args:
        paths: Where its socket may be.
        request: What to ask.

    Returns:
        Its answer.

    Raises:
        AskError: None listens there, or more than one, or it refuses.
    """
    connection, path = _connect(list(paths))
    with connection:
        try:
            # One that is busy, or does not know us, answers before it is asked and hangs up.
            with contextlib.suppress(BrokenPipeError):
                connection.sendall(json.dumps(request).encode() + b"\n")
            line = _read_line(connection)
        except TimeoutError:
            raise AskError(f"the exporter at {path} does not answer; see its log") from None
        except OSError as error:
            raise AskError(
                f"the exporter at {path} has hung up ({error.strerror or error}); see its log"
            ) from None
    try:
        answer = json.loads(line)
        if not isinstance(answer, dict):
            raise ValueError
    except ValueError:
        raise AskError(f"what listens at {path} does not answer as an exporter does") from None
    if "error" in answer:
        raise AskError(f"the exporter at {path} refuses: {_printable(answer['error'])}")
    return answer


def _connect(paths: list[Path]) -> tuple[socket.socket, Path]:
    found: list[tuple[socket.socket, Path]] = []
    denied: list[Path] = []
    for path in paths:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(_TIMEOUT)
        try:
            client.connect(os.fspath(path))
        except OSError as error:
            client.close()
            if error.errno in (errno.EACCES, errno.EPERM):
                denied.append(path)
        else:
            found.append((client, path))
    if len(found) == 1:
        return found[0]
    for client, _ in found:
        client.close()
    if found:
        places = " and ".join(str(path) for _, path in found)
        raise AskError(
            f"more than one exporter runs here; say which with --control.socket: {places}"
        )
    if denied:
        raise AskError(
            f"no permission to command the exporter at {denied[0]}; "
            "be root or the user that it runs as"
        )
    if len(paths) == 1:
        raise AskError(f"no exporter listens at {paths[0]}; is gpuglass serve running?")
    raise AskError(
        "no exporter listens on this machine that this user may command; is gpuglass serve "
        "running? Be root or its user, or name its socket with --control.socket"
    )


def _read_line(connection: socket.socket) -> bytes:
    line = bytearray()
    while not line.endswith(b"\n") and len(line) < _LONGEST_ANSWER:
        part = connection.recv(65536)
        if not part:
            break
        line += part
    return bytes(line)


def _printable(text: Any) -> str:
    return "".join(c if c.isprintable() else "?" for c in str(text))
