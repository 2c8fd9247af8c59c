"""Runs other programs that call the driver: told to end when they are late, never killed."""

import contextlib
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_END_SECONDS = 5.0


class Done(NamedTuple):
    """How a program ended, and what it wrote."""

    status: int
    output: str
    log: str


def run(
    command: Sequence[str], seconds: float, environment: Mapping[str, str] | None = None
) -> Done:
    """Run a program to its end.

    Args:
        command: Its command line.
        seconds: How long it may take. It is left behind if it does not end when told to.
        environment: Its environment, if not ours.

    Raises:
        OSError: It cannot be started, or takes too long (``TimeoutError``).
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=log
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_END_SECONDS)
            raise TimeoutError(0, f"did not end within {seconds:g} s") from None
        output.seek(0)
        log.seek(0)
        return Done(process.returncode, output.read(), log.read())
