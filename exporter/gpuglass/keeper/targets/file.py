"""Targets files: what one says, or what is wrong with it. Pure: no file is touched here.

The format is Prometheus's file_sd: a list of groups, each with ``targets`` and, if it likes,
``labels``.
"""

import difflib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gpuglass.keeper.targets import address
from gpuglass.text import document
from gpuglass.text.document import Mapping, Node, Problem, Scalar, Sequence

# What one vmagent scrapes with ease; past it, several share the work.
MAX_TARGETS = 20_000
# VictoriaMetrics drops labels past 30 on a series, and gpu_info needs 14 of them.
MAX_LABELS = 16
MAX_LABEL_NAME = 128
MAX_LABEL_VALUE = 1024
MAX_PROBLEMS = 100

_KEYS = ("targets", "labels")
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
# How many GPUs the node should have; never on a series.
GPUS_LABEL = "__gpus__"
_HIDDEN_LABELS = ("__scheme__", "__metrics_path__", GPUS_LABEL)
_GPUS = re.compile("[0-9]{1,3}")
RESERVED = {
    "job": "the scrape config sets it",
    "instance": "it is the target's address",
    "gpu": "the exporter sets it, for each GPU",
    "uuid": "the exporter sets it, for each GPU",
}


@dataclass(frozen=True)
class Target:
    """One address to scrape.

    Attributes:
        address: ``host:port`` or ``[v6]:port``, as it is written.
        labels: The labels of its series, ``node`` always among them, in order of their names.
        line: Where the file names it, from 1. Two targets are equal whatever their lines.
    """

    address: str
    labels: tuple[tuple[str, str], ...]
    line: int = field(default=0, compare=False)

    @property
    def identity(self) -> tuple[str, int]:
        """Host and port in one spelling."""
        return address.identity(self.address)


@dataclass(frozen=True)
class TargetsFile:
    """One file: its targets, or the problems for which it has none."""

    name: str
    targets: tuple[Target, ...] = ()
    problems: tuple[Problem, ...] = ()


def parse(name: str, content: bytes) -> TargetsFile:
    """Read a targets file.

    Args:
        name: What to call it in messages; held to JSON's rules if it ends in ``.json``.
        content: Its bytes, whatever they are.

    Returns:
        The file with its targets, or with the first ``MAX_PROBLEMS`` of its problems.
    """
    try:
        root = document.load(document.decode(content), is_json=name.endswith(".json"))
    except document.DocumentError as error:
        return TargetsFile(name, problems=(Problem(name, error.line, error.what),))
    reader = _Reader(name)
    reader.read(root)
    if reader.problems:
        return TargetsFile(name, problems=tuple(reader.problems[:MAX_PROBLEMS]))
    return TargetsFile(name, tuple(reader.targets))


def render(targets: Iterable[Target]) -> bytes:
    """Write targets as a targets file in JSON, a line each.

    JSON, so that no reader takes a label for a number.
    """
    groups = ({"targets": [t.address], "labels": dict(t.labels)} for t in targets)
    lines = ",\n".join(json.dumps(group) for group in groups)
    text = f"[\n{lines}\n]\n" if lines else "[]\n"
    return document.without_surrogate_pairs(text).encode("utf-8")


class _EnoughError(Exception):
    """More problems or targets than anybody wants."""


