"""Every mistake that a targets file can hold, and the one line that each gets."""

import pytest

from gpuglass.keeper.targets.file import MAX_PROBLEMS, MAX_TARGETS, parse
from gpuglass.text.document import MAX_BYTES


def only_problem(content: str | bytes, name: str = "t.yml") -> str:
    raw = content.encode() if isinstance(content, str) else content
    file = parse(name, raw)
    assert file.targets == ()
    (problem,) = file.problems
    return str(problem)


WHOLE_FILES = {
    "empty": ("", "1: the file is empty; write [] for no targets"),
    "blank": ("\n\n", "1: the file is empty; write [] for no targets"),
    "comments only": ("# none\n", "1: the file is empty; write [] for no targets"),
    "a lone ---": ("---\n", "1: the file is empty; write [] for no targets"),
    "a mapping": (
        "targets: [a:1]\n",
        "1: not a list of groups; begin each group with '- targets:'",
    ),
    "text": ("a:1\n", "1: not a list of groups; begin each group with '- targets:'"),
    "second document": (
        "- targets: [a:1]\n---\n- targets: [b:1]\n",
        "2: second YAML document; remove the --- line",
    ),
    "tab": ("- targets:\n\t- a:1\n", "2: tab in the indentation; YAML wants spaces"),
    "Latin-1": (
        b"- targets: [a:1]\n  labels: {x: caf\xe9}\n",
        "2: not UTF-8 text (byte 0xe9); save the file as UTF-8",
    ),
    "UTF-16": (
        "- targets: [a:1]\n".encode("utf-16"),
        "1: not UTF-8 text (byte 0xff); save the file as UTF-8",
    ),
    "NUL": ("- targets: [a:1]\n\0", "2: control character U+0000; remove it"),
    "too large": (
        b"#" * (MAX_BYTES + 1),
        "1: larger than 10 MB; split it into several files",
    ),
    "deep": ("[" * 100_000, "1: nested too deeply; write it with fewer levels"),
    "unclosed": (
        "- targets: [a:1\n",
        "1: not valid YAML: while parsing a flow sequence: "
        "did not find expected ',' or ']'; correct it",
    ),
    "alias without anchor": (
        "- targets: *t\n",
        "1: alias *t has no anchor above it; write it out",
    ),
    "alias to itself": (
        "- &g\n  targets: [a:1]\n  labels: *g\n",
        "3: alias *g has no anchor above it; write it out",
    ),
    "tag": (
        "- targets: !!set {a:1}\n",
        "1: YAML tag tag:yaml.org,2002:set; remove it",
    ),
    "value with a tag": (
        "- targets: [!!python/name:os.system a:1]\n",
        "1: YAML tag tag:yaml.org,2002:python/name:os.system; quote the value instead",
    ),
    "key that is a list": (
        "- ? [a]\n  : b\n",
        "1: a key is a list or mapping; write a name",
    ),
}
GROUPS = {
    "text": ("- a:1", "1: a group is not a mapping; begin it with '- targets:'"),
    "typo": (
        "- targets: [a:1]\n  lables: {x: y}",
        '2: unknown key "lables"; did you mean "labels"?',
    ),
    "unknown key": (
        "- targets: [a:1]\n  interval: 5s",
        '2: unknown key "interval"; a group has targets and labels',
    ),
    "no targets": (
        "- labels: {x: y}",
        "1: a group has no targets; add 'targets: [host:port]'",
    ),
    "targets is text": (
        "- targets: a:1",
        "1: targets is not a list; write 'targets: [host:port]'",
    ),
    "targets is nothing": (
        "- targets:\n  labels: {x: y}",
        "1: targets is not a list; write 'targets: [host:port]'",
    ),
    "key twice": (
        "- targets: [a:1]\n  targets: [b:1]",
        '2: key "targets" is also on line 1; keep one',
    ),
    "labels is a list": (
        "- targets: [a:1]\n  labels: [x]",
        "2: labels is not a mapping; write 'name: value' lines under it",
    ),
    "node for two": (
        "- targets:\n  - a:1\n  - b:1\n  labels: {node: n}",
        '2: 2 targets share the label node "n"; give each node a group of its own',
    ),
    "address twice": (
        "- targets:\n  - a:1\n- targets:\n  - A.:1",
        "4: A.:1 is also on line 2; keep one",
    ),
    "IPv6 address twice": (
        "- targets:\n  - '[::1]:1'\n  - '[0:0::1]:1'",
        "3: [0:0::1]:1 is also on line 2; keep one",
    ),
    "too many labels": (
        "- targets: [a:1]\n  labels: {" + ", ".join(f"l{i}: x" for i in range(17)) + "}",
        "2: 17 labels, at most 16 are stored; remove some",
    ),
}
TARGETS = {
    "http://a:1": "has a scheme; write host:port, and HTTPS as the label __scheme__: https",
    "a:1/x": "has a path; write host:port and the path in the label __metrics_path__",
    "a": "has no port; write host:port, such as node1:9400",
    "[::1]": "has no port; write host:port, such as node1:9400",
    "a:0": "has port '0'; write a number from 1 to 65535",
    "a:65536": "has port '65536'; write a number from 1 to 65535",
    "a:http": "has port 'http'; write a number from 1 to 65535",
    "a:": "has port ''; write a number from 1 to 65535",
    "a:\u0661": "has port '\u0661'; write a number from 1 to 65535",
    ":9400": "has no host; write host:port, such as node1:9400",
    "::1:9400": "has colons in its host; write an IPv6 address as [2001:db8::1]:9400",
    "[::g]:1": "has '::g' within its brackets, which is not an IPv6 address; correct it",
    "[fe80::1%eth0]:1": (
        "has 'fe80::1%eth0' within its brackets, which is not an IPv6 address; correct it"
    ),
    "10.0.0.256:1": "has '10.0.0.256', which is not an IPv4 address; correct it",
    "a b:1": "has white space in it; write host:port",
    "-a:1": "has a host that is neither a name nor an IP address; correct it",
    "a..b:1": "has a host that is neither a name nor an IP address; correct it",
    "a{b}:1": "has a host that is neither a name nor an IP address; correct it",
}
LABELS = {
    "rack: 12": 'label "rack" has a number, not text; quote it: "12"',
    "rack: 1.10": 'label "rack" has a number, not text; quote it: "1.10"',
    "spare: yes": 'label "spare" has a boolean, not text; quote it: "yes"',
    "bought: 2024-01-31": 'label "bought" has a date, not text; quote it: "2024-01-31"',
    "rack:": 'label "rack" has no value; give it one or remove it',
    'rack: ""': 'label "rack" has no value; give it one or remove it',
    "rack: [a]": 'label "rack" has a list or mapping as its value; write text',
    "my-rack: a": 'label "my-rack" is not a label name; use letters, digits and _, no digit first',
    "1st: a": 'label "1st" is not a label name; use letters, digits and _, no digit first',
    "<<: {a: b}": 'label "<<" is not a label name; use letters, digits and _, no digit first',
    "job: a": 'label "job" is reserved: the scrape config sets it; use another name',
    "instance: a": 'label "instance" is reserved: it is the target\'s address; use another name',
    "gpu: a": 'label "gpu" is reserved: the exporter sets it, for each GPU; use another name',
    "uuid: a": 'label "uuid" is reserved: the exporter sets it, for each GPU; use another name',
    "__name__: a": (
        'label "__name__" begins with __; only __scheme__, __metrics_path__, __gpus__ may'
    ),
    'x: "a\\nb"': 'label "x" has a control character, such as a line break; remove it',
    "__scheme__: ftp": 'label "__scheme__" is "ftp"; write http or https',
    "__gpus__: eight": (
        'label "__gpus__" is "eight"; write how many GPUs the node has, such as "8"'
    ),
    "__metrics_path__: m": 'label "__metrics_path__" is "m"; begin the path with /',
    f"{'a' * 129}: b": f'label "{"a" * 61}..." is longer than 128 characters; shorten it',
    f"a: {'é' * 513}": 'label "a" has a value of more than 1024 bytes; shorten it',
}
JSON = {
    "syntax": ('[{"targets": ["a:1"],}]', "1: not valid JSON: "),
    "YAML": ("- targets: [a:1]\n", "1: not valid JSON: "),
    "deep": ("[" * 100_000, "1: nested too deeply; write it with fewer levels"),
    "empty": (" \n", "1: the file is empty; write [] for no targets"),
    "number": ('[{"targets": ["a:1"],\n"labels": {"x": 1}}]', '2: label "x" has a number'),
}


