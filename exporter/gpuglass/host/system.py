"""Load, uptime, open files, and what the machine is."""

import os
import shlex
from collections.abc import Callable
from pathlib import Path

from gpuglass.catalogue import host as metrics
from gpuglass.catalogue.model import Sample
from gpuglass.host.registry import Paths, register


@register
class SystemCollector:
    """Facts of the machine as a whole, each from a small file of its own.

    A file that is missing or malformed leaves out its own metrics.
    """

    name = "system"
    slow = False

    def __init__(self, paths: Paths) -> None:
        self._procfs = paths.procfs
        self._os_release = [paths.rootfs / "etc/os-release", paths.rootfs / "usr/lib/os-release"]
        self._info: Sample | None = None
        self._info_of: object = None
        self._parts: list[Callable[[], list[Sample]]] = [
            self._load,
            self._uptime,
            self._files,
            self._identity,
        ]

    def read(self) -> list[Sample]:
        """Read load, uptime in seconds, open files and the info series.

        Raises:
            OSError: No file can be read.
            ValueError: No file is readable, and the first is malformed.
        """
        samples: list[Sample] = []
        problems: list[Exception] = []
        for part in self._parts:
            try:
                samples.extend(part())
            except (OSError, ValueError) as problem:
                problems.append(problem)
        if problems and not samples:
            raise problems[0]
        return samples

    def _load(self) -> list[Sample]:
        values = _numbers(self._procfs / "loadavg", 3)
        found = (metrics.LOAD1, metrics.LOAD5, metrics.LOAD15)
        return [Sample(metric, (), value) for metric, value in zip(found, values, strict=True)]

    def _uptime(self) -> list[Sample]:
        return [Sample(metrics.UPTIME, (), _numbers(self._procfs / "uptime", 1)[0])]

    def _files(self) -> list[Sample]:
        allocated, _, limit = _numbers(self._procfs / "sys/fs/file-nr", 3)
        return [
            Sample(metrics.FILE_DESCRIPTORS_ALLOCATED, (), allocated),
            Sample(metrics.FILE_DESCRIPTORS_MAX, (), limit),
        ]

    def _identity(self) -> list[Sample]:
        """Give the info series, read anew only when an upgrade has replaced os-release."""
        changed = _modified(self._os_release)
        if self._info is None or changed != self._info_of:
            self._info = self._read_identity()
            self._info_of = changed
        return [self._info]

    def _read_identity(self) -> Sample:
        kernel = self._procfs / "sys/kernel"
        system = _pretty_name(self._os_release) or _line(kernel / "ostype")
        try:
            machine = _line(kernel / "arch")
        except OSError:  # before Linux 6.1
            machine = os.uname().machine
        return Sample(metrics.INFO, (system, _line(kernel / "osrelease"), machine), 1)


def _numbers(path: Path, count: int) -> list[float]:
    fields = path.read_bytes().split()[:count]
    try:
        values = [float(field) for field in fields]
    except ValueError:
        raise ValueError(f"{path}: has something other than numbers") from None
    if len(values) < count:
        raise ValueError(f"{path}: fewer than {count} numbers")
    return values


def _line(path: Path) -> str:
    return path.read_text(errors="backslashreplace").strip()


def _modified(paths: list[Path]) -> list[int | None]:
    times: list[int | None] = []
    for path in paths:
        try:
            times.append(path.stat().st_mtime_ns)
        except OSError:
            times.append(None)
    return times


def _pretty_name(paths: list[Path]) -> str:
    """Read PRETTY_NAME from the first os-release there is; empty if none has it."""
    for path in paths:
        try:
            text = path.read_text(errors="backslashreplace")
        except OSError:
            continue
        return next(filter(None, map(_unquoted, text.splitlines())), "")
    return ""


def _unquoted(line: str) -> str:
    key, _, value = line.partition("=")
    if key != "PRETTY_NAME":
        return ""
    try:
        return " ".join(shlex.split(value))
    except ValueError:  # a quote that is not closed
        return ""
