"""YAML and JSON text to a small tree whose every node knows its line.

It is built from the parser's events, not by a constructor: so it keeps lines, sees a key that is
written twice, takes scalars as they are written, and neither deep nesting nor an alias to an alias
can make it recurse or multiply.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import yaml

MAX_DEPTH = 8
MAX_BYTES = 10_000_000
# What all aliases of a text may add to it: characters, with some for each node.
MAX_ALIASED = 1_000_000
_NODE_SIZE = 8

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVER: Any = yaml.resolver.Resolver()
_TAG = "tag:yaml.org,2002:"
_KINDS = {
    "int": "a number",
    "float": "a number",
    "bool": "a boolean",
    "timestamp": "a date",
    "null": "nothing",
}
# YAML's own rule of what a text may contain. A lone surrogate is not in it.
_UNPRINTABLE = re.compile(
    "[^\x09\x0a\x0d\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
# JSON's way to write a character past U+FFFF, or any other escape.
_ESCAPE = re.compile(
    r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


class DocumentError(Exception):
    """The text has no tree.

    Attributes:
        line: The line at fault, from 1.
        what: What is wrong and what to do.
    """

    def __init__(self, line: int, what: str) -> None:
        super().__init__(line, what)
        self.line = line
        self.what = what


@dataclass(frozen=True)
class Scalar:
    """One value as it is written; ``kind`` is what YAML takes it for, ``"text"`` if quoted."""

    line: int
    text: str
    kind: str


@dataclass(frozen=True)
class Sequence:
    """A list."""

    line: int
    items: "tuple[Node, ...]"


@dataclass(frozen=True)
class Mapping:
    """Keys and values in their order; a key that is written twice is there twice."""

    line: int
    pairs: "tuple[tuple[Scalar, Node], ...]"

    def entries(self) -> "Iterator[tuple[Scalar, Node, int | None]]":
        """Each key and value, and the line on which the key stood first if it did before."""
        lines: dict[str, int] = {}
        for key, value in self.pairs:
            yield key, value, lines.get(key.text)
            lines.setdefault(key.text, key.line)


Node: TypeAlias = Scalar | Sequence | Mapping


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a file: where, what, and what to do."""

    file: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}"


def decode(content: bytes) -> str:
    """The text of a file, whatever its bytes are.

    Raises:
        DocumentError: It is too large, or not UTF-8.
    """
    if len(content) > MAX_BYTES:
        what = f"larger than {MAX_BYTES // 1_000_000} MB; split it into several files"
        raise DocumentError(1, what)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = error.start + 3 * content.startswith(b"\xef\xbb\xbf")
        line = content.count(b"\n", 0, at) + 1
        what = f"not UTF-8 text (byte 0x{content[at]:02x}); save the file as UTF-8"
        raise DocumentError(line, what) from None


def load(text: str, *, is_json: bool = False, max_depth: int = MAX_DEPTH) -> Node | None:
    """Build the tree of one document.

    Args:
        text: The whole text.
        is_json: Hold it to JSON's rules instead of YAML's.
        max_depth: How deep lists and mappings may lie in each other.

    Returns:
        The root, or None for a text without a document in it.

    Raises:
        DocumentError: It is not one well-formed YAML or JSON document.
    """
    _refuse_unprintable(text)
    if is_json:
        if not text.strip():
            return None
        _check_json(text)
        # JSON is YAML but for such pairs, and for tabs, which it may have anywhere but in a string.
        text = without_surrogate_pairs(text).replace("\t", " ")
    try:
        return _Builder(yaml.parse(text, Loader=_LOADER), max_depth).document()
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(text, error) from None


def without_surrogate_pairs(text: str) -> str:
    r"""JSON in which a character past U+FFFF stands for itself.

    YAML, and so vmagent, does not know the ``\ud83d\ude00`` that JSON writes for it.
    """

    def joined(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0]
        high, low = int(match[1], 16), int(match[2], 16)
        return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))

    return _ESCAPE.sub(joined, text)


def _refuse_unprintable(text: str) -> None:
    found = _UNPRINTABLE.search(text)
    if found:
        line = text.count("\n", 0, found.start()) + 1
        raise DocumentError(line, f"control character U+{ord(found[0]):04X}; remove it")


def _check_json(text: str) -> None:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise DocumentError(error.lineno, f"not valid JSON: {error.msg}; correct it") from None
    except RecursionError:
        raise DocumentError(1, "nested too deeply; write it with fewer levels") from None
    except ValueError:  # a number with more digits than Python converts
        raise DocumentError(1, "not valid JSON: a number is too long; correct it") from None


