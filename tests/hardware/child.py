"""A part's process: ``python -m tests.hardware.child ASKED``.

As in the exporter's probe, the main thread never calls NVML, so that SIGTERM always ends the
process, and lets a call that is under way come back first.
"""

import contextlib
import ctypes
import faulthandler
import importlib
import json
import os
import pwd
import signal
import sys
import threading
import time
from types import FrameType

from tests.hardware.job import Job
from tests.hardware.pace import Asked, Pace

from gpuglass.probe.nvml import LIBRARY
from gpuglass.probe.whereabouts import StoppedError

_GRACE_SECONDS = 3.0


class _ToldError(Exception):
    """SIGTERM."""


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    raise _ToldError


class _Work(threading.Thread):
    """Takes the part's steps.

    Attributes:
        failed: Whether it could not go on.
    """

    def __init__(self, job: Job) -> None:
        super().__init__(daemon=True)
        self.failed = False
        self._job = job

    def run(self) -> None:
        try:
            _take_steps(self._job)
        except StoppedError:
            pass
        except Exception as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            self.failed = True


def _take_steps(job: Job) -> None:
    asked = job.asked
    for name, run in importlib.import_module(f"tests.hardware.{asked.part}").steps(job):
        if name in asked.skip:
            continue
        job.begin(name)
        try:
            found = run()
        except (StoppedError, BrokenPipeError):
            raise
        except Exception as error:  # the other steps may succeed
            found = {"error": f"{type(error).__name__}: {error}"}
        if found is not None:
            job.tell(found, name)


def _become_nobody() -> None:
    """Give up root's rights for good; whatever root alone can read has been read before."""
    nobody = pwd.getpwnam("nobody")
    os.setgroups([])
    os.setgid(nobody.pw_gid)
    os.setuid(nobody.pw_uid)
    os.environ["HOME"] = "/"


def _asked(argument: str) -> Asked:
    part, is_nobody, loaded, skip, pace = json.loads(argument)
    return Asked(part, is_nobody, loaded, tuple(skip), Pace(*pace))


def main() -> None:
    """Work until done, or until told to end."""
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides on Ctrl-C
    asked = _asked(sys.argv[1])
    pipe = os.dup(1)
    os.dup2(2, 1)  # what a library prints is no finding
    importlib.import_module(f"tests.hardware.{asked.part}")
    if asked.nobody:
        with contextlib.suppress(OSError):
            ctypes.CDLL(LIBRARY)  # only loaded, not started
        _become_nobody()
    stop = threading.Event()
    work = _Work(Job(asked, pipe, stop))
    try:
        signal.signal(signal.SIGTERM, _on_sigterm)
        work.start()
        while work.is_alive():
            time.sleep(0.02)
    except _ToldError:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        stop.set()
    work.join(_GRACE_SECONDS)
    # Without the interpreter's own end: it would wait for a thread that is stuck in the driver.
    os._exit(work.failed)


if __name__ == "__main__":
    main()
