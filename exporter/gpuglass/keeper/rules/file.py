"""Rule files: where their groups and rules are. Pure: what they mean is vmalert's to judge."""

import json
from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from gpuglass.text import document
from gpuglass.text.document import DocumentError, Mapping, Node, Problem, Scalar, Sequence

MAX_PROBLEMS = 100

_GOOD = "{record: a, expr: '1'}"


Pairs: TypeAlias = tuple[tuple[Scalar, Node], ...]


@dataclass(frozen=True)
class RulesFile:
    """One file: its content, or the problems for which it is not to be used."""

    name: str
    content: bytes = b""
    rules: int = 0
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Rule:
    """One rule; ``name`` is that of its alert, or of the series that it records."""

    node: Mapping
    name: str


@dataclass(frozen=True)
class Group:
    """One group; ``settings`` is all that it has but its rules."""

    name: str
    line: int
    settings: Pairs
    rules: tuple[Rule, ...]


class Reader:
    """Takes one file apart.

    Attributes:
        groups: What was found.
        problems: What is wrong with its form.
    """

    def __init__(self, name: str, reserved: Container[str] = ()) -> None:
        self.groups: list[Group] = []
        self.problems: list[Problem] = []
        self._name = name
        self._reserved = reserved

    def read(self, content: bytes) -> None:
        """Read the whole file."""
        try:
            text = document.decode(content)
            self._check_variables(text)
            root = document.load(text)
        except DocumentError as error:
            self._refuse(error.line, error.what)
            return
        if root is None:
            return
        if not isinstance(root, Mapping):
            self._refuse(root.line, "a rule file begins with 'groups:'")
            return
        self._check_keys(root)
        groups = {key.text: value for key, value in root.pairs}.get("groups")
        if groups is None:
            self._refuse(root.line, "no groups; begin the file with 'groups:'")
        elif not isinstance(groups, Sequence):
            self._refuse(groups.line, "groups is not a list; write '- name: ...' under it")
        else:
            for node in groups.items:
                self._group(node)
            self._check_names()

    def _check_variables(self, text: str) -> None:
        """Vmalert puts variables of its environment into a file, and theirs is not ours."""
        for number, line in enumerate(text.split("\n"), 1):
            if "%{" in line:
                what = "%{ begins a variable of vmalert's environment; write the value itself"
                self._refuse(number, what)

    def _group(self, node: Node) -> None:
        if not isinstance(node, Mapping):
            self._refuse(node.line, "a group is not a mapping; begin it with '- name:'")
            return
        self._check_keys(node)
        values = {key.text: value for key, value in node.pairs}
        name, rules = values.get("name"), values.get("rules")
        if not isinstance(name, Scalar) or not name.text:
            self._refuse(node.line, "a group has no name; begin it with '- name: ...'")
            return
        if rules is not None and not _is_nothing(rules) and not isinstance(rules, Sequence):
            self._refuse(
                rules.line, "rules is not a list; begin each with '- alert:' or '- record:'"
            )
            return
        settings = tuple((k, v) for k, v in node.pairs if k.text != "rules")
        found = [self._rule(n) for n in rules.items] if isinstance(rules, Sequence) else []
        made = tuple(rule for rule in found if rule is not None)
        self.groups.append(Group(name.text, name.line, settings, made))

    def _rule(self, node: Node) -> Rule | None:
        if not isinstance(node, Mapping):
            self._refuse(
                node.line, "a rule is not a mapping; begin it with '- alert:' or '- record:'"
            )
            return None
        self._check_keys(node)
        names = [v for k, v in node.pairs if k.text in ("alert", "record")]
        if len(names) != 1 or not isinstance(names[0], Scalar) or not names[0].text:
            self._refuse(node.line, "a rule has a name, either as 'alert' or as 'record'")
            return None
        if not any(k.text == "expr" for k, _ in node.pairs):
            self._refuse(node.line, f"rule {names[0].text} has no expr; write what it asks")
            return None
        rule = Rule(node, names[0].text)
        if rule.name in self._reserved:
            what = f"{rule.name} is a rule of gpuglass; give yours another name"
            self._refuse(names[0].line, what)
        return rule

    def _check_names(self) -> None:
        first: dict[str, int] = {}
        for group in self.groups:
            line = first.setdefault(group.name, group.line)
            if line != group.line:
                what = f'group "{group.name}" is also on line {line}; give one another name'
                self._refuse(group.line, what)

    def _check_keys(self, node: Mapping) -> None:
        for key, value, first in node.entries():
            if first is not None:
                self._refuse(key.line, f'key "{key.text}" is also on line {first}; keep one')
            if isinstance(value, Mapping) and key.text in ("labels", "annotations"):
                self._check_keys(value)

    def _refuse(self, line: int, what: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(self._name, line, what))


def names(content: bytes) -> set[str]:
    """The names of all rules of a file; none of one that has no good form."""
    reader = Reader("")
    reader.read(content)
    return {rule.name for group in reader.groups for rule in group.rules}


def render(group: Group, rules: Iterable[Rule] | None = None) -> bytes:
    """Write a file with one group that has these of its rules alone, or a good one if None."""
    settings = [f"{_written(k)}: {_written(v)}" for k, v in group.settings]
    nodes = _GOOD if rules is None else ", ".join(_written(rule.node) for rule in rules)
    return f"groups: [{{{', '.join([*settings, f'rules: [{nodes}]'])}}}]\n".encode()


def _written(node: Node) -> str:
    if isinstance(node, Mapping):
        return f"{{{', '.join(f'{_written(k)}: {_written(v)}' for k, v in node.pairs)}}}"
    if isinstance(node, Sequence):
        return f"[{', '.join(map(_written, node.items))}]"
    return json.dumps(node.text, ensure_ascii=False) if node.kind == "text" else node.text or "null"


def _is_nothing(node: Node) -> bool:
    return isinstance(node, Scalar) and node.kind == "nothing"
