"""The files in which Slurm's prolog says which job holds which GPU.

Two formats are in use. jobstats has a file for each GPU, named after its index or its UUID, with
the job's id and the user's uid. dcgm-exporter's folder of HPC jobs has a file for each GPU, named
after its index, or ``INDEX.INSTANCE`` for a MIG instance, with one job id a line. A folder may hold
either.
"""

import logging
import re
import stat
import time
from pathlib import Path
from typing import NamedTuple

_log = logging.getLogger(__name__)

_GPU = re.compile(r"\d{1,4}(?:\.\d{1,4})?|(?:GPU|MIG)-[0-9A-Za-z-]{1,80}", re.ASCII)
_LINE = re.compile(r"([0-9A-Za-z][0-9A-Za-z_.+\[\]-]{0,63})(?:\s+(\d{1,10}))?", re.ASCII)
_LONGEST = 64 * 1024
# The clock of files has steps: what was changed just now may change again and show the same time.
_UNSETTLED_NS = 2_000_000_000
_MOST_FILES = 1024


class JobHolder(NamedTuple):
    """A job that holds a GPU.

    Attributes:
        job_id: The job's id, as the file has it.
        uid: The uid of the job's user; None where the file does not tell it.
    """

    job_id: str
    uid: int | None


class _File(NamedTuple):
    """What a file said when it was read, and which state of it that was."""

    state: tuple[int, ...] = ()
    holders: tuple[JobHolder, ...] = ()
    complaint: str = ""


class JobFiles:
    """The jobs that hold each GPU, by folders in which Slurm's prolog says so.

    Args:
        folders: The folders. One that is not there yet has no jobs.

    Attributes:
        problem: Why the last reading is not complete: ``job_folder_unreadable`` or
            ``bad_job_file``; empty if it is. The log names the file and the line.
    """

    def __init__(self, folders: tuple[Path, ...]) -> None:
        self._folders = folders
        self._files: dict[Path, _File] = {}
        self.problem = ""

    def read(self) -> dict[str, tuple[JobHolder, ...]]:
        """Read the files that have changed.

        Returns:
            The jobs by the file's name: a GPU's index or UUID, a MIG instance's UUID, or
            ``INDEX.INSTANCE``. A GPU that no job holds is left out.
        """
        self.problem = ""
        before = self._files
        looked = {path: _look(path, before.get(path, _File())) for path in self._listed()}
        self._files = {path: file for path, file in looked.items() if file}
        holders: dict[str, tuple[JobHolder, ...]] = {}
        for path, file in self._files.items():
            if file.complaint:
                self.problem = self.problem or "bad_job_file"
            if file.complaint and file.complaint != before.get(path, _File()).complaint:
                _log.warning("%s: %s", path, file.complaint)
            if file.holders:
                both = holders.get(path.name, ()) + file.holders
                holders[path.name] = tuple(dict.fromkeys(both))
        return holders

    def _listed(self) -> list[Path]:
        """The files that are named after a GPU."""
        paths: list[Path] = []
        for folder in self._folders:
            try:
                names = [path.name for path in folder.iterdir()]
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:
                self.problem = "job_folder_unreadable"
                continue
            paths += [folder / name for name in sorted(names) if _GPU.fullmatch(name)]
        return paths[:_MOST_FILES]


def _look(path: Path, known: _File) -> _File | None:
    """Read a file unless it is as it is known; None if it is gone, as after the job's end."""
    try:
        status = path.stat()
        state: tuple[int, ...] = (status.st_mtime_ns, status.st_size, status.st_ino)
        if state == known.state:
            return known
        if not stat.S_ISREG(status.st_mode):  # to read a pipe would be to wait for its writer
            return _File(state, (), "not a file")
        if time.time_ns() - status.st_mtime_ns < _UNSETTLED_NS:
            state = ()
        with path.open("rb") as file:
            holders, bad = parse(file.read(_LONGEST))
    except FileNotFoundError:
        return None
    except OSError as error:
        return _File((), (), f"cannot be read: {error.strerror}")
    complaint = f"line {bad} is not a job id, or a job id and a uid" if bad else ""
    return _File(state, holders, complaint)


def parse(content: bytes) -> tuple[tuple[JobHolder, ...], int]:
    """Read a job file of either format.

    Returns:
        The jobs, each once; and the number of the first line that is none, 0 if all are.
    """
    holders: dict[JobHolder, None] = {}
    bad = 0
    text = content.decode(errors="backslashreplace")
    for number, line in enumerate(text.split("\n"), 1):
        match = _LINE.fullmatch(line.strip())
        if match:
            holders[JobHolder(match[1], int(match[2]) if match[2] else None)] = None
        elif line.strip():
            bad = bad or number
    return tuple(holders), bad
