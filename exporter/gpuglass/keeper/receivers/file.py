"""The receivers file: what it says, or what is wrong with it. Pure: no file is touched here.

Only what Alertmanager would not say, or not where, is checked here; the rest is left to it.
"""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field

from gpuglass.text import document
from gpuglass.text.document import Mapping, Node, Problem, Scalar, Sequence

# Routes may lie in each other, and a receiver's own settings are deep as well.
MAX_DEPTH = 24
KEYS = ("receivers", "routes", "global", "inhibit_rules", "time_intervals", "templates")
_LISTS = ("receivers", "routes", "inhibit_rules", "time_intervals", "templates")
# A receiver to which nothing is sent.
NOBODY = "nobody"


@dataclass(frozen=True)
class ReceiversFile:
    """One file: what it says, or the problems for which it says nothing.

    Attributes:
        name: What to call it in messages.
        sections: What stands under each of its keys.
        receivers: By name the line of each receiver.
        problems: What is wrong, in order of the lines.
    """

    name: str
    sections: dict[str, Node] = field(default_factory=dict)
    receivers: dict[str, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def items(self, section: str) -> tuple[Node, ...]:
        """What is in the list under a key."""
        node = self.sections.get(section)
        return node.items if isinstance(node, Sequence) else ()


def parse(name: str, content: bytes, ours: frozenset[str]) -> ReceiversFile:
    """Read a receivers file.

    Args:
        name: What to call it in messages.
        content: Its bytes, whatever they are.
        ours: The receivers that our own routes name.
    """
    try:
        root = document.load(document.decode(content), max_depth=MAX_DEPTH)
    except document.DocumentError as error:
        return ReceiversFile(name, problems=(Problem(name, error.line, error.what),))
    reader = _Reader(name, ours)
    reader.read(root)
    problems = tuple(sorted(reader.problems, key=lambda problem: problem.line))
    if problems:
        return ReceiversFile(name, problems=problems)
    return ReceiversFile(name, reader.sections, reader.receivers)


def text_of(node: Node | None) -> str | None:
    """The text of a scalar; None for anything else, and for nothing."""
    return node.text if isinstance(node, Scalar) and node.kind != "nothing" else None


class _Reader:
    """Collects what one file says, and what is wrong with it."""

    def __init__(self, name: str, ours: frozenset[str]) -> None:
        self._name = name
        self._ours = ours
        self._routed: set[str] = set()
        self.sections: dict[str, Node] = {}
        self.receivers: dict[str, int] = {}
        self.problems: list[Problem] = []

    def read(self, root: Node | None) -> None:
        if root is None:
            self._problem(1, "the file says nothing; write 'receivers: []' for none, or remove it")
        elif not isinstance(root, Mapping):
            self._problem(root.line, "not a mapping; begin it with 'receivers:'")
        else:
            self._sections(root)
            for node in self._list("receivers"):
                self._receiver(node)
            for node in self._list("routes"):
                self._route(node, None)
            self._unrouted()

    def _problem(self, line: int, what: str) -> None:
        self.problems.append(Problem(self._name, line, what))

    def _sections(self, root: Mapping) -> None:
        for key, node in self._pairs(root):
            if key.text not in KEYS:
                self._problem(key.line, f'unknown key "{_short(key.text)}"; {_one_of(key, KEYS)}')
            elif isinstance(node, Scalar) and node.kind == "nothing":
                self._problem(key.line, f"{key.text} says nothing; fill it or remove it")
            elif key.text in _LISTS and not isinstance(node, Sequence):
                self._problem(node.line, f"{key.text} is not a list; begin each of it with '- '")
            elif key.text not in _LISTS and not isinstance(node, Mapping):
                self._problem(node.line, f"{key.text} is not a mapping; write 'name: value' lines")
            else:
                self.sections[key.text] = node

    def _pairs(self, node: Mapping) -> Iterator[tuple[Scalar, Node]]:
        """Keys and values; a key that stands there twice is a problem."""
        for key, value, first in node.entries():
            if first is None:
                yield key, value
            else:
                what = f'"{_short(key.text)}" is also on line {first}; keep one'
                self._problem(key.line, what)

    def _list(self, section: str) -> tuple[Node, ...]:
        node = self.sections.get(section)
        return node.items if isinstance(node, Sequence) else ()

    def _receiver(self, node: Node) -> None:
        if not isinstance(node, Mapping):
            self._problem(node.line, "a receiver is not a mapping; begin it with '- name:'")
            return
        pairs = {key.text: value for key, value in self._pairs(node)}
        name = text_of(pairs.get("name"))
        if not name:
            self._problem(node.line, "a receiver has no name; begin it with '- name:'")
        elif name == NOBODY:
            self._problem(node.line, f"{NOBODY} is taken: it gets what is told to nobody")
        elif name in self.receivers:
            what = f'receiver "{_short(name)}" is also on line {self.receivers[name]}; keep one'
            self._problem(node.line, what)
        else:
            self.receivers[name] = node.line
            if not any(isinstance(value, Sequence) and value.items for value in pairs.values()):
                what = f'receiver "{_short(name)}" has nowhere to send to; give it webhook_configs'
                self._problem(node.line, f"{what} or the like, or remove it")

    def _route(self, node: Node, inherited: str | None) -> None:
        if not isinstance(node, Mapping):
            self._problem(node.line, "a route is not a mapping; begin it with '- matchers:'")
            return
        pairs = {key.text: value for key, value in self._pairs(node)}
        named = pairs.get("receiver")
        receiver = text_of(named) or inherited
        if receiver is None:
            self._problem(node.line, "a route has no receiver; add 'receiver: NAME' to it")
        elif named is not None and receiver not in (*self.receivers, NOBODY):
            near = _nearest(receiver, (*self.receivers, NOBODY))
            hint = f'did you mean "{near}"?' if near else "add it under receivers"
            self._problem(named.line, f'there is no receiver "{_short(receiver)}"; {hint}')
        else:
            self._routed.add(receiver)
        inner = pairs.get("routes")
        for each in inner.items if isinstance(inner, Sequence) else ():
            self._route(each, receiver)

    def _unrouted(self) -> None:
        """A name that is misspelt would be told nothing, and nobody would notice."""
        for name, line in self.receivers.items():
            if name not in self._ours | self._routed:
                near = _nearest(name, tuple(self._ours))
                hint = f'did you mean "{near}"?' if near else "add a route that names it"
                self._problem(line, f'receiver "{_short(name)}" would be told nothing; {hint}')


def _one_of(key: Scalar, keys: tuple[str, ...]) -> str:
    near = _nearest(key.text, keys)
    return f'did you mean "{near}"?' if near else f"there are {', '.join(keys)}"


def _nearest(name: str, names: tuple[str, ...]) -> str | None:
    return next(iter(difflib.get_close_matches(name[:64], sorted(names), 1)), None)


def _short(text: str) -> str:
    return text if len(text) <= 64 else f"{text[:61]}..."