class _Reader:
    """Collects the targets and the problems of one file."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lines: dict[tuple[str, int], int] = {}
        self._groups = 0
        self.targets: list[Target] = []
        self.problems: list[Problem] = []

    def read(self, root: Node | None) -> None:
        if root is None:
            self._problem(1, "the file is empty; write [] for no targets")
        elif not isinstance(root, Sequence):
            self._problem(root.line, "not a list of groups; begin each group with '- targets:'")
        else:
            try:
                for item in root.items:
                    self._group(item)
            except _EnoughError:
                pass

    def _problem(self, line: int, what: str) -> None:
        self.problems.append(Problem(self._name, line, what))
        if len(self.problems) >= MAX_PROBLEMS:
            raise _EnoughError

    def _count(self, number: int, line: int) -> None:
        if number > MAX_TARGETS:
            self._problem(line, f"more than {MAX_TARGETS} targets or groups; split the file")
            raise _EnoughError

    def _group(self, node: Node) -> None:
        self._groups += 1
        self._count(self._groups, node.line)
        if not isinstance(node, Mapping):
            self._problem(node.line, "a group is not a mapping; begin it with '- targets:'")
            return
        keys = dict(self._pairs(node, "key"))
        for name, (line, _) in keys.items():
            if name not in _KEYS:
                self._problem(line, f'unknown key "{_short(name)}"; {_nearest_key(name)}')
        if "targets" not in keys:
            self._problem(node.line, "a group has no targets; add 'targets: [host:port]'")
            return
        labels = self._labels(keys["labels"][1]) if "labels" in keys else {}
        self._targets(keys["targets"][1], labels)

    def _pairs(self, node: Mapping, kind: str) -> Iterator[tuple[str, tuple[int, Node]]]:
        """Names with their line and value; a name that stands there twice is a problem."""
        for key, value, first in node.entries():
            if first is None:
                yield key.text, (key.line, value)
            else:
                what = f'{kind} "{_short(key.text)}" is also on line {first}; keep one'
                self._problem(key.line, what)

    def _labels(self, node: Node) -> dict[str, str]:
        if not isinstance(node, Mapping):
            self._problem(node.line, "labels is not a mapping; write 'name: value' lines under it")
            return {}
        if len(node.pairs) > MAX_LABELS:
            what = f"{len(node.pairs)} labels, at most {MAX_LABELS} are stored; remove some"
            self._problem(node.line, what)
            return {}
        labels = {}
        for name, (line, value) in self._pairs(node, "label"):
            wrong = label_name_error(name) or label_value_error(name, value)
            if wrong:
                self._problem(line, wrong)
            elif isinstance(value, Scalar):
                labels[name] = value.text
        return labels

    def _targets(self, node: Node, labels: dict[str, str]) -> None:
        if not isinstance(node, Sequence):
            self._problem(node.line, "targets is not a list; write 'targets: [host:port]'")
            return
        if "node" in labels and len(node.items) > 1:
            self._problem(
                node.line,
                f'{len(node.items)} targets share the label node "{_short(labels["node"])}"; '
                "give each node a group of its own",
            )
        for item in node.items:
            self._target(item, labels)

    def _target(self, node: Node, labels: dict[str, str]) -> None:
        self._count(len(self.targets) + 1, node.line)
        if not isinstance(node, Scalar):
            self._problem(node.line, "a target is not text; write host:port")
            return
        if node.kind == "nothing":
            self._problem(node.line, "a target is empty; write host:port")
            return
        try:
            host, _ = address.split(node.text)
            identity = address.identity(node.text)
        except ValueError as error:
            self._problem(node.line, f'target "{_short(node.text)}" {error}')
            return
        if identity in self._lines:
            what = f"{node.text} is also on line {self._lines[identity]}; keep one"
            self._problem(node.line, what)
            return
        self._lines[identity] = node.line
        pairs = tuple(sorted({"node": host, **labels}.items()))
        self.targets.append(Target(node.text, pairs, node.line))


def _nearest_key(name: str) -> str:
    near = difflib.get_close_matches(name[:64], _KEYS, 1)
    return f'did you mean "{near[0]}"?' if near else "a group has targets and labels"


def label_name_error(name: str) -> str | None:
    """What is wrong with the name of a label, and what to do; None if nothing is."""
    shown = f'label "{_short(name)}"'
    if name in RESERVED:
        return f"{shown} is reserved: {RESERVED[name]}; use another name"
    if not _LABEL_NAME.fullmatch(name):
        return f"{shown} is not a label name; use letters, digits and _, no digit first"
    if len(name) > MAX_LABEL_NAME:
        return f"{shown} is longer than {MAX_LABEL_NAME} characters; shorten it"
    if name.startswith("__") and name not in _HIDDEN_LABELS:
        return f"{shown} begins with __; only {', '.join(_HIDDEN_LABELS)} may"
    return None


def label_value_error(name: str, value: Node) -> str | None:
    """What is wrong with the value of a label, and what to do; None if nothing is."""
    shown = f'label "{name}"'
    if not isinstance(value, Scalar):
        return f"{shown} has a list or mapping as its value; write text"
    if value.kind == "nothing" or not value.text:
        return f"{shown} has no value; give it one or remove it"
    if value.kind != "text":
        return f'{shown} has {value.kind}, not text; quote it: "{_short(value.text)}"'
    if len(value.text.encode("utf-8", "surrogatepass")) > MAX_LABEL_VALUE:
        return f"{shown} has a value of more than {MAX_LABEL_VALUE} bytes; shorten it"
    if any(c < " " or c == "\x7f" for c in value.text):
        return f"{shown} has a control character, such as a line break; remove it"
    if any("\ud800" <= c <= "\udfff" for c in value.text):
        return f"{shown} has half a character (\\ud800 to \\udfff); write the character itself"
    if name == "__scheme__" and value.text not in ("http", "https"):
        return f'{shown} is "{_short(value.text)}"; write http or https'
    if name == GPUS_LABEL and not _GPUS.fullmatch(value.text):
        return f'{shown} is "{_short(value.text)}"; write how many GPUs the node has, such as "8"'
    if name == "__metrics_path__" and not value.text.startswith("/"):
        return f'{shown} is "{_short(value.text)}"; begin the path with /'
    return None


def _short(text: str) -> str:
    return text if len(text) <= 64 else f"{text[:61]}..."
