"""Aliases cannot make a text larger or deeper than one that is written out."""

import pytest

from gpuglass.keeper.receivers import file as receivers
from gpuglass.keeper.rules.file import Reader
from gpuglass.text.document import MAX_ALIASED, MAX_DEPTH, DocumentError, Mapping, Node, load


def problem(text: str) -> tuple[int, str]:
    with pytest.raises(DocumentError) as caught:
        load(text)
    return caught.value.line, caught.value.what


def nested(levels: int, leaf: str) -> str:
    return "[" * levels + leaf + "]" * levels


TOO_LARGE = "its aliases make it too large; write it out"
TOO_DEEP = "nested too deeply; write it with fewer levels"


def test_aliases_of_aliases_do_not_multiply() -> None:
    lines = ["- &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    for i in range(1, 12):
        lines.append(f"- &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]")
    assert problem("\n".join(lines)) == (5, TOO_LARGE)


def test_a_long_text_cannot_be_repeated_without_end() -> None:
    text = "- &a " + "x" * 100_000 + "\n- *a" * 10
    assert problem(text) == (11, TOO_LARGE)


def test_what_is_written_out_is_not_counted() -> None:
    text = "- " + "x" * MAX_ALIASED + "\n- " + "y" * MAX_ALIASED
    assert load(text) is not None


def test_aliases_cannot_lie_deeper_than_what_is_written_out() -> None:
    # Each level of the list holds the one before, so that its depth grows by one a line.
    lines = ["- &a0 []", *(f"- &a{i} [*a{i - 1}]" for i in range(1, 2000))]
    assert problem("\n".join(lines)) == (MAX_DEPTH + 1, TOO_DEEP)
    half = MAX_DEPTH // 2
    text = f"- &a {nested(half, '1')}\n- {nested(MAX_DEPTH - half - 1, '*a')}"
    assert load(text) is not None
    assert problem(text.replace("\n- ", "\n- [").replace("*a]", "*a]]")) == (2, TOO_DEEP)
    # What lies deep beside an anchor is not within it.
    assert load(f"- {nested(MAX_DEPTH - 1, '1')}\n- &b 1\n- {nested(MAX_DEPTH - 1, '*b')}")


def keys(node: Node | None) -> list[str]:
    assert isinstance(node, Mapping)
    return [key.text for key, _ in node.pairs]


def test_an_alias_stands_for_its_anchor() -> None:
    root = load("a: &x {k: 1}\nb: *x")
    assert isinstance(root, Mapping)
    assert [keys(value) for _, value in root.pairs] == [["k"], ["k"]]


def chained(wrap: str, count: int = 3000) -> str:
    """A file whose list holds ever deeper things, each an alias of the one before."""
    return "".join(f"  - &a{i} {wrap % (f'*a{i - 1}' if i else '1')}\n" for i in range(count))


def test_readers_of_routes_and_rules_cannot_be_made_to_recurse() -> None:
    routes = "routes:\n" + chained("{receiver: a, routes: [%s]}")
    found = receivers.parse("r.yml", routes.encode(), frozenset())
    assert [each.what for each in found.problems] == [TOO_DEEP]
    reader = Reader("rules.yml")
    reader.read(("groups:\n" + chained("{name: g, labels: {a: %s}}")).encode())
    assert [each.what for each in reader.problems] == [TOO_DEEP]
