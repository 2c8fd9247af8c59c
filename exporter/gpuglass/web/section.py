"""One mapping of the web configuration: its keys with their values, or what is wrong with them."""

import difflib
from collections.abc import Iterable

from gpuglass.text.document import Mapping, Node, Problem, Scalar, Sequence

_TRUE, _FALSE = ("true", "yes", "on"), ("false", "no", "off")


class Problems:
    """What is wrong with one file.

    Args:
        file: What to call it.
    """

    def __init__(self, file: str) -> None:
        self._file = file
        self.found: list[Problem] = []
        self.warnings: list[Problem] = []

    def add(self, line: int, what: str) -> None:
        """Note why the file is refused."""
        self.found.append(Problem(self._file, line, what))

    def warn(self, line: int, what: str) -> None:
        """Note what the file's author should know, though it is taken."""
        self.warnings.append(Problem(self._file, line, what))


class Section:
    """A mapping whose keys are known.

    Args:
        node: The mapping, or whatever stands in its place.
        name: What to call it in messages.
        known: The names of its keys; any are taken if there are none.
        problems: Where to note what is wrong.
    """

    def __init__(self, node: Node, name: str, known: Iterable[str], problems: Problems) -> None:
        self.line = node.line
        self._problems = problems
        self._values: dict[str, tuple[int, Node]] = {}
        known = tuple(known)
        if not isinstance(node, Mapping):
            problems.add(node.line, f"{name} holds 'name: value' lines; write them under it")
            return
        for key, value, first in node.entries():
            if first is not None:
                problems.add(key.line, f"{key.text} is also on line {first}; keep one")
            elif known and key.text not in known:
                problems.add(
                    key.line, f"unknown key {_short(key.text)} in {name}; {_near(key, known)}"
                )
            else:
                self._values[key.text] = key.line, value

    def __contains__(self, key: str) -> bool:
        """Whether the key is there, with a value or without."""
        return key in self._values

    def names(self) -> list[str]:
        """The keys in their order."""
        return list(self._values)

    def line_of(self, key: str) -> int:
        """Where a key is; where the section begins if it is not there."""
        return self._values[key][0] if key in self._values else self.line

    def node(self, key: str) -> Node | None:
        """The value of a key as it is written; a key without one is refused."""
        if key not in self._values:
            return None
        line, value = self._values[key]
        if isinstance(value, Scalar) and value.kind == "nothing":
            self._problems.add(line, f"{key} has no value; give it one or remove it")
            return None
        return value

    def text(self, key: str) -> str | None:
        """A text; one with a character that no setting needs is refused."""
        value = self.node(key)
        if value is None:
            return None
        if not isinstance(value, Scalar):
            self._problems.add(value.line, f"{key} is a list or mapping; write text")
            return None
        if "\0" in value.text:
            self._problems.add(value.line, f"{key} has a NUL in it; remove it")
            return None
        return value.text

    def choice(self, key: str, choices: Iterable[str]) -> str | None:
        """One of some words."""
        value = self.text(key)
        choices = tuple(choices)
        if value is None or value in choices:
            return value
        what = f"{key} is {_short(value)}; write one of {', '.join(choices)}"
        self._problems.add(self.line_of(key), what)
        return None

    def boolean(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self.node(key)
        if value is None:
            return default
        word = value.text.lower() if isinstance(value, Scalar) and value.kind == "a boolean" else ""
        if word not in _TRUE + _FALSE:
            self._problems.add(self.line_of(key), f"{key} is neither true nor false")
        return word in _TRUE

    def texts(self, key: str) -> list[Scalar]:
        """A list of texts, empty if the key is not there."""
        value = self.node(key)
        if value is None:
            return []
        items = value.items if isinstance(value, Sequence) else ()
        found = [item for item in items if isinstance(item, Scalar) and item.kind != "nothing"]
        if not found or len(found) < len(items):
            self._problems.add(
                self.line_of(key), f"{key} is no list of texts; write '- TEXT' lines"
            )
        return found


def _near(key: Scalar, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(key.text[:64], known, 1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 64 else f"{text[:61]}...")
