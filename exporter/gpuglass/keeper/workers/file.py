"""The list of workers that push: what it says, or what is wrong with it. Pure.

pod1:
  token: ...
  added: 2026-11-21T23:00:00Z
  ephemeral: 2h            # if it leaves the list by itself once it is silent for so long
  labels: {cluster: rented}
"""

import calendar
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from gpuglass.keeper.targets.file import label_name_error, label_value_error
from gpuglass.text import document
from gpuglass.text.document import Mapping, Node, Problem, Scalar

FILE = "workers.yml"
HEADER = b"""\
# The machines that push, and their tokens: let nobody else read this file.
# gpuglass workers add, list and revoke look after it; comments stay.
"""
MAX_WORKERS = 10_000
# VictoriaMetrics drops labels past 30 on a series, and some have many of their own.
MAX_LABELS = 8
LEAST_LIFE, LONGEST_LIFE = 60.0, 30 * 86400.0

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,128}")
_LIFE = re.compile(r"([1-9]\d{0,5})([mhd])")
_UNITS = {"m": 60.0, "h": 3600.0, "d": 86400.0}
_MOMENT = "%Y-%m-%dT%H:%M:%SZ"
_KEYS = ("token", "added", "ephemeral", "labels")
_MAX_PROBLEMS = 100


@dataclass(frozen=True)
class Worker:
    """One machine that pushes.

    Attributes:
        name: The ``node`` of all that it sends.
        token: By which it is known.
        added: When it was added, as Unix time; None if that is not told.
        life: Seconds of silence after which it leaves the list; None if it stays.
        labels: What all its series have besides.
        line: Where the file names it, from 1. Two workers are equal whatever their lines.
    """

    name: str
    token: str = field(repr=False)
    added: float | None = None
    life: float | None = None
    labels: tuple[tuple[str, str], ...] = ()
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class WorkersFile:
    """The list: its workers, or the problems for which it has none."""

    name: str
    workers: tuple[Worker, ...] = ()
    problems: tuple[Problem, ...] = ()


def parse(name: str, content: bytes) -> WorkersFile:
    """Read the list.

    Args:
        name: What to call it in messages.
        content: Its bytes, whatever they are.

    Returns:
        The list with its workers, or with its problems.
    """
    try:
        root = document.load(document.decode(content))
    except document.DocumentError as error:
        return WorkersFile(name, problems=(Problem(name, error.line, error.what),))
    reader = _Reader(name)
    workers = tuple(reader.workers(root))
    if reader.problems:
        return WorkersFile(name, problems=tuple(reader.problems[:_MAX_PROBLEMS]))
    return WorkersFile(name, workers)


def name_error(name: str) -> str | None:
    """What is wrong with the name of a worker, and what to do; None if nothing is."""
    if _NAME.fullmatch(name):
        return None
    return f'"{name[:64]}" is no name of a worker; use letters, digits, dots, dashes, underscores'


def life(text: str) -> float:
    """How long a worker may be silent, in seconds, from ``30m``, ``2h`` or ``1d``.

    Raises:
        ValueError: It is none; the text says what to do.
    """
    match = _LIFE.fullmatch(text)
    seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if not LEAST_LIFE <= seconds <= LONGEST_LIFE:
        raise ValueError(f'"{text[:64]}" is no time from 1m to 30d; write one such as 2h')
    return seconds


def entry(worker: Worker) -> str:
    """A worker as the list has it."""
    lines = [f"{worker.name}:", f"  token: {_quoted(worker.token)}"]
    if worker.added is not None:
        lines.append(f"  added: {time.strftime(_MOMENT, time.gmtime(worker.added))}")
    if worker.life is not None:
        lines.append(f"  ephemeral: {_life_text(worker.life)}")
    if worker.labels:
        lines += ["  labels:", *(f"    {name}: {_quoted(text)}" for name, text in worker.labels)]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return json.dumps(text)


def _life_text(seconds: float) -> str:
    unit = next(unit for unit in ("d", "h", "m") if seconds % _UNITS[unit] == 0)
    return f"{seconds / _UNITS[unit]:.0f}{unit}"


