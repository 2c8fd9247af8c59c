"""The list of workers: what is wrong with one, how it is changed, what vmauth is told of it."""

from pathlib import Path

import pytest

from gpuglass.keeper.workers import door, edit
from gpuglass.keeper.workers.file import HEADER, Worker, parse
from gpuglass.keeper.workers.keeper import WorkersKeeper

TOKEN, OTHER = "a" * 43, "-_" + "b" * 41
LIST = f"""\
# Ours.
pod-1:  # in Frankfurt
  token: {TOKEN}
  added: 2026-11-21T23:00:00Z
  ephemeral: 2h
  labels:
    cluster: rented   # by the hour
    provider: "a=b&c"

# Theirs.
pod.2:
  token: "{OTHER}"
"""
WORKERS = (
    Worker("pod-1", TOKEN, 1795302000.0, 7200.0, (("cluster", "rented"), ("provider", "a=b&c"))),
    Worker("pod.2", OTHER),
)


def problems(text: str) -> list[str]:
    return [str(problem) for problem in parse("w.yml", text.encode()).problems]


def test_a_good_list_is_read() -> None:
    found = parse("w.yml", LIST.encode())
    assert (found.problems, found.workers) == ((), WORKERS)
    assert [worker.line for worker in found.workers] == [2, 11]
    assert TOKEN not in repr(found)


@pytest.mark.parametrize("text", ["", HEADER.decode(), "{}"])
def test_there_may_be_no_workers(text: str) -> None:
    assert parse("w.yml", text.encode()).workers == ()
    assert not problems(text)


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("- pod", 1, "not a list of workers; begin each with its name and a colon"),
        ("a b:\n  token: x", 1, '"a b" is no name of a worker; use letters, digits, dots'),
        ("pod: 5", 1, "pod has no token of 32 to 128 letters, digits, - and _; add it"),
        ("pod:\n  token: short", 2, "pod has no token of 32 to 128 letters"),
        (f"a:\n  token: {TOKEN}\nb:\n  token: {TOKEN}", 4, "its token is also on line 2; keep"),
        (f"a:\n  token: {TOKEN}\na:\n  token: {OTHER}", 3, 'worker "a" is also on line 1; keep'),
        (f"a:\n  token: {TOKEN}\n  life: 2h", 3, 'unknown key "life"; there are token, added'),
        (f"a:\n  token: {TOKEN}\n  ephemeral: 2 h", 3, 'ephemeral: "2 h" is no time from 1m to'),
        (f"a:\n  token: {TOKEN}\n  ephemeral: 40d", 3, 'ephemeral: "40d" is no time from 1m to'),
        (f"a:\n  token: {TOKEN}\n  ephemeral:", 3, "ephemeral has no value; give it one or"),
        (f"a:\n  token: {TOKEN}\n  added: then", 3, "added is no time such as 2026-11-21T23"),
        (f"a:\n  token: {TOKEN}\n  labels: x", 3, "labels is not a mapping"),
        (f"a:\n  token: {TOKEN}\n  labels: {{node: b}}", 3, 'label "node" is reserved'),
        (f"a:\n  token: {TOKEN}\n  labels: {{job: b}}", 3, 'label "job" is reserved'),
        (f"a:\n  token: {TOKEN}\n  labels: {{instance: b}}", 3, 'label "instance" is reserved'),
        (f"a:\n  token: {TOKEN}\n  labels: {{uuid: b}}", 3, 'label "uuid" is reserved'),
        (f"a:\n  token: {TOKEN}\n  labels: {{__gpus__: '8'}}", 3, 'label "__gpus__" begins'),
        (f"a:\n  token: {TOKEN}\n  labels: {{__name__: up}}", 3, 'label "__name__" begins'),
        (f"a:\n  token: {TOKEN}\n  labels: {{rack: 5}}", 3, 'label "rack" has a number, not text'),
        ("a: [", 2, ""),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, line: int, what: str) -> None:
    found = problems(text)
    assert found
    assert found[0].startswith(f"w.yml:{line}: {what}")


def test_too_many_labels_are_refused() -> None:
    labels = ", ".join(f"l{n}: x" for n in range(9))
    (problem,) = problems(f"a:\n  token: {TOKEN}\n  labels: {{{labels}}}")
    assert problem == "w.yml:3: 9 labels, at most 8 are stored; remove some".replace(
        "are stored", "go"
    )


def test_what_was_written_by_hand_survives() -> None:
    new = Worker("3rd", "c" * 40, 0.0, 90 * 60.0, (("cluster", 'x "y"'),))
    content = edit.add("w.yml", LIST.encode(), new)
    assert content.startswith(LIST.encode())
    assert parse("w.yml", content).workers == (*WORKERS, new)
    gone = edit.remove("w.yml", content, ["pod-1", "nobody"]).decode()
    assert gone == f"# Ours.\n\n# Theirs.\npod.2:{content.decode().partition('pod.2:')[2]}"
    assert edit.remove("w.yml", gone.encode(), ["pod.2", "3rd"]) == b"# Ours.\n\n# Theirs.\n"


@pytest.mark.parametrize("content", [b"", HEADER, b"# x", b"{}"])
def test_the_first_may_be_added(content: bytes) -> None:
    if content == b"{}":
        with pytest.raises(edit.EditError, match="written in a way that only its author"):
            edit.add("w.yml", content, WORKERS[0])
        return
    made = edit.add("w.yml", content, WORKERS[0])
    assert parse("w.yml", made).workers == WORKERS[:1]
    assert made.startswith(content or HEADER)


def test_a_list_with_a_mistake_is_not_changed() -> None:
    told = r"w\.yml:1: pod has no token.*nothing is changed"
    with pytest.raises(edit.EditError, match=told):
        edit.add("w.yml", b"pod: 5", WORKERS[0])
    with pytest.raises(edit.EditError, match=told):
        edit.remove("w.yml", b"pod: 5", ["pod"])


def test_nobody_is_added_twice() -> None:
    with pytest.raises(edit.EditError, match="pod-1 is a worker already, on line 2 of w"):
        edit.add("w.yml", LIST.encode(), Worker("pod-1", "d" * 40))


def test_what_vmauth_is_told_is_known_again() -> None:
    content = door.render(WORKERS, "http://vm:8428", {"Authorization": "Basic x"})
    known = tuple(Worker(w.name, w.token, labels=w.labels) for w in WORKERS)
    assert door.read("x", content) == known
    assert content.count(b'"Authorization: Basic x"') == 2
    assert door.read("x", door.render([], "http://vm:8428")) == ()
    assert str(door.read("x", b"users: []")) == "x:1: not written by the keeper"


def test_the_last_good_list_stays_in_force(tmp_path: Path) -> None:
    file, published = tmp_path / "workers.yml", tmp_path / "published/workers.yml.json"
    keeper = WorkersKeeper(tmp_path, "http://vm:8428")
    keeper.start()
    assert file.read_bytes() == HEADER
    assert door.read("x", published.read_bytes()) == ()
    for text, expected in ((LIST, WORKERS), ("pod: 5", WORKERS)):
        file.write_text(text)
        keeper.check()
        keeper.check()
        assert keeper.workers == expected
        assert b"pod-1" in published.read_bytes()
    # A keeper that starts while the list is broken knows them by what vmauth was told.
    again = WorkersKeeper(tmp_path, "http://vm:8428")
    again.start()
    assert [worker.name for worker in again.workers] == ["pod-1", "pod.2"]
    assert again.state.files["workers.yml"].valid is False
    assert {oct(path.stat().st_mode & 0o777) for path in (published,)} == {"0o600"}
