"""What holds for every targets file."""

import json
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gpuglass.keeper.targets import plan
from gpuglass.keeper.targets.file import Target, TargetsFile, parse, render

LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
RESERVED = ("job", "instance", "gpu", "uuid")

hosts = st.one_of(
    st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z])(\.[a-z]{1,8}){0,2}", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda ip: f"[{ip}]"),
)
addresses = st.builds("{}:{}".format, hosts, st.integers(1, 65535))
texts = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\u2028\u2029\ufeff\uffff"),
    min_size=1,
    max_size=20,
)
names = st.from_regex(LABEL_NAME, fullmatch=True).filter(
    lambda n: n not in RESERVED and not n.startswith("__") and len(n) < 100
)


@st.composite
def targets(draw: st.DrawFn) -> tuple[Target, ...]:
    found = draw(st.lists(addresses, max_size=5, unique_by=lambda a: a.lower()))
    made = []
    for address in found:
        labels = draw(st.dictionaries(names, texts, max_size=4))
        labels.setdefault("node", address.rpartition(":")[0].strip("[]"))
        made.append(Target(address, tuple(sorted(labels.items()))))
    return tuple(made)


# Text that is almost a targets file: the parts of one, in any order.
PARTS = [
    *("- ", "targets: ", "labels: ", "[", "]", "{", "}", ", ", "\n", "  ", "\t", "a:1", "node: n"),
    *(
        "'",
        '"',
        "#",
        "&a ",
        "*a",
        "!!str ",
        "---\n",
        "...",
        "x: 1",
        "x: y",
        "[::1]:9400",
        "\\u0000",
    ),
    *("<<: ", "? ", "%", "null", "~", "\ufeff", "\x85", "é", "10.0.0.1:9400", ": ", "|", ">\n"),
]
almost = st.lists(st.sampled_from(PARTS), max_size=30).map("".join)
NAMES = st.sampled_from(["t.yml", "t.json"])


@given(targets())
def test_what_is_rendered_is_read_back(made: tuple[Target, ...]) -> None:
    assert parse("t.json", render(made)) == TargetsFile("t.json", made)
    assert parse("t.yml", render(made)) == TargetsFile("t.yml", made)


@given(targets(), st.booleans())
def test_what_any_yaml_writer_writes_is_read(made: tuple[Target, ...], flow: bool) -> None:
    groups = [{"targets": [t.address], "labels": dict(t.labels)} for t in made]
    text = yaml.safe_dump(groups, default_flow_style=flow, allow_unicode=True)
    assert parse("t.yml", text.encode()).targets == made


@given(NAMES, st.binary(max_size=200))
def test_no_bytes_make_it_raise(name: str, content: bytes) -> None:
    check(parse(name, content))


@given(NAMES, almost)
def test_no_half_right_text_makes_it_raise(name: str, content: str) -> None:
    check(parse(name, content.encode()))


def check(file: TargetsFile) -> None:
    """A file has problems or can be published, and what is published is good for Prometheus."""
    for problem in file.problems:
        assert problem.line >= 1
        assert "\n" not in str(problem)
    if file.problems:
        assert file.targets == ()
        return
    published = render(file.targets)
    groups = json.loads(published)
    assert groups == yaml.safe_load(published)
    for group in groups:
        assert group.keys() == {"targets", "labels"}
        assert all(isinstance(t, str) and "/" not in t for t in group["targets"])
        assert group["labels"]["node"]
        for name, value in group["labels"].items():
            assert LABEL_NAME.fullmatch(name)
            assert isinstance(value, str)
            value.encode("utf-8")


@given(st.dictionaries(st.sampled_from("abc"), targets(), max_size=3), targets(), targets())
def test_no_address_is_published_twice(
    folder: dict[str, tuple[Target, ...]], kept: tuple[Target, ...], other: tuple[Target, ...]
) -> None:
    files = [TargetsFile(name, found) for name, found in folder.items()]
    plans = plan.make(files, {"b": kept, "c": other})
    identities = [t.identity for p in plans.values() for t in p.published or ()]
    assert len(identities) == len(set(identities))
    for name, file_plan in plans.items():
        assert not file_plan.valid or file_plan.published == folder[name]


def test_half_right_text_is_often_right() -> None:
    """The strategy above would prove nothing if all that it makes were refused."""
    assert parse("t.yml", b"- targets: [a:1]\n  labels: {x: y, node: n}\n").targets == (
        Target("a:1", (("node", "n"), ("x", "y"))),
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[]", ()),
        (b"\xef\xbb\xbf[]\n", ()),
        (b"- targets: [a:1]\r\n", (Target("a:1", (("node", "a"),)),)),
        (
            b"- targets: ['[2001:DB8::1]:1']",
            (Target("[2001:DB8::1]:1", (("node", "2001:DB8::1"),)),),
        ),
        (b"- targets: []\n  labels: {node: n}", ()),
        (b"- targets: [a:1]\n  labels: {node: n}", (Target("a:1", (("node", "n"),)),)),
        (b"- targets: [a:1]\n  labels: {r: '12'}", (Target("a:1", (("node", "a"), ("r", "12"))),)),
        (
            b"- targets: [a:1]\n  labels: {r: !!str 12}",
            (Target("a:1", (("node", "a"), ("r", "12"))),),
        ),
        (
            b"- targets: [a:1]\n  labels: &l {r: x}\n- targets: [b:1]\n  labels: *l\n",
            (
                Target("a:1", (("node", "a"), ("r", "x"))),
                Target("b:1", (("node", "b"), ("r", "x"))),
            ),
        ),
        (
            b"- targets: [a:1]\n  labels: {__scheme__: https, __metrics_path__: /m}",
            (Target("a:1", (("__metrics_path__", "/m"), ("__scheme__", "https"), ("node", "a"))),),
        ),
    ],
)
def test_good_files(content: bytes, expected: tuple[Target, ...]) -> None:
    assert parse("t.yml", content) == TargetsFile("t.yml", expected)


def test_json_may_be_indented_with_tabs() -> None:
    content = b'[\n\t{\n\t\t"targets": ["a:1"],\n\t\t"labels": {"x": "\\u00e9\\/"}\n\t}\n]'
    assert parse("t.json", content).targets == (Target("a:1", (("node", "a"), ("x", "é/"))),)


def test_json_may_escape_any_character() -> None:
    content = b'[{"targets": ["a:1"], "labels": {"x": "\\\\ud83d\\ud83d\\ude00"}}]'
    (target,) = parse("t.json", content).targets
    assert target.labels == (("node", "a"), ("x", "\\ud83d\U0001f600"))


def test_targets_know_their_lines() -> None:
    file = parse("t.yml", b"# first\n- targets:\n  - a:1\n  - b:1\n- targets: [c:1]\n")
    assert [target.line for target in file.targets] == [3, 4, 5]
