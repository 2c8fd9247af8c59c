"""``python -m tests.hardware --out DIR``: what a real GPU, driver and nvidia-smi say.

Writes JSON, pages and summary.md into DIR, and all of it into one archive there. Nothing is set,
cleared or reset. Serial numbers, UUIDs, and names of hosts, users and containers are replaced by
others, the same for the same one, in all that is written.
"""

import argparse
import os
import signal
import sys
import tarfile
import tempfile
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from tests.hardware import summary
from tests.hardware.fakes import Fakes
from tests.hardware.pace import QUICK, Pace
from tests.hardware.runner import Part, Run

_PROGRAM = "python -m tests.hardware"
_SECONDS = 235.0
_LOAD_START_SECONDS = 15.0
_MOST_BYTES = 2 * 1024 * 1024
_LOOK = Part("look", 60)
_LOAD = Part("load", 90, 90)
_EPILOG = """\
Without a network any Python 3.10 or newer that has nvidia-ml-py will do. The exporter's own part
needs the packages that pyproject.toml names, in those versions; if it fails, the rest is done all
the same. In the repository's root:

  PYTHONPATH=exporter python3 -m tests.hardware --out DIR

Run it as root to learn what others may not read: parts are then done as nobody too.
"""


def parts(root: bool) -> list[Part]:
    """What is done, in order; without root nothing as nobody."""
    every = [
        Part("environment", 60, 40),
        Part("functions", 60),
        Part("functions", 40, nobody=True),
        Part("fields", 50),
        Part("nvlink", 20),
        Part("events", 20),
        Part("samples", 25),
        Part("gpm", 20),
        Part("processes", 20),
        Part("pcie", 30, 20),
        Part("pcie", 30, 20, loaded=True),
        Part("samples", 25, loaded=True),
        Part("gpm", 20, loaded=True),
        Part("gpm", 20, nobody=True, loaded=True),
        Part("processes", 20, loaded=True),
        Part("processes", 20, nobody=True, loaded=True),
        Part("exporter", 150, 130, loaded=True),
        Part("exporter", 70, 60, nobody=True),
    ]
    return [part for part in every if root or not part.nobody]


class _EndedError(Exception):
    """Somebody asked for the end."""


def _on_signal(number: int, frame: FrameType | None) -> NoReturn:
    raise _EndedError


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="where to write; new, or empty"
    )
    parser.add_argument(
        "--quick", action="store_true", help="few calls, short times: no figures to keep"
    )
    parser.add_argument(
        "--only", metavar="PART,...", default="", help="only these parts, such as gpm,pcie"
    )
    parser.add_argument(
        "--no-load", action="store_true", help="give the GPU no work: others may be using it"
    )
    arguments = parser.parse_args()
    known = {part.name for part in parts(True)}
    if unknown := set(filter(None, arguments.only.split(","))) - known:
        parser.error(f"--only: no part {min(unknown)!r}; there are {', '.join(sorted(known))}")
    if arguments.out.exists() and (not arguments.out.is_dir() or any(arguments.out.iterdir())):
        parser.error(f"{arguments.out} is not an empty folder; name another one")
    return arguments


def _look(fakes: Fakes, pace: Pace) -> None:
    """Find the GPUs, and learn what must not be written; end the program if there is none."""
    with tempfile.TemporaryDirectory() as folder:
        look = Run(_LOOK, Path(folder), pace, fakes, time.monotonic() + _LOOK.seconds)
        look.run()
    gpus = look.results.steps.get("gpus")
    if isinstance(gpus, list) and gpus:
        return
    told = gpus if isinstance(gpus, dict) else {}
    why = told.get("error") or told.get("ended") or look.results.steps.get("stderr")
    sys.exit(f"{_PROGRAM}: error: no NVIDIA GPU here: {why or 'NVML lists none'}")


class _Load:
    """The work that the GPU gets while some parts run."""

    def __init__(self, folder: Path, pace: Pace, fakes: Fakes, until: float) -> None:
        self._arguments = (folder, pace, fakes, until)
        self._run: Run | None = None
        self._thread: threading.Thread | None = None
        self._number = 0

    def want(self, wanted: bool) -> None:
        """Begin it, or have it end."""
        if wanted and not self._run:
            self._number += 1
            part = _LOAD._replace(number=self._number)
            self._run = Run(part, *self._arguments)
            self._thread = threading.Thread(target=self._run.run)
            self._thread.start()
            self._run.has_told.wait(_LOAD_START_SECONDS)
        elif not wanted and self._run and self._thread:
            self._run.tell_to_end()
            self._thread.join()
            self._run = self._thread = None


def _run_parts(wanted: list[Part], folder: Path, pace: Pace, fakes: Fakes, with_load: bool) -> None:
    until = time.monotonic() + _SECONDS
    load = _Load(folder, pace, fakes, until)
    try:
        for part in wanted:
            if time.monotonic() >= until:
                print(f"{part.file}: left out: the time is up", flush=True)
                continue
            # The exporter's minute begins with work of its own.
            if part.name == "exporter":
                load.want(False)
            load.want(part.loaded and with_load)
            run = Run(part, folder, pace, fakes, until)
            run.run()
            head, steps = run.results.head, run.results.steps
            print(
                f"{part.file}: {head['ended']}, {len(steps)} results, {head['seconds']} s",
                flush=True,
            )
    finally:
        load.want(False)


def _archive(folder: Path) -> Path:
    """All files in one, the largest left out where they would not fit."""
    files = sorted(folder.iterdir(), key=lambda path: path.stat().st_size)
    archive = folder / f"{folder.resolve().name}.tar.gz"
    while True:
        with tarfile.open(archive, "w:gz") as tar:
            for path in files:
                tar.add(path, f"{folder.resolve().name}/{path.name}", filter=_nameless)
        if archive.stat().st_size <= _MOST_BYTES:
            return archive
        print(f"{files.pop().name} is left out of the archive: too large")


def _nameless(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member


def main() -> None:
    """Run the parts, sum them up, and pack them."""
    arguments = _arguments()
    pace, fakes = (QUICK if arguments.quick else Pace()), Fakes()
    status: Any = 0
    _look(fakes, pace)
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sys.exit(f"{_PROGRAM}: error: {arguments.out}: {error.strerror}")
    signal.signal(signal.SIGTERM, _on_signal)
    signal.signal(signal.SIGINT, _on_signal)
    only = set(filter(None, arguments.only.split(",")))
    wanted = [part for part in parts(os.geteuid() == 0) if not only or part.name in only]
    try:
        _run_parts(wanted, arguments.out, pace, fakes, not arguments.no_load)
    except _EndedError:
        status = f"{_PROGRAM}: ended before it was done; what was found is kept"
    (arguments.out / "summary.md").write_text(summary.render(arguments.out))
    print(_archive(arguments.out))
    sys.exit(status)


main()