@pytest.mark.parametrize(("content", "expected"), WHOLE_FILES.values(), ids=WHOLE_FILES)
def test_files(content: str | bytes, expected: str) -> None:
    assert only_problem(content) == f"t.yml:{expected}"


@pytest.mark.parametrize(("content", "expected"), GROUPS.values(), ids=GROUPS)
def test_groups(content: str, expected: str) -> None:
    assert only_problem(content) == f"t.yml:{expected}"


@pytest.mark.parametrize("target", TARGETS)
def test_targets(target: str) -> None:
    content = f"- targets:\n  - ok:1\n  - '{target}'\n"
    assert only_problem(content) == f't.yml:3: target "{target}" {TARGETS[target]}'


@pytest.mark.parametrize("label", LABELS)
def test_labels(label: str) -> None:
    content = f"- targets: [ok:1]\n  labels:\n    fine: text\n    {label}\n"
    assert only_problem(content) == f"t.yml:4: {LABELS[label]}"


@pytest.mark.parametrize(("content", "beginning"), JSON.values(), ids=JSON)
def test_json(content: str, beginning: str) -> None:
    assert only_problem(content, "t.json").startswith(f"t.json:{beginning}")


def test_a_label_that_is_there_twice() -> None:
    problem = only_problem("- targets: [a:1]\n  labels:\n    x: a\n    x: b\n")
    assert problem == 't.yml:4: label "x" is also on line 3; keep one'


