"""The users' own rules on their way into the real vmalert."""

import itertools
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import ROOT
from tests.integration.stack import GPUGLASS, Program, Stack, environment, get, wait_for
from tests.ports import free_port

from gpuglass.keeper.rules.check import Checker

OURS = ROOT / "victoriametrics/rules"


def rules(name: str, *expressions: str) -> str:
    recorded = [
        f"      - record: {name}:{i}\n        expr: {e}\n" for i, e in enumerate(expressions)
    ]
    return f"groups:\n  - name: {name}\n    interval: 1s\n    rules:\n{''.join(recorded)}"


@pytest.fixture(scope="module")
def checker(components: Path) -> Checker:
    return Checker(str(components / "vmalert"))


GOOD = rules("fine", "vector(1)")
MISTAKES = {
    "YAML": ("groups: []\nx: }", 2, "not valid YAML"),
    "not groups": ("- a", 1, "a rule file begins with 'groups:'"),
    "another key": ("rules: []", 1, "no groups"),
    "groups is text": ("groups: a", 1, "groups is not a list"),
    "group is text": ("groups:\n- a", 2, "a group is not a mapping"),
    "group without a name": ("groups:\n- rules: []", 2, "a group has no name"),
    "group twice": (
        "groups:\n- name: a\n- name: b\n- name: a",
        4,
        'group "a" is also on line 2; give one another name',
    ),
    "key twice": ("groups: []\ngroups: []", 2, 'key "groups" is also on line 1; keep one'),
    "rules is text": ("groups:\n- name: a\n  rules: b", 3, "rules is not a list"),
    "rule is text": ("groups:\n- name: a\n  rules: [b]", 3, "a rule is not a mapping"),
    "rule without a name": ("groups:\n- name: a\n  rules:\n  - expr: b", 4, "a rule has a name"),
    "rule with two": (
        "groups:\n- name: a\n  rules:\n  - {alert: a, record: b, expr: c}",
        4,
        "a rule has a name",
    ),
    "rule without an expr": ("groups:\n- name: a\n  rules:\n  - alert: B", 4, "rule B has no expr"),
    "label twice": (
        "groups:\n- name: a\n  rules:\n  - alert: B\n    expr: c\n    labels:\n"
        "      d: e\n      d: f",
        8,
        'key "d" is also on line 7',
    ),
    "expression": (rules("r", "up", "sum(rate(", "up"), 8, "invalid expression for rule"),
    "unknown key": (rules("r", "up") + "        unit: W\n", 7, "unknown fields in rule: unit"),
    "template": (
        "groups:\n- name: a\n  rules:\n  - alert: B\n    expr: up\n    annotations:\n"
        "      fine: x\n      summary: '{{ $lables.node }}'",
        8,
        "invalid annotations for rule",
    ),
    "duration": (
        "groups:\n- name: a\n  rules:\n  - alert: B\n    expr: up\n    for: 5 minutes",
        6,
        'cannot parse duration "5 minutes"',
    ),
    "setting of the group": (
        "groups:\n- name: a\n  interval: often\n  rules: [{record: b, expr: '1'}]",
        3,
        'cannot parse duration "often"',
    ),
    "rule twice": (
        "groups:\n- name: a\n  rules:\n  - {record: b, expr: up}\n  - {record: b, expr: up}",
        5,
        "is a duplicate in group",
    ),
    "variable": (
        rules("r", "up") + "        labels: {a: '%{HOME}'}  # not ours\n",
        7,
        "%{ begins a variable of vmalert's environment; write the value itself",
    ),
    "a name of ours": (
        "groups:\n- name: a\n  rules:\n  - alert: GPULost\n    expr: up",
        4,
        "GPULost is a rule of gpuglass; give yours another name",
    ),
}


