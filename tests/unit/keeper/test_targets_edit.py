"""Changes to targets files leave what they do not change as it was."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.keeper.test_targets_properties import targets

from gpuglass.keeper.targets import edit
from gpuglass.keeper.targets.edit import EditError, Group
from gpuglass.keeper.targets.file import Target, parse, render

BY_HAND = """\
# The lab; ask Ada before you change it.
- targets: [gpu1:9400, gpu2:9400]  # rack 12
  labels:
    cluster: lab   # not "prod"

# Row two
- targets:
    - 'a:9400'  # first
    # was repaired in May
    - "b:9400"  # second
  # labels of the row
  labels: {rack: "12"}

- targets: [
    x:1,  # one
    y:1,  # two
    z:1   # three
  ]
# The end
"""


def removed(text: str, *gone: tuple[str, int], name: str = "f.yml") -> str:
    return edit.remove(name, text.encode(), gone).decode()


def added(text: str, *groups: Group, name: str = "f.yml") -> str:
    return edit.add(name, text.encode(), groups).decode()


def plain(found: Iterable[Target]) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    return [(t.address, t.labels) for t in found]


@pytest.mark.parametrize(
    ("gone", "before", "after"),
    [
        ("gpu1:9400", "[gpu1:9400, gpu2:9400]", "[gpu2:9400]"),
        ("gpu2:9400", "[gpu1:9400, gpu2:9400]", "[gpu1:9400]"),
        ("a:9400", "    - 'a:9400'  # first\n", ""),
        ("b:9400", '    - "b:9400"  # second\n', ""),
        ("x:1", "    x:1,  # one\n", ""),
        ("y:1", "    y:1,  # two\n", ""),
        ("z:1", "    z:1   # three\n", ""),
    ],
)
def test_one_target_goes_and_nothing_else(gone: str, before: str, after: str) -> None:
    host, _, port = gone.partition(":")
    assert removed(BY_HAND, (host, int(port))) == BY_HAND.replace(before, after)


def test_the_last_target_of_a_group_takes_the_group_along() -> None:
    first, _, rest = BY_HAND.partition("\n# Row two")
    expected = first.splitlines()[0] + "\n\n# Row two" + rest
    assert removed(BY_HAND, ("gpu2", 9400), ("gpu1", 9400)) == expected


def test_the_last_group_leaves_an_empty_list_and_the_comments() -> None:
    text = "# mine\n- targets: [a:1]  # one\n  labels: {rack: b}\n# end"
    assert removed(text, ("a", 1)) == "# mine\n[]\n# end"
    assert removed("- targets: [a:1]", ("a", 1)) == "[]\n"
    assert parse("f.yml", removed(text, ("a", 1)).encode()).problems == ()


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("[a:1,\n b:1]", "[a:1]"),
        ("[a:1, # first\n b:1]", "[a:1, # first\n ]"),
        ("[a:1\n , b:1]", "[a:1]"),
        ("[a:1, b:1,]", "[a:1,]"),
    ],
)
def test_the_last_of_a_list_in_brackets(text: str, after: str) -> None:
    assert removed(f"- targets: {text}\n", ("b", 1)) == f"- targets: {after}\n"


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ('[{"targets": ["a:1", "b:1"]}]', '[{"targets": ["a:1"]}]'),
        ('[\n\t{"targets": [\n\t\t"a:1",\n\t\t"b:1"\n\t]}\n]\n', None),
        ('[{"targets": ["b:1"]}, {"targets": ["a:1"]}]', '[{"targets": ["a:1"]}]'),
        ('[{"targets": ["b:1"]}]', "[]"),
        ('[{"targets": ["a:1"]},\n {"targets": ["b:1"], "labels": {"x": "\\ud83d\\ude00"}}]', None),
    ],
)
def test_json_stays_json(text: str, after: str | None) -> None:
    result = removed(text, ("b", 1), name="f.json")
    assert after in (None, result)
    assert plain(parse("f.json", result.encode()).targets) == plain(
        t for t in parse("f.json", text.encode()).targets if t.address != "b:1"
    )


@pytest.mark.parametrize(
    "text",
    [
        "- targets: &them [a:1]\n- targets: [b:1]\n  labels: {x: y}\n- targets: [c:1]\n",
        "- targets: [a:1]\n  labels: &l {x: y}\n- targets: [b:1]\n  labels: *l\n",
        "-\n  # of the group\n  targets: [a:1]\n-\n  targets: [b:1]\n",
        "- labels: {x: y}\n  targets:\n  - a:1\n  - b:1\n",
        "---\n- {targets: [a:1], labels: {x: y}}\n- {targets: [b:1]}\n",
        "- targets: [a:1]\n  labels:\n    x: |-\n      long\n- targets: [b:1]\n",
        "- targets:\r\n    - a:1\r\n    - b:1\r\n",
        "\ufeff- targets: [a:1, b:1]\n",
        '- targets: ["a:1", "b:1"]\n  labels: {note: "é \U0001f600"}  # \U0001f600\n',
        "- targets: [? a:1, b:1]\n",
    ],
)
def test_either_the_target_goes_or_nothing_is_changed(text: str) -> None:
    before = parse("f.yml", text.encode())
    for target in before.targets:
        try:
            result = edit.remove("f.yml", text.encode(), [target.identity])
        except EditError as error:
            assert str(error).startswith("f.yml") and "edit it" in str(error)
            continue
        left = [t for t in before.targets if t != target]
        assert plain(parse("f.yml", result).targets) == plain(left)
        assert result.startswith(b"\xef\xbb\xbf") == text.startswith("\ufeff")
        assert (b"\r\n" in result) == ("\r\n" in text)


def test_an_anchor_that_others_need_is_not_cut_away() -> None:
    text = "- targets: [a:1]\n  labels: &l {x: y}\n- targets: [b:1]\n  labels: *l\n"
    with pytest.raises(EditError, match="edit it"):
        removed(text, ("a", 1))


def test_groups_come_at_the_end_in_the_files_own_style() -> None:
    group = Group(("n1:9400",), (("cluster", "prod"), ("rack", "12")))
    block = '- targets: ["n1:9400"]\n  labels:\n    cluster: "prod"\n    rack: "12"\n'
    assert added(BY_HAND, group) == BY_HAND + block
    assert added(BY_HAND.rstrip("\n"), group) == BY_HAND + block
    assert added("# none yet\n", group) == "# none yet\n" + block
    assert added("", group) == block
    assert added("[]\n", group) == block
    windows = BY_HAND.replace("\n", "\r\n")
    assert added(windows, group) == windows + block.replace("\n", "\r\n")
    indented = "  - targets: [a:1]\n"
    assert added(indented, group).splitlines()[1] == '  - targets: ["n1:9400"]'
    two = Group(("n1:9400", "n2:9400"))
    assert added("", two) == '- targets:\n    - "n1:9400"\n    - "n2:9400"\n'


def test_groups_in_brackets_and_in_json() -> None:
    group = Group(("n1:9400",), (("x", "y"),))
    one = '{"targets": ["n1:9400"], "labels": {"x": "y"}}'
    assert added("[{targets: [a:1]}]  # all\n", group) == f"[{{targets: [a:1]}}, {one}]  # all\n"
    assert added("[]", group, name="f.json") == f"[\n  {one}\n]"
    assert added("", group, name="f.json") == f"[\n  {one}\n]\n"
    text = '[\n\t{"targets": ["a:1"]}\n]\n'
    expected = f'[\n\t{{"targets": ["a:1"]}},\n  {one}\n]\n'
    assert added(text, group, name="f.json") == expected


@pytest.mark.parametrize("content", ["- targets: [a]\n", "- targets: [\n", "x: y\n", "\xff"])
def test_a_file_with_a_mistake_is_left_alone(content: str) -> None:
    told = r"^f\.yml:[12]: .*; nothing is changed before that$"
    with pytest.raises(EditError, match=told):
        edit.add("f.yml", content.encode("latin-1"), [Group(("n:1",))])
    with pytest.raises(EditError, match=told):
        edit.remove("f.yml", content.encode("latin-1"), [("a", 1)])


def test_what_ends_a_document_is_seen() -> None:
    with pytest.raises(EditError, match="edit it"):
        added("- targets: [a:1]\n...\n", Group(("n:1",)))


@settings(max_examples=40)
@given(targets(), targets(), st.sampled_from(["f.yml", "f.json"]))
def test_what_is_added_can_be_removed(
    old: tuple[Target, ...], new: tuple[Target, ...], name: str
) -> None:
    known = {t.identity for t in old}
    fresh: dict[tuple[str, int], Target] = {}
    for target in new:
        if target.identity not in known:
            fresh.setdefault(target.identity, target)
    content = render(parse("x.json", render(old)).targets)
    old = parse("x.json", content).targets
    more = edit.add(name, content, edit.groups(fresh.values())) if fresh else content
    assert plain(parse(name, more).targets) == plain([*old, *fresh.values()])
    less = edit.remove(name, more, fresh) if fresh else more
    assert plain(parse(name, less).targets) == plain(old)


def test_neighbours_with_the_same_labels_share_a_group() -> None:
    text = (
        "- targets: [a:1, b:1]\n  labels: {x: y}\n"
        "- targets: [c:1]\n- targets: [d:1]\n  labels: {node: n}\n"
        "- targets: [e:1]\n  labels: {node: n}\n"
    )
    assert edit.groups(parse("f.yml", text.encode()).targets) == [
        Group(("a:1", "b:1"), (("x", "y"),)),
        Group(("c:1",)),
        Group(("d:1",), (("node", "n"),)),
        Group(("e:1",), (("node", "n"),)),
    ]
