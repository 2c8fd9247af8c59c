"""Targets as other monitoring writes them down, to be taken over. Pure.

Taken are Prometheus's ``file_sd`` files (Algalon's too), the static targets of one job of a
Prometheus configuration, and plain lists of hosts.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gpuglass.keeper.targets import address
from gpuglass.keeper.targets.file import (
    MAX_LABELS,
    RESERVED,
    Target,
    label_name_error,
    label_value_error,
)
from gpuglass.keeper.words import counted
from gpuglass.text import document
from gpuglass.text.document import Mapping, Node, Problem, Scalar

_SUFFIXES = (".yml", ".yaml", ".json")
# A configuration of Prometheus has more levels than a targets file.
_DEPTH = 24
_ELSEWHERE = "_sd_configs"
# How YAML and JSON begin, but no list of hosts.
_STRUCTURED = re.compile(r"(\s|#.*\n)*(-\s|\{|\[\s*[\[{]|\w+:\s)")


class ImportFailedError(Exception):
    """There is nothing to take over; the text says why and what to do."""


@dataclass
class Imported:
    """What was found.

    Attributes:
        targets: What is to be scraped, each address once.
        notes: What was left out, and why.
        problems: What is wrong with the file.
    """

    targets: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read(
    name: str, content: bytes, port: int, ports_anew: bool = False, job: str | None = None
) -> Imported:
    """Find the targets of a file.

    Args:
        name: What to call it in messages.
        content: What it holds.
        port: The port of hosts that are written without.
        ports_anew: Whether all get this port, for it was another exporter's that was written.
        job: Which job of a Prometheus configuration is meant; needed if there are several.

    Raises:
        ImportFailedError: It has no targets that could be taken over.
    """
    try:
        text = document.decode(content)
    except document.DocumentError as error:
        raise ImportFailedError(f"{name}:{error.line}: {error.what}") from None
    reader = _Reader(name, port, ports_anew)
    try:
        root = document.load(text, is_json=name.endswith(".json"), max_depth=_DEPTH)
    except document.DocumentError as error:
        if name.endswith(_SUFFIXES) or _STRUCTURED.match(text):
            raise ImportFailedError(f"{name}:{error.line}: {error.what}") from None
        root = None
    if isinstance(root, document.Sequence):
        reader.groups(root)
    elif isinstance(root, Mapping) and _get(root, "scrape_configs") is not None:
        reader.job(root, job)
    elif isinstance(root, Mapping):
        raise ImportFailedError(f"{name}: neither a list of groups nor scrape_configs is in it")
    else:
        reader.lines(text)
    return reader.found


class _Reader:
    def __init__(self, name: str, port: int, ports_anew: bool) -> None:
        self._name, self._port, self._ports_anew = name, port, ports_anew
        self._seen: set[tuple[str, int]] = set()
        self._noted: set[str] = set()
        self.found = Imported()

    def lines(self, text: str) -> None:
        """One host a line, with a port or without; # begins a comment."""
        for number, line in enumerate(text.splitlines(), 1):
            word = line.partition("#")[0].strip()
            if word:
                self._target(Scalar(number, word, "text"), {})

    def groups(self, node: document.Sequence, more: dict[str, str] | None = None) -> None:
        """A list of groups, or of hosts."""
        for item in node.items:
            if isinstance(item, Scalar):
                self._target(item, {})
                continue
            addresses = _get(item, "targets")
            if not isinstance(addresses, document.Sequence):
                self._problem(item, "a group has no list of targets; correct it")
                continue
            labels = {**(more or {}), **self._labels(_get(item, "labels"))}
            for each in addresses.items:
                self._target(each, labels)

    def job(self, root: Mapping, wanted: str | None) -> None:
        """The static targets of one job of a Prometheus configuration."""
        jobs = dict(self._jobs(_get(root, "scrape_configs")))
        if not jobs:
            raise ImportFailedError(f"{self._name}: its scrape_configs have no job")
        if wanted is None and len(jobs) > 1:
            raise ImportFailedError(f"{self._name} has several jobs; say --job {_either(jobs)}")
        if wanted is not None and wanted not in jobs:
            raise ImportFailedError(f"{self._name} has no job {wanted}; say --job {_either(jobs)}")
        name = wanted or next(iter(jobs))
        job = jobs[name]
        for key, value in job.pairs:
            if key.text == "static_configs" and isinstance(value, document.Sequence):
                self.groups(value, self._way(job))
            elif key.text == "file_sd_configs":
                self._note(f"{self._name}:{key.line}: import {_files(value)} as well")
            elif key.text.endswith(_ELSEWHERE):
                self._note(f"{self._name}:{key.line}: {key.text} left out: list the nodes it finds")
            elif key.text in ("basic_auth", "authorization", "tls_config"):
                self._note(f"{self._name}:{key.line}: {key.text} left out: it was another's")

    def _jobs(self, node: Node | None) -> Iterator[tuple[str, Mapping]]:
        for item in node.items if isinstance(node, document.Sequence) else ():
            name = _get(item, "job_name")
            if isinstance(item, Mapping) and isinstance(name, Scalar):
                yield name.text, item

    def _way(self, job: Mapping) -> dict[str, str]:
        """What a job says of all its targets, as labels of ours."""
        if self._ports_anew:
            return {}
        found = {"scheme": "__scheme__", "metrics_path": "__metrics_path__"}
        usual = {"scheme": "http", "metrics_path": "/metrics"}
        values = {key: _get(job, key) for key in found}
        return {
            found[key]: value.text
            for key, value in values.items()
            if isinstance(value, Scalar) and value.text != usual[key]
        }

    def _labels(self, node: Node | None) -> dict[str, str]:
        labels: dict[str, str] = {}
        for key, value in node.pairs if isinstance(node, Mapping) else ():
            name = key.text
            if name in RESERVED:
                self._note(f'label "{name}" left out: {RESERVED[name]}')
                continue
            if isinstance(value, Scalar) and value.kind not in ("text", "nothing"):
                # Prometheus takes a number for its text.
                value = Scalar(value.line, value.text, "text")
            wrong = label_name_error(name) or label_value_error(name, value)
            if wrong:
                self._problem(key, wrong)
            elif isinstance(value, Scalar):
                labels[name] = value.text
        if len(labels) > MAX_LABELS and node is not None:
            self._problem(node, f"{len(labels)} labels, at most {MAX_LABELS} are stored")
        return labels

    def _target(self, node: Node, labels: dict[str, str]) -> None:
        if not isinstance(node, Scalar):
            self._problem(node, "a target is not text; write host:port")
            return
        try:
            written = self._addressed(node.text)
            identity = address.identity(written)
        except ValueError as error:
            self._problem(node, f'target "{node.text[:64]}" {error}')
            return
        if identity in self._seen:
            return
        self._seen.add(identity)
        host, _ = address.split(written)
        pairs = tuple(sorted({"node": host, **labels}.items()))
        self.found.targets.append(Target(written, pairs, node.line))

    def _addressed(self, text: str) -> str:
        """The address with a port, which is ours if it had none."""
        bare = not text.rpartition(":")[1] or text.endswith("]")
        if not bare and text.count(":") > 1 and not text.startswith("["):
            text, bare = f"[{text}]", True
        if bare:
            return f"{text}:{self._port}"
        if self._ports_anew:
            return f"{text.rpartition(':')[0]}:{self._port}"
        return text

    def _problem(self, node: Node, what: str) -> None:
        self.found.problems.append(Problem(self._name, node.line, what))

    def _note(self, what: str) -> None:
        if what not in self._noted:
            self._noted.add(what)
            self.found.notes.append(what)


def _get(node: Node, name: str) -> Node | None:
    pairs = node.pairs if isinstance(node, Mapping) else ()
    return next((value for key, value in pairs if key.text == name), None)


def _either(jobs: dict[str, Mapping]) -> str:
    def told(name: str) -> str:
        static = _get(jobs[name], "static_configs")
        groups = static.items if isinstance(static, document.Sequence) else ()
        lists = [_get(group, "targets") for group in groups]
        number = sum(len(each.items) for each in lists if isinstance(each, document.Sequence))
        return f"{name} ({counted(number, 'target')})"

    return " or ".join(told(name) for name in jobs)


def _files(node: Node) -> str:
    entries: Sequence[Node] = node.items if isinstance(node, document.Sequence) else ()
    lists = [_get(entry, "files") for entry in entries]
    names = [
        name.text
        for each in lists
        if isinstance(each, document.Sequence)
        for name in each.items
        if isinstance(name, Scalar)
    ]
    return ", ".join(names) or "its files"
