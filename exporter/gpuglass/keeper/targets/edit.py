"""Changes to the text of a targets file that leave all the rest of it as it was. Pure.

The text is cut and pasted where the parser says that things are, so that comments, order, quotes
and indentation of a file that somebody wrote by hand survive. Whatever that makes is parsed again
and has to be what was asked for; else nothing is changed.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import yaml

from gpuglass.keeper.targets import address
from gpuglass.keeper.targets.file import Target, TargetsFile, parse
from gpuglass.text import document

Identity: TypeAlias = tuple[str, int]

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BOM = b"\xef\xbb\xbf"
# What YAML takes for a line break, and JSON for a letter.
_BREAKS = {ord(c): f"\\u{ord(c):04x}" for c in "\x85\u2028\u2029\ufeff"}
_DASH = re.compile(r"\s*-(\s|$)")
_COMMA = re.compile(r"[ \t]*,")
_NOTHING_MORE = re.compile(r"\s*(#.*)?")


class EditError(Exception):
    """The file cannot be changed; the text says why and what to do."""


@dataclass(frozen=True)
class Group:
    """Addresses with the labels that they have in common; ``node`` only if it is written."""

    addresses: tuple[str, ...]
    labels: tuple[tuple[str, str], ...] = ()


def groups(targets: Iterable[Target]) -> list[Group]:
    """Targets as groups: neighbours with the same labels share one."""
    found: list[Group] = []
    for target in targets:
        host, _ = address.split(target.address)
        labels = tuple(pair for pair in target.labels if pair != ("node", host))
        shared = found and found[-1].labels == labels and "node" not in dict(labels)
        if shared:
            found[-1] = Group((*found[-1].addresses, target.address), labels)
        else:
            found.append(Group((target.address,), labels))
    return found


def add(name: str, content: bytes, new: Sequence[Group]) -> bytes:
    """Put groups at the end of a file.

    Args:
        name: What to call the file in messages; JSON if it ends in ``.json``.
        content: What it holds; nothing if it is yet to be made.
        new: The groups.

    Returns:
        What it is to hold.

    Raises:
        EditError: The file has a mistake, or is written in a way that this cannot change.
    """
    before = parse(name, content)
    if before.problems and not _is_empty(name, content):
        raise EditError(f"{before.problems[0]}; nothing is changed before that")
    wanted = [*before.targets, *parse(name, _json(new).encode()).targets]
    return _checked(name, content, _added(_text(name, content), new, _is_json(name)), wanted)


def remove(name: str, content: bytes, gone: Iterable[Identity]) -> bytes:
    """Take targets out of a file, and groups that have no others.

    Args:
        name: What to call the file in messages; JSON if it ends in ``.json``.
        content: What it holds.
        gone: Hosts and ports of the targets.

    Returns:
        What it is to hold.

    Raises:
        EditError: The file has a mistake, or is written in a way that this cannot change.
    """
    before = parse(name, content)
    if before.problems:
        raise EditError(f"{before.problems[0]}; nothing is changed before that")
    leaving = set(gone)
    wanted = [target for target in before.targets if target.identity not in leaving]
    text, rest = _without_groups(name, _text(name, content), leaving)
    for identity in sorted(rest):
        text = _without(name, text, identity)
    return _checked(name, content, text, wanted)


def _is_json(name: str) -> bool:
    return name.endswith(".json")


def _is_empty(name: str, content: bytes) -> bool:
    """Whether there is nothing in a file but comments."""
    try:
        return document.load(document.decode(content), is_json=_is_json(name)) is None
    except document.DocumentError:
        return False


def _text(name: str, content: bytes) -> str:
    text = document.decode(content)
    return document.without_surrogate_pairs(text) if _is_json(name) else text


def _checked(name: str, before: bytes, text: str, wanted: Sequence[Target]) -> bytes:
    content = (_BOM if before.startswith(_BOM) else b"") + text.encode()
    after = parse(name, content)
    if after.problems or _plain(after) != [(t.address, t.labels) for t in wanted]:
        raise EditError(f"{name}: is written in a way that only its author can change; edit it")
    return content


def _plain(file: TargetsFile) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    return [(target.address, target.labels) for target in file.targets]


def _root(text: str) -> yaml.Node | None:
    # Tabs, which JSON may have, are no spaces to YAML.
    root: yaml.Node | None = yaml.compose(text.replace("\t", " "), Loader=_LOADER)
    return root


def _added(text: str, new: Sequence[Group], is_json: bool) -> str:
    root = _root(text)
    if isinstance(root, yaml.SequenceNode) and root.flow_style:
        start, end = root.start_mark.index, root.end_mark.index
        if root.value:
            last = root.value[-1].end_mark.index
            between = ",\n  " if "\n" in text[start:end] else ", "
            more = "".join(between + _json_group(group) for group in new)
            return text[:last] + more + text[last:]
        if is_json:
            return text[:start] + _json(new) + text[end:]
        return text[:start] + _yaml(new, 0, "\n").rstrip("\n") + text[end:]
    if is_json:
        return _json(new) + "\n"
    line_break = "\r\n" if "\r\n" in text else "\n"
    joint = line_break if text and not text.endswith("\n") else ""
    column = root.start_mark.column if isinstance(root, yaml.SequenceNode) else 0
    return text + joint + _yaml(new, column, line_break)


def _json(new: Sequence[Group]) -> str:
    return "[\n" + ",\n".join(f"  {_json_group(group)}" for group in new) + "\n]"


def _json_group(group: Group) -> str:
    addresses = ", ".join(_quoted(each) for each in group.addresses)
    labels = ", ".join(f"{_quoted(k)}: {_quoted(v)}" for k, v in group.labels)
    more = f', "labels": {{{labels}}}' if labels else ""
    return f'{{"targets": [{addresses}]{more}}}'


def _yaml(new: Sequence[Group], column: int, line_break: str) -> str:
    lines = []
    for group in new:
        if len(group.addresses) == 1:
            lines.append(f"- targets: [{_quoted(group.addresses[0])}]")
        else:
            lines += ["- targets:", *(f"    - {_quoted(each)}" for each in group.addresses)]
        if group.labels:
            lines += ["  labels:", *(f"    {k}: {_quoted(v)}" for k, v in group.labels)]
    return "".join(f"{' ' * column}{line}{line_break}" for line in lines)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).translate(_BREAKS)


def _addresses(group: Any) -> Any:
    """The list of a group's addresses, as a node."""
    return next(value for key, value in group.value if key.value == "targets")


