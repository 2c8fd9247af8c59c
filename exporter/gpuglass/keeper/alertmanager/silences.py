"""The two kinds of silence that we make: acknowledgements of alerts, and maintenance of nodes.

A matcher on a label that no alert has tells them from each other and from those that people make
elsewhere: it holds for every alert, and what was written as the comment stays as it was written.
"""

import re
from collections.abc import Iterable, Mapping

from gpuglass.keeper.alertmanager.api import Matcher, Silence, matchers

# An acknowledgement holds so long from when its alert was last seen: a keeper that is away for
# longer leaves nothing silent for ever.
ACK_SECONDS = 24 * 3600.0

_ACK = Matcher("gpuglass_acknowledgement", "")
_MAINTENANCE = Matcher("gpuglass_maintenance", "")
_PLAIN = re.compile(r"[A-Za-z0-9_-]")
_ALTERNATIVE = re.compile(r"(?:\\.|[^|\\])+")


def acknowledgement(labels: Mapping[str, str], author: str, comment: str, now: float) -> Silence:
    """A silence of exactly the alert that has these labels."""
    found = matchers(labels.items()) | {_ACK}
    return Silence(found, author, comment, now, now + ACK_SECONDS)


def is_acknowledgement(silence: Silence) -> bool:
    """Whether it was made by ``acknowledgement``, and is as it was made."""
    return _ACK in silence.matchers and all(_is_plain(m) for m in silence.matchers)


def acknowledged(silence: Silence) -> dict[str, str]:
    """The labels of the alert that an acknowledgement is of."""
    return {m.name: m.value for m in silence.matchers - {_ACK}}


def maintenance(
    names: Iterable[str], author: str, comment: str, now: float, ends: float
) -> Silence:
    """A silence of everything about one node, by all names that it has."""
    return Silence(frozenset((_matcher(names), _MAINTENANCE)), author, comment, now, ends)


def is_maintenance(silence: Silence) -> bool:
    """Whether it was made by ``maintenance``, and is as it was made."""
    node = _node(silence)
    return node is not None and node == _matcher(_names(node))


def nodes(silence: Silence) -> list[str]:
    """The names of the node that maintenance is of; none if it is no maintenance."""
    node = _node(silence)
    return [] if node is None else _names(node)


def fingerprint(labels: Mapping[str, str]) -> str:
    """What Alertmanager knows an alert by: FNV-1a, 64 bits, over its labels."""
    value = 0xCBF29CE484222325
    for name in sorted(labels):
        for byte in (*name.encode(), 255, *labels[name].encode(), 255):
            value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def _is_plain(matcher: Matcher) -> bool:
    return matcher.is_equal and not matcher.is_regex


def _node(silence: Silence) -> Matcher | None:
    """The only matcher beside our own."""
    others = silence.matchers - {_MAINTENANCE}
    return next(iter(others)) if len(others) == 1 < len(silence.matchers) else None


def _matcher(names: Iterable[str]) -> Matcher:
    known = sorted(set(names))
    if len(known) == 1:
        return Matcher("node", known[0])
    return Matcher("node", "|".join(map(_quoted, known)), is_regex=True)


def _names(node: Matcher) -> list[str]:
    if not node.is_regex:
        return [node.value]
    return [re.sub(r"\\(.)", r"\1", name) for name in _ALTERNATIVE.findall(node.value)]


def _quoted(name: str) -> str:
    """A node's name as a regular expression of Go's."""
    return "".join(c if _PLAIN.match(c) or not c.isascii() else f"\\{c}" for c in name)