def _syntax_error(text: str, error: yaml.MarkedYAMLError) -> DocumentError:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return DocumentError(1, f"not valid YAML: {error.problem}; correct it")
    lines = text.splitlines()
    at_fault = lines[mark.line] if mark.line < len(lines) else ""
    if at_fault[: mark.column + 1].endswith("\t"):
        return DocumentError(mark.line + 1, "tab in the indentation; YAML wants spaces")
    # What was never closed is reported where it begins: the end of the file helps nobody.
    if mark.line >= len(lines) and error.context_mark is not None:
        mark = error.context_mark
    context = f"{error.context}: " if error.context else ""
    return DocumentError(mark.line + 1, f"not valid YAML: {context}{error.problem}; correct it")


@dataclass(frozen=True)
class _Anchored:
    """A node with an anchor; size and height with its own aliases written out."""

    node: Node
    size: int
    height: int


class _Builder:
    """One pass over the events of one text."""

    def __init__(self, events: Iterator[yaml.Event], max_depth: int) -> None:
        self._events = events
        self._max_depth = max_depth
        self._anchors: dict[str, _Anchored] = {}
        self._size = self._aliased_size = self._deepest = 0

    def document(self) -> Node | None:
        next(self._events)  # the start of the stream
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            return None
        root = self._node(next(self._events), 0)
        next(self._events)  # the end of the document
        event = next(self._events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise DocumentError(_line(event), "second YAML document; remove the --- line")
        return None if isinstance(root, Scalar) and root.kind == "nothing" else root

    def _node(self, event: yaml.Event, depth: int) -> Node:
        if depth > self._max_depth:
            raise DocumentError(_line(event), "nested too deeply; write it with fewer levels")
        if isinstance(event, yaml.AliasEvent):
            return self._aliased(event, depth)
        size_before, deepest_before = self._size, self._deepest
        self._size += _NODE_SIZE
        self._deepest = depth
        if isinstance(event, yaml.ScalarEvent):
            node: Node = _scalar(event)
            self._size += len(event.value)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(event, depth)
        elif isinstance(event, yaml.MappingStartEvent):
            node = self._mapping(event, depth)
        else:
            raise AssertionError(f"the parser sends no {event} here")
        # Registered when complete, so a node cannot contain itself.
        anchor = getattr(event, "anchor", None)
        if anchor:
            size, height = self._size - size_before, self._deepest - depth
            self._anchors[anchor] = _Anchored(node, size, height)
        self._deepest = max(self._deepest, deepest_before)
        return node

    def _aliased(self, event: yaml.AliasEvent, depth: int) -> Node:
        """What an alias stands for, counted as if it were written out: its readers will."""
        anchored = self._anchors.get(event.anchor or "")
        if anchored is None:
            raise DocumentError(
                _line(event), f"alias *{event.anchor} has no anchor above it; write it out"
            )
        self._size += anchored.size
        self._aliased_size += anchored.size
        if self._aliased_size > MAX_ALIASED:
            raise DocumentError(_line(event), "its aliases make it too large; write it out")
        self._deepest = max(self._deepest, depth + anchored.height)
        if self._deepest > self._max_depth:
            raise DocumentError(_line(event), "nested too deeply; write it with fewer levels")
        return anchored.node

    def _sequence(self, start: yaml.SequenceStartEvent, depth: int) -> Sequence:
        _refuse_tag(start)
        items = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return Sequence(_line(start), tuple(items))

    def _mapping(self, start: yaml.MappingStartEvent, depth: int) -> Mapping:
        _refuse_tag(start)
        pairs = []
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            if not isinstance(key, Scalar):
                raise DocumentError(key.line, "a key is a list or mapping; write a name")
            pairs.append((key, self._node(next(self._events), depth + 1)))
        return Mapping(_line(start), tuple(pairs))


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _refuse_tag(event: yaml.CollectionStartEvent) -> None:
    if not event.implicit:
        raise DocumentError(_line(event), f"YAML tag {event.tag}; remove it")


def _scalar(event: yaml.ScalarEvent) -> Scalar:
    if event.tag in (None, "!"):
        tag = _RESOLVER.resolve(yaml.ScalarNode, event.value, event.implicit)
    else:
        tag = event.tag
        if tag != f"{_TAG}str":
            raise DocumentError(_line(event), f"YAML tag {tag}; quote the value instead")
    kind = _KINDS.get(tag.removeprefix(_TAG), "text")
    return Scalar(_line(event), event.value, kind)