def _without_groups(name: str, text: str, leaving: set[Identity]) -> tuple[str, set[Identity]]:
    """Without the groups that keep no target, but one at least; and who is yet to leave."""
    root = _root(text)
    assert isinstance(root, yaml.SequenceNode), "it has targets"
    if root.flow_style:
        return text, leaving
    members = [{address.identity(i.value) for i in _addresses(g).value} for g in root.value]
    whole = [at for at, group in enumerate(members) if group and group <= leaving]
    if len(whole) == len(members):
        whole = whole[1:]
    # From the end, so that what is before stays where the parser saw it.
    for at in reversed(whole):
        text = _Cut(name, text).item(root, at)
    return text, leaving.difference(*(members[at] for at in whole))


def _without(name: str, text: str, identity: Identity) -> str:
    root = _root(text)
    assert isinstance(root, yaml.SequenceNode), "it has targets"
    for at, group in enumerate(root.value):
        addresses = _addresses(group)
        for index, item in enumerate(addresses.value):
            if address.identity(item.value) != identity:
                continue
            cut = _Cut(name, text)
            if len(addresses.value) > 1:
                return cut.item(addresses, index)
            return cut.item(root, at) if len(root.value) > 1 else cut.last_group(root)
    return text


class _Cut:
    """Takes one item out of a list, with the comment behind it, and no other."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._text = text
        self._starts = [0, *(m.end() for m in re.finditer("\n", text)), len(text)]

    def item(self, parent: yaml.SequenceNode, index: int) -> str:
        if parent.flow_style:
            return self._flow_item(parent.value, index)
        first, last = self._lines(parent.value, index)
        return self._text[: self._starts[first]] + self._text[self._starts[last + 1] :]

    def last_group(self, root: yaml.SequenceNode) -> str:
        """Without its only group the file says that it has no targets: an empty one is wrong."""
        if root.flow_style:
            return self._flow_item(root.value, 0)
        first, last = self._lines(root.value, 0)
        ends = self._text[: self._starts[last + 1]]
        line_break = ends[len(ends.rstrip("\r\n")) :] or "\n"
        rest = self._text[self._starts[last + 1] :]
        return f"{self._text[: self._starts[first]]}[]{line_break}{rest}"

    def _flow_item(self, items: Sequence[yaml.Node], index: int) -> str:
        text, start, end = self._text, items[index].start_mark.index, _end(items[index], self._text)
        # Alone on its lines: with them. Only YAML has a comma before the end of a list.
        first, last = text.rfind("\n", 0, start) + 1, text.find("\n", end) + 1
        comma = _COMMA.match(text, end)
        behind = comma.end() if comma else end
        if (
            last
            and not text[first:start].strip()
            and _NOTHING_MORE.fullmatch(text[behind:last].rstrip())
            and (comma or not self._name.endswith(".json"))
        ):
            return text[:first] + text[last:]
        if index + 1 < len(items):
            return text[:start] + text[items[index + 1].start_mark.index :]
        before = _end(items[index - 1], text) if index else start
        return text[: start if "#" in text[before:start] else before] + text[end:]

    def _lines(self, items: Sequence[yaml.Node], index: int) -> tuple[int, int]:
        """The first and the last line of an item of a block list, its dash included."""
        node = items[index]
        last = self._line(_end(node, self._text))
        least = self._line(_end(items[index - 1], self._text)) + 1 if index else 0
        first = self._line(node.start_mark.index)
        while first > least and not _DASH.match(self._line_text(first)):
            first -= 1
        behind = self._text[_end(node, self._text) : self._starts[last + 1]]
        if not _DASH.match(self._line_text(first)) or not _NOTHING_MORE.fullmatch(behind.rstrip()):
            raise EditError(
                f"{self._name}:{self._line(node.start_mark.index) + 1}: is written in a way that "
                "only its author can change; edit it"
            )
        return first, last

    def _line(self, index: int) -> int:
        return self._text.count("\n", 0, index)

    def _line_text(self, line: int) -> str:
        return self._text[self._starts[line] : self._starts[line + 1]]


def _end(node: yaml.Node, text: str) -> int:
    """Behind the last character of a node: a block ends where the next begins, says the parser."""
    ends = [end for leaf in _leaves(node) for end in [leaf.end_mark.index]]
    end = max([node.start_mark.index, *ends])
    while end and text[end - 1] in "\r\n \t":
        end -= 1
    return end


def _leaves(node: Any) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.ScalarNode) or node.flow_style:
        yield node
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _leaves(item)
    else:
        for key, value in node.value:
            yield from (*_leaves(key), *_leaves(value))