@pytest.mark.parametrize(("text", "line", "what"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_with_its_line(
    checker: Checker, text: str, line: int, what: str
) -> None:
    file = checker.check("own.yml", text.encode(), {"GPULost"})
    assert len(file.problems) == 1
    assert str(file.problems[0]).startswith(f"own.yml:{line}: ")
    assert what in file.problems[0].what
    assert "\n" not in str(file.problems[0])


def test_every_rule_at_fault_is_named(checker: Checker) -> None:
    file = checker.check("own.yml", rules("r", "up", "sum(", "up == 0", "rate(").encode())
    assert [problem.line for problem in file.problems] == [8, 12]


def test_a_search_that_takes_long_ends_with_the_group(components: Path) -> None:
    seconds = itertools.count(0, 8)
    slow = Checker(str(components / "vmalert"), lambda: next(seconds))
    file = slow.check("own.yml", rules("r", "up", "up", "up", "sum(").encode())
    assert [problem.line for problem in file.problems] == [2]
    assert "invalid expression" in file.problems[0].what


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "groups: []", "groups:\n- name: a", GOOD])
def test_good_files(checker: Checker, text: str) -> None:
    file = checker.check("own.yml", text.encode())
    assert (file.problems, file.rules) == ((), int(text == GOOD))


def check(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*GPUGLASS, "rules", "check", *arguments],
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_checks_our_own_rules(components: Path) -> None:
    made = check(
        *(str(OURS / folder) for folder in ("alerts", "records")),
        f"--vmalert.path={components / 'vmalert'}",
    )
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.endswith("files: ok\n")


def test_the_command_names_file_and_line(components: Path, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/good.yml").write_text(GOOD)
    (tmp_path / "own/bad.yml").write_text(rules("r", "sum("))
    made = check(str(tmp_path / "own"), f"--vmalert.path={components / 'vmalert'}")
    assert (made.returncode, made.stderr) == (1, "")
    assert made.stdout.startswith(f"{tmp_path}/own/bad.yml:6: invalid expression")
    assert made.stdout.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (("/nowhere.yml",), 2, "gpuglass: error: /nowhere.yml: No such file or directory"),
        (
            (str(OURS / "alerts"), "--vmalert.path=/nowhere/vmalert"),
            1,
            "gpuglass: error: /nowhere/vmalert cannot be asked (No such file or directory); "
            "see --vmalert.path",
        ),
    ],
)
def test_what_cannot_be_checked_is_one_line(
    arguments: tuple[str, ...], code: int, line: str
) -> None:
    made = check(*arguments)
    assert (made.returncode, made.stdout, made.stderr) == (code, "", f"{line}\n")


class Desk:
    """VictoriaMetrics, vmalert, the keeper, and the folder of the users' own rules."""

    def __init__(self, folder: Path, bin_folder: Path) -> None:
        self.stack = Stack(folder, bin_folder)
        self.custom = folder / "rules/custom"
        self.published = folder / "published-rules"
        (folder / "rules/alerts").mkdir(parents=True)
        (folder / "rules/alerts/ours.yml").write_text(rules("ours", "vector(1)"))
        self.custom.mkdir()
        self.vmalert_url = f"http://127.0.0.1:{free_port()}"
        self.vmalert = Program(
            [
                str(bin_folder / "vmalert"),
                f"-httpListenAddr={self.vmalert_url.removeprefix('http://')}",
                f"-rule={folder}/rules/alerts/*.yml",
                f"-rule={self.published}/*.yml",
                f"-datasource.url={self.stack.url}",
                f"-remoteWrite.url={self.stack.url}",
                "-notifier.blackhole",
                "-remoteWrite.flushInterval=100ms",
                "-group.maxStartDelay=100ms",
                "-rule.evalDelay=1s",
            ],
            folder / "vmalert.log",
            f"{self.vmalert_url}/health",
            environment(),
        )
        self.stack.keeper.command += [
            "--rules.check-interval=200ms",
            f"--rules.custom-dir={self.custom}",
            f"--rules.published-dir={self.published}",
            f"--vmalert.path={bin_folder / 'vmalert'}",
            f"--vmalert.url={self.vmalert_url}",
        ]

    def start(self) -> None:
        self.stack.victoriametrics.start()
        # Before the keeper, so that it is there when the keeper tells it what is new.
        self.vmalert.start()
        self.stack.keeper.start()

    def stop(self) -> None:
        self.vmalert.stop()
        self.stack.stop()

    def write(self, name: str, text: str) -> None:
        (self.custom / name).write_text(text)

    def in_force(self) -> set[str]:
        """The groups that vmalert evaluates."""
        answer: Any = json.loads(get(f"{self.vmalert_url}/api/v1/rules"))
        return {group["name"] for group in answer["data"]["groups"]}

    def valid(self) -> dict[str, float]:
        """Whether each file is good, as the keeper's page tells."""
        page = get(f"{self.stack.keeper_url}/metrics")
        name = 'gpuglass_keeper_rules_file_valid{file="'
        lines = [line.removeprefix(name) for line in page.splitlines() if line.startswith(name)]
        return {line.partition('"')[0]: float(line.split()[-1]) for line in lines}

    def evaluated(self, series: str) -> bool:
        """Whether a series has a sample of the last seconds."""
        return bool(self.stack.query(f'last_over_time({{__name__="{series}"}}[5s])', time.time()))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, components: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path_factory.mktemp("desk"), components)
    try:
        desk.start()
        yield desk
    finally:
        desk.stop()


