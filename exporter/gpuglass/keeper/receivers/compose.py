"""Alertmanager's configuration out of our base and a user's receivers file. Pure."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gpuglass.keeper.receivers.file import MAX_DEPTH, NOBODY, ReceiversFile, text_of
from gpuglass.text import document
from gpuglass.text.document import DocumentError, Mapping, Node, Scalar, Sequence

_USERS_ROUTES = "routes of receivers.yml"
_HEAD = "# Made by the keeper; what is changed here is lost."


class BaseError(Exception):
    """Our own base is not what it should be; the text says where and why."""


@dataclass(frozen=True)
class Base:
    """Our part of the configuration.

    Attributes:
        name: What to call its file in messages.
        root: What it says.
        receivers: The receivers that its routes may go to.
    """

    name: str
    root: Mapping
    receivers: frozenset[str]


@dataclass(frozen=True)
class Composed:
    """A whole configuration.

    Attributes:
        content: As Alertmanager reads it.
        origins: The file and line that each of its lines comes from.
    """

    content: bytes
    origins: tuple[tuple[str, int], ...]


def parse_base(name: str, content: bytes) -> Base:
    """Read our base.

    Raises:
        BaseError: It cannot be read.
    """
    try:
        root = document.load(document.decode(content), max_depth=MAX_DEPTH)
    except DocumentError as error:
        raise BaseError(f"{name}:{error.line}: {error.what}") from None
    if not isinstance(root, Mapping) or not isinstance(_get(root, "route"), Mapping):
        raise BaseError(f"{name}:1: it has no route; take the file as it is released")
    return Base(name, root, frozenset(_choices(_get(root, "route"))) - {NOBODY})


def compose(base: Base, users: ReceiversFile, folder: Path) -> Composed:
    """Put a user's receivers, which have no problems, into our base.

    Args:
        base: Our part.
        users: The user's part.
        folder: Where relative paths of either begin.
    """
    writer = _Writer(folder)
    writer.line("{", base.name, 1)
    for section in ("global", "time_intervals"):
        if section in users.sections:
            writer.pair(section, users.sections[section], users.name)
    _write_receivers(writer, base, users)
    route = _get(base.root, "route")
    assert isinstance(route, Mapping)
    _write_route(writer, '"route": ', route, base, users)
    for section in ("inhibit_rules", "templates"):
        writer.list(section, _joined(base, users, section))
    writer.line("}", base.name, 1)
    return writer.composed()


def templates(base: Base, users: ReceiversFile) -> list[str]:
    """Where the templates of both are, as they write it."""
    return [text for node, _ in _joined(base, users, "templates") if (text := text_of(node))]


def pieces(users: ReceiversFile, folder: Path) -> Iterator[tuple[int, Composed]]:
    """Configurations with one piece of the user's file each, and the line of the piece.

    Whichever is not taken has the fault.
    """
    if "global" in users.sections:
        yield users.sections["global"].line, _piece(users, folder, "", None)
    for section in ("receivers", "time_intervals", "routes", "inhibit_rules", "templates"):
        for item in users.items(section):
            yield item.line, _piece(users, folder, section, item)


def _piece(users: ReceiversFile, folder: Path, section: str, item: Node | None) -> Composed:
    only = [] if item is None else [(item, users.name)]
    writer = _Writer(folder)
    writer.line("{", users.name, 1)
    if "global" in users.sections:
        writer.pair("global", users.sections["global"], users.name)
    names = [NOBODY, *users.receivers]
    writer.line('"receivers": [', users.name, 1)
    for name in names:
        if section == "receivers" and name == _name_of(item):
            writer.node("", only[0][0], users.name)
        else:
            writer.line(f'{{"name": {json.dumps(name)}}},', users.name, 1)
    writer.line("],", users.name, 1)
    if section in ("inhibit_rules", "templates"):
        writer.list(section, only)
    writer.list("time_intervals", only if section == "time_intervals" else _intervals(users))
    writer.line(f'"route": {{"receiver": "{NOBODY}",', users.name, 1)
    writer.list("routes", only if section == "routes" else [])
    writer.line("}}", users.name, 1)
    return writer.composed()


def _intervals(users: ReceiversFile) -> list[tuple[Node, str]]:
    return [(item, users.name) for item in users.items("time_intervals")]


def _joined(base: Base, users: ReceiversFile, section: str) -> list[tuple[Node, str]]:
    """What is in a list of both, ours first, with the file that it is from."""
    ours = _get(base.root, section)
    items = [(item, base.name) for item in (ours.items if isinstance(ours, Sequence) else ())]
    return items + [(item, users.name) for item in users.items(section)]


def _write_receivers(writer: "_Writer", base: Base, users: ReceiversFile) -> None:
    writer.line('"receivers": [', base.name, 1)
    writer.line(f'{{"name": "{NOBODY}"}},', base.name, 1)
    for item in users.items("receivers"):
        writer.node("", item, users.name)
    writer.line("],", base.name, 1)


def _write_route(
    writer: "_Writer", prefix: str, route: Mapping, base: Base, users: ReceiversFile
) -> None:
    """One of our routes, unless the user has no receiver for it."""
    receiver = _chosen(route, users)
    if receiver is None:
        return
    writer.line(f"{prefix}{{", base.name, route.line)
    for key, value in route.pairs:
        if key.text == "receiver":
            writer.line(f'"receiver": {json.dumps(receiver)},', base.name, key.line)
        elif key.text == "routes" and isinstance(value, Sequence):
            writer.line('"routes": [', base.name, key.line)
            for item in value.items:
                if isinstance(item, Mapping):
                    _write_route(writer, "", item, base, users)
                elif text_of(item) == _USERS_ROUTES:
                    for own in users.items("routes"):
                        writer.node("", own, users.name)
            writer.line("],", base.name, key.line)
        else:
            writer.pair(key.text, value, base.name)
    writer.line("},", base.name, route.line)


def _chosen(route: Mapping, users: ReceiversFile) -> str | None:
    """The first receiver of a route that there is; an empty text for that of the route above."""
    names = _names(_get(route, "receiver"))
    if not names:
        return ""
    return next((name for name in names if name in users.receivers or name == NOBODY), None)


def _names(node: Node | None) -> list[str]:
    items = node.items if isinstance(node, Sequence) else (node,)
    return [name for name in map(text_of, items) if name]


def _choices(node: Node | None) -> Iterable[str]:
    """Every receiver that a route, or one within it, may go to."""
    if isinstance(node, Mapping):
        yield from _names(_get(node, "receiver"))
        inner = _get(node, "routes")
        for item in inner.items if isinstance(inner, Sequence) else ():
            yield from _choices(item)


def _name_of(node: Node | None) -> str | None:
    return text_of(_get(node, "name")) if isinstance(node, Mapping) else None


def _get(node: Mapping, key: str) -> Node | None:
    return next((value for name, value in node.pairs if name.text == key), None)


class _Writer:
    """Writes YAML in brackets, a key or a value a line, and notes where each line comes from."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lines = [_HEAD]
        self._origins = [("", 0)]

    def composed(self) -> Composed:
        return Composed("".join(f"{line}\n" for line in self._lines).encode(), tuple(self._origins))

    def line(self, text: str, file: str, number: int) -> None:
        self._lines.append(text)
        self._origins.append((file, number))

    def pair(self, key: str, value: Node, file: str, line: int | None = None) -> None:
        self.node(f"{_quoted(key)}: ", value, file, line, is_path=key.endswith("_file"))

    def list(self, key: str, items: Iterable[tuple[Node, str]]) -> None:
        self.line(f"{_quoted(key)}: [", "", 0)
        for item, file in items:
            self.node("", item, file, is_path=key == "templates")
        self.line("],", "", 0)

    def node(
        self, prefix: str, node: Node, file: str, line: int | None = None, *, is_path: bool = False
    ) -> None:
        line = node.line if line is None else line
        if isinstance(node, Scalar):
            self.line(f"{prefix}{self._scalar(node, is_path)},", file, line)
        elif isinstance(node, Sequence):
            self.line(f"{prefix}[", file, line)
            for item in node.items:
                self.node("", item, file)
            self.line("],", file, line)
        else:
            self.line(f"{prefix}{{", file, line)
            for key, value in node.pairs:
                self.pair(key.text, value, file, key.line)
            self.line("},", file, line)

    def _scalar(self, node: Scalar, is_path: bool) -> str:
        if is_path and node.text:
            return _quoted(str(self._folder / node.text))
        return _quoted(node.text) if node.kind == "text" else node.text or "null"


def _quoted(text: str) -> str:
    """In double quotes, as both JSON and YAML have it."""
    return document.without_surrogate_pairs(json.dumps(text))