class _Reader:
    """Collects the workers and the problems of the list."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tokens: dict[str, int] = {}
        self.problems: list[Problem] = []

    def workers(self, root: Node | None) -> Iterator[Worker]:
        if root is None:
            return
        if not isinstance(root, Mapping):
            self._problem(root.line, "not a list of workers; begin each with its name and a colon")
            return
        if len(root.pairs) > MAX_WORKERS:
            self._problem(root.line, f"more than {MAX_WORKERS} workers; remove some")
            return
        for name, (line, node) in self._pairs(root, "worker"):
            wrong = name_error(name)
            if wrong:
                self._problem(line, wrong)
            else:
                yield self._worker(name, line, node)

    def _worker(self, name: str, line: int, node: Node) -> Worker:
        keys = dict(self._pairs(node, "key")) if isinstance(node, Mapping) else {}
        for key, (at, _) in keys.items():
            if key not in _KEYS:
                self._problem(at, f'unknown key "{key[:64]}"; there are {", ".join(_KEYS)}')
        return Worker(
            name,
            self._token(name, line, keys),
            self._added(keys),
            self._life(keys),
            self._labels(keys),
            line,
        )

    def _token(self, name: str, line: int, keys: dict[str, tuple[int, Node]]) -> str:
        at, token = self._text(keys, "token") or (line, "")
        if not _TOKEN.fullmatch(token):
            self._problem(at, f"{name} has no token of 32 to 128 letters, digits, - and _; add it")
        elif token in self._tokens:
            self._problem(at, f"its token is also on line {self._tokens[token]}; keep one")
        self._tokens[token] = at
        return token

    def _added(self, keys: dict[str, tuple[int, Node]]) -> float | None:
        found = self._text(keys, "added")
        if found is None:
            return None
        try:
            return float(calendar.timegm(time.strptime(found[1], _MOMENT)))
        except (ValueError, OverflowError):
            self._problem(found[0], "added is no time such as 2026-11-21T23:00:00Z")
            return None

    def _life(self, keys: dict[str, tuple[int, Node]]) -> float | None:
        found = self._text(keys, "ephemeral")
        if found is None:
            return None
        try:
            return life(found[1])
        except ValueError as error:
            self._problem(found[0], f"ephemeral: {error}")
            return None

    def _labels(self, keys: dict[str, tuple[int, Node]]) -> tuple[tuple[str, str], ...]:
        line, node = keys.get("labels", (0, None))
        if node is None:
            return ()
        if not isinstance(node, Mapping):
            self._problem(line, "labels is not a mapping; write 'name: value' lines under it")
            return ()
        if len(node.pairs) > MAX_LABELS:
            self._problem(line, f"{len(node.pairs)} labels, at most {MAX_LABELS} go; remove some")
        labels = {}
        for name, (at, value) in self._pairs(node, "label"):
            wrong = label_error(name) or label_value_error(name, value)
            if wrong:
                self._problem(at, wrong)
            elif isinstance(value, Scalar):
                labels[name] = value.text
        return tuple(sorted(labels.items()))

    def _text(self, keys: dict[str, tuple[int, Node]], key: str) -> tuple[int, str] | None:
        if key not in keys:
            return None
        line, node = keys[key]
        if isinstance(node, Scalar) and node.kind != "nothing":
            return line, node.text
        self._problem(line, f"{key} has no value; give it one or remove it")
        return line, ""

    def _pairs(self, node: Mapping, kind: str) -> Iterator[tuple[str, tuple[int, Node]]]:
        for key, value, first in node.entries():
            if first is None:
                yield key.text, (key.line, value)
            else:
                what = f'{kind} "{key.text[:64]}" is also on line {first}; keep one'
                self._problem(key.line, what)

    def _problem(self, line: int, what: str) -> None:
        self.problems.append(Problem(self._name, line, what))


def label_error(name: str) -> str | None:
    """What is wrong with the name of a worker's label, and what to do; None if nothing is."""
    if name == "node":
        return 'label "node" is reserved: it is the worker\'s name; use another name'
    if name.startswith("__"):
        return f'label "{name[:64]}" begins with __, which only targets may have; use another name'
    return label_name_error(name)
