"""Starts a demo: processes for the stand-in GPUs, and then what is to see them.

    demo.py SCENARIO PLAYED COMMAND...

A scenario's processes have pids that no process can have, and so nobody owns them. Here each that
has a name gets a process that does nothing, so that the demo shows a user and a name which are
true. The scenario with their pids is written to PLAYED. Then this becomes COMMAND, and the
processes end with it.

The kernel log tells of real GPUs only, so the exporter is given none: it takes the XIDs that the
stand-in driver tells of.
"""

import ctypes
import os
import re
import signal
import sys
from pathlib import Path

_PROCESS = re.compile(r"^(process pid=)\d+(.* name=)(\S+)", re.MULTILINE)
# <linux/prctl.h>
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15


def main(scenario: str, played: str, *command: str) -> None:
    """Start the processes and become the command."""
    text = Path(scenario).read_text()
    Path(played).write_text(
        _PROCESS.sub(lambda line: f"{line[1]}{_start(f'demo-{line[3]}')}{line[2]}{line[3]}", text)
    )
    os.environ["GPUGLASS_SIM_SCENARIO"] = played
    os.environ["GPUGLASS_PATH_KMSG"] = "/nonexistent/kmsg"
    os.execvp(command[0], command)


def _start(name: str) -> int:
    """Start a process that does nothing until this one ends; return its pid."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_NAME, name.encode())
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    while os.getppid() == parent:
        signal.pause()
    os._exit(0)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit("usage: demo.py SCENARIO PLAYED COMMAND...")
    main(*sys.argv[1:])