def test_targets_that_are_no_text() -> None:
    file = parse("t.yml", b"- targets:\n  -\n  - [a]\n")
    assert [str(p) for p in file.problems] == [
        "t.yml:2: a target is empty; write host:port",
        "t.yml:3: a target is not text; write host:port",
    ]


def test_half_a_character_is_refused_in_json() -> None:
    # libyaml calls it a syntax error, PyYAML itself does not.
    problem = only_problem(b'[{"targets": ["a:1"], "labels": {"x": "\\ud83d"}}]', "t.json")
    assert problem.startswith("t.json:1: ")


def test_every_problem_is_told_up_to_a_hundred() -> None:
    assert len(parse("t.yml", b"- targets: [a]\n" * 3).problems) == 3
    assert len(parse("t.yml", b"- targets: [a]\n" * 200).problems) == MAX_PROBLEMS


def test_too_many_targets() -> None:
    hosts = ",".join(f"n{i}:1" for i in range(MAX_TARGETS + 1))
    assert only_problem(f"- targets: [{hosts}]") == (
        f"t.yml:1: more than {MAX_TARGETS} targets or groups; split the file"
    )


def test_an_alias_bomb_is_no_bomb() -> None:
    hosts = ",".join(f"n{i}:1" for i in range(1000))
    bomb = f"- targets: &t [{hosts}]\n" + "- targets: *t\n" * 50_000
    assert only_problem(bomb).endswith(": its aliases make it too large; write it out")
    groups = "- &g {targets: []}\n" + "- *g\n" * MAX_TARGETS
    assert only_problem(groups) == (
        f"t.yml:1: more than {MAX_TARGETS} targets or groups; split the file"
    )
