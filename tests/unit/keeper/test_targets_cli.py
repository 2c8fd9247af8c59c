"""`gpuglass targets` as people use it."""

import errno
import json
import os
import subprocess
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.ports import free_port
from tests.unit.keeper.test_keeper_cli import GPUGLASS, environment
from tests.unit.keeper.test_targets_asking import node, page

from gpuglass.cli.targets import command
from gpuglass.keeper.lock import locked
from gpuglass.keeper.targets.store import Store

BY_HAND = """\
# Ada's
- targets: [n1:9400, n2:9400]  # both
  labels: {cluster: lab}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lab.yml").write_text(BY_HAND)
    return tmp_path


def run(folder: Path, *arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(
        command, [*arguments, "--targets.dir", str(folder)], input=stdin, catch_exceptions=False
    )


def add(folder: Path, *arguments: str) -> Result:
    return run(folder, "add", *arguments, "--no-ask")


def error(result: Result) -> tuple[int, str]:
    lines = result.stderr.splitlines()
    return result.exit_code, lines[-1].removeprefix("Error: ")


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.suffix == ".yml"}


def test_list_shows_all_targets_and_where_they_are_written(folder: Path) -> None:
    (folder / "a.yml").write_text('- targets: ["[::1]:9400"]\n  labels: {node: here}\n')
    listed = run(folder, "list")
    assert listed.exit_code == 0
    assert listed.stdout.splitlines() == [
        "NODE  ADDRESS     LABELS       FILE",
        "here  [::1]:9400  -            a.yml:1",
        "n1    n1:9400     cluster=lab  lab.yml:2",
        "n2    n2:9400     cluster=lab  lab.yml:2",
    ]
    first = json.loads(run(folder, "list", "--json").stdout)["targets"][0]
    labels = {"node": "here"}
    assert first == {"address": "[::1]:9400", "labels": labels, "file": "a.yml", "line": 1}


def test_list_names_what_is_wrong(folder: Path) -> None:
    (folder / "z.yml").write_text("- targets: [N1:9400]\n")
    listed = run(folder, "list")
    assert listed.exit_code == 1
    assert listed.stdout.count("\n") == 3
    assert listed.stderr == (
        "z.yml:1: N1:9400 is already a target at lab.yml:2; keep it in one file\n"
    )


def test_add_and_remove(folder: Path) -> None:
    added = add(folder, "n3:9400", "n4:9400", "--label", "cluster=prod", "--gpus", "8")
    assert (added.exit_code, added.stdout) == (0, f"{folder}/nodes.yml: 2 targets added\n")
    assert add(folder, "n5:9400", "--label", "dc=north", "--file", "lab.yml").exit_code == 0
    assert contents(folder) == {
        "lab.yml": BY_HAND + '- targets: ["n5:9400"]\n  labels:\n    dc: "north"\n',
        "nodes.yml": (
            '- targets:\n    - "n3:9400"\n    - "n4:9400"\n'
            '  labels:\n    __gpus__: "8"\n    cluster: "prod"\n'
        ),
    }
    removed = run(folder, "remove", "N5:9400", "n3", "n1")
    assert removed.exit_code == 0
    assert removed.stdout.splitlines() == [
        f"{folder}/lab.yml: 2 targets removed",
        f"{folder}/nodes.yml: 1 target removed",
    ]
    assert contents(folder)["lab.yml"] == BY_HAND.replace("n1:9400, ", "")
    assert "n3" not in contents(folder)["nodes.yml"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ("add", "N2:9400"),
            1,
            "N2:9400 is already a target at lab.yml:2; edit it there, or remove it first",
        ),
        (("add", "n5:1", "N5:1"), 2, "N5:1 is given twice; keep one"),
        (("add", "n5"), 2, 'target "n5" has no port; write host:port, such as node1:9400'),
        (
            ("add", "n5:0"),
            2,
            "target \"n5:0\" has port '0'; write a number from 1 to 65535",
        ),
        (
            ("add", "n5:1", "--label", "job=x"),
            2,
            'label "job" is reserved: the scrape config sets it; use another name',
        ),
        (
            ("add", "n5:1", "--label", "x=1", "--label", "x=2"),
            2,
            "label x is given twice; keep one",
        ),
        (("add", "n5:1", "--label", "x"), 2, "'x' is no label; write NAME=VALUE"),
        (
            ("add", "n5:1", "--file", "../x.yml"),
            2,
            "'../x.yml' is no name of a targets file; end it with .yml",
        ),
        (
            ("add", "n5:1", "--file", "bad.yml"),
            1,
            'bad.yml:1: unknown key "target"; did you mean "targets"?; '
            "nothing is changed before that",
        ),
        (
            ("remove", "n9"),
            1,
            "n9: no such target in a file without mistakes; see gpuglass targets list",
        ),
        (("remove", "twin"), 1, "twin: several targets are that: t:1, t:2; say which"),
        (
            ("import", "none.yml"),
            2,
            "none.yml: there is no such file; with Docker: gpuglass targets import - <FILE",
        ),
    ],
)
def test_what_cannot_be_done_changes_nothing(
    folder: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    (folder / "bad.yml").write_text("- target: [x:1]\n")
    (folder / "twins.yml").write_text(
        "- targets: [t:1]\n  labels: {node: twin}\n- targets: [t:2]\n  labels: {node: twin}\n"
    )
    before = contents(folder)
    failed = add(folder, *arguments[1:]) if arguments[0] == "add" else run(folder, *arguments)
    told = error(failed)
    assert told[0] == code and message in told[1]
    assert contents(folder) == before


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    for arguments in (("list",), ("add", "n:1", "--no-ask"), ("remove", "n:1")):
        code, message = error(run(tmp_path / "none", *arguments))
        assert code == 1
        assert message.startswith(f"{tmp_path}/none") and message.endswith("; see --targets.dir")


def test_import_passes_over_what_is_there(folder: Path) -> None:
    (folder / "hosts").write_text("n2\nn3\nn4:9500\n")
    arguments = ("import", str(folder / "hosts"), "--label", "cluster=new")
    tried = run(folder, *arguments, "--dry-run")
    text = '- targets:\n    - "n3:9400"\n    - "n4:9500"\n  labels:\n    cluster: "new"\n'
    assert (tried.exit_code, tried.stdout) == (0, text)
    assert list(contents(folder)) == ["lab.yml"]
    done = run(folder, *arguments)
    told = f"{folder}/nodes.yml: 2 targets added, 1 there already\n"
    assert (done.exit_code, done.stdout) == (0, told)
    assert contents(folder)["nodes.yml"] == text
    hosts = b"n2\nn3\nn4:9500\n"
    again = run(folder, "import", "-", "--dry-run", stdin=hosts)
    told = f"{folder}/nodes.yml: 0 targets would be added, 3 there already\n"
    assert (again.exit_code, again.stdout, again.stderr) == (0, "", told)
    again = run(folder, "import", "-", stdin=hosts)
    assert again.stdout == f"{folder}/nodes.yml: 0 targets added, 3 there already\n"
    assert contents(folder)["nodes.yml"] == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- targets: [a b]\n", 'standard input:1: target "a b" has white space in it; '),
        ("[]\n", "standard input: no targets are in it"),
        ("n1: {}\n", "standard input: neither a list of groups nor scrape_configs is in it"),
    ],
)
def test_an_import_with_a_mistake_changes_nothing(folder: Path, text: str, told: str) -> None:
    code, message = error(run(folder, "import", "-", stdin=text.encode()))
    assert code == 1 and message.startswith(told)
    assert contents(folder) == {"lab.yml": BY_HAND}


def test_check_asks_each_target(folder: Path) -> None:
    config = ("--scrape.config", str(folder / "none"), "--timeout", "5s")
    closed = free_port()
    with node(page("n1")) as good, node(page("other", version="0.0.1")) as other:
        (folder / "lab.yml").write_text(
            f"- targets: ['{good}']\n  labels: {{node: n1, __gpus__: '1'}}\n"
            f"- targets: ['{other}', 127.0.0.1:{closed}]\n"
        )
        checked = run(folder, "check", *config)
        assert checked.exit_code == 1
        first, *lines = checked.stdout.splitlines()
        name = f"{folder}/lab.yml"
        assert first == f"{name}: ok, 3 targets"
        assert [line.partition(";")[0] for line in lines] == [
            f"{name}:3: {other} calls itself other, not 127.0.0.1",
            lines[1],
            f"{name}:3: 127.0.0.1:{closed} does not answer (Connection refused)",
        ]
        assert lines[1].startswith(f"{name}:3: warning: {other} runs gpuglass 0.0.1, here is ")
        (folder / "lab.yml").write_text(f"- targets: ['{good}']\n  labels: {{node: n1}}\n")
        assert run(folder, "check", *config).exit_code == 0


def test_add_says_what_is_wrong_with_what_it_added(folder: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    added = run(folder, "add", address, "--scrape.config", str(folder / "none"))
    assert added.exit_code == 0
    assert added.stderr.startswith(f"nodes.yml:1: {address} does not answer (Connection refused); ")
    assert address in contents(folder)["nodes.yml"]


def test_two_commands_at_once_lose_nothing(folder: Path) -> None:
    lock = str(folder / ".gpuglass.lock")
    with locked(folder):
        process = subprocess.Popen(
            [*GPUGLASS, "targets", "add", "n8:9400", "--no-ask", "--targets.dir", str(folder)],
            env=environment(),
            stdout=subprocess.PIPE,
        )
        _wait_until_open(process, lock)
        # What it must not have read before, or write over.
        assert (folder / "nodes.yml").exists() is False
        (folder / "nodes.yml").write_text("- targets: [n7:9400]  # by the other\n")
    assert process.communicate(timeout=30)[0] == f"{folder}/nodes.yml: 1 target added\n".encode()
    expected = '- targets: [n7:9400]  # by the other\n- targets: ["n8:9400"]\n'
    assert (folder / "nodes.yml").read_text() == expected


def _wait_until_open(process: "subprocess.Popen[bytes]", path: str) -> None:
    pause = threading.Event()
    for _ in range(600):
        assert process.poll() is None
        links = list(Path(f"/proc/{process.pid}/fd").iterdir())
        if any(link.is_symlink() and os.path.realpath(link) == path for link in links):
            return
        pause.wait(0.05)
    raise AssertionError("it has not asked for the lock")


def test_many_at_once(folder: Path) -> None:
    def work(number: int) -> None:
        with locked(folder):
            store = Store(folder)
            store.write("n.yml", store.content("n.yml") + f"- targets: [m{number}:1]\n".encode())

    threads = [threading.Thread(target=work, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Store(folder).files["n.yml"].targets) == 12


def test_a_command_that_does_not_end_is_not_waited_for_ever(folder: Path) -> None:
    waits = locked(folder, patience=0.05)
    with locked(folder), pytest.raises(OSError, match="another command") as error, waits:
        raise AssertionError
    assert error.value.filename == str(folder)


def test_a_lock_that_root_made_serves_others_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".gpuglass.lock").touch(0o444)
    real = os.open

    def as_another(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", as_another)
    waits = locked(folder, patience=0.05)
    with locked(folder), pytest.raises(OSError, match="another command"), waits:
        raise AssertionError


def test_a_link_and_the_mode_of_a_file_stay(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "fleet.yml"
    elsewhere.write_text("[]\n")
    elsewhere.chmod(0o600)
    (folder / "fleet.yml").symlink_to(elsewhere)
    assert add(folder, "n9:9400", "--file", "fleet.yml").exit_code == 0
    assert (folder / "fleet.yml").is_symlink()
    assert "n9:9400" in elsewhere.read_text()
    assert elsewhere.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_written(folder: Path) -> None:
    if os.getuid() == 0:
        (folder / ".gpuglass.lock").mkdir()  # root may write anywhere, but not into a folder
    else:
        folder.chmod(0o500)
    code, message = error(add(folder, "n9:9400"))
    assert code == 1
    assert message.endswith("; see --targets.dir")
    assert contents(folder) == {"lab.yml": BY_HAND}