def test_good_rules_are_in_force_and_broken_ones_stop_none(desk: Desk) -> None:
    desk.write("good.yml", rules("mine", "vector(1)"))
    desk.write("broken.yml", rules("theirs", "vector(1)", "sum("))
    wait_for("the good rules are evaluated", lambda: desk.evaluated("mine:0"))
    wait_for("both are judged", lambda: desk.valid() == {"good.yml": 1, "broken.yml": 0})
    assert desk.in_force() == {"ours", "mine"}
    wait_for("our rules are evaluated", lambda: desk.evaluated("ours:0"))
    assert f"{desk.custom}/broken.yml:8: invalid expression" in desk.stack.keeper.log
    assert "(published: nothing)" in desk.stack.keeper.log


def test_a_broken_edit_leaves_the_last_good_version(desk: Desk) -> None:
    desk.write("good.yml", rules("mine", "vector("))
    desk.write("broken.yml", rules("theirs", "vector(2)"))
    everything = {"ours", "mine", "theirs"}
    wait_for("the edit is judged", lambda: desk.valid() == {"good.yml": 0, "broken.yml": 1})
    wait_for(
        "the corrected file is in force", lambda: desk.in_force() == {"ours", "mine", "theirs"}
    )
    # vmalert and the keeper begin anew: what was good before is what there is.
    desk.vmalert.stop()
    desk.stack.keeper.stop()
    desk.vmalert.start()
    desk.stack.keeper.start()
    assert desk.in_force() == everything
    wait_for("it is judged as before", lambda: desk.valid() == {"good.yml": 0, "broken.yml": 1})
    wait_for("the last good version is evaluated", lambda: desk.evaluated("mine:0"))


def test_groups_of_one_name_in_two_files_are_both_evaluated(desk: Desk) -> None:
    desk.write("same1.yml", rules("same", "vector(1)"))
    desk.write("same2.yml", rules("same", "vector(1)").replace("same:", "other:"))
    wait_for("one", lambda: desk.evaluated("same:0"))
    wait_for("the other", lambda: desk.evaluated("other:0"))


def test_rules_that_are_new_while_vmalert_is_away_are_in_force_when_it_is_back(desk: Desk) -> None:
    desk.vmalert.stop()
    desk.write("late.yml", rules("late", "vector(1)"))
    wait_for("it is judged", lambda: desk.valid().get("late.yml") == 1)
    wait_for("it is told", lambda: "cannot be told of new rules" in desk.stack.keeper.log)
    desk.vmalert.start()
    wait_for("it is evaluated", lambda: desk.evaluated("late:0"))


def test_removed_rules_are_no_longer_in_force(desk: Desk) -> None:
    assert "ours" in desk.in_force()
    for path in desk.custom.iterdir():
        path.unlink()
    wait_for("they are gone", lambda: desk.in_force() == {"ours"})
