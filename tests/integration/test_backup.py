"""Backups of storages that are written to, and what comes of them elsewhere."""

import os
import signal
import sqlite3
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.installation import Installation, Writer
from tests.integration.stack import wait_for

NOW = int(time.time())
DAY = 86400
# Seconds for which samples may be in memory alone; what is being merged there is in no snapshot.
IN_MEMORY = 10
QUERIES = (
    "sum by (gpu) (avg_over_time(gpu_power_watts[1d]))",
    "max(max_over_time(gpu_power_watts:max[7d]))",
    "sum(increase(gpu_energy_joules_total[2d]))",
)


@pytest.fixture
def running() -> Iterator[list[Installation]]:
    """What is put in here is stopped in the end."""
    installations: list[Installation] = []
    yield installations
    for installation in installations:
        installation.stop()


def history(installation: Installation) -> None:
    """Fill every storage with some weeks, which are in more than one month, and write the files."""
    for name in installation.url:
        days = 6 if name == "raw" and len(installation.url) > 1 else 25
        moments = range(NOW - days * DAY, NOW - 3600, 1800)
        installation.write(
            name,
            [
                line
                for i, second in enumerate(moments)
                for gpu in range(4)
                for line in (
                    f'gpu_power_watts{{gpu="{gpu}"}} {(i * 37 + gpu * 11) % 700} {second}000',
                    f'gpu_power_watts:max{{gpu="{gpu}"}} {(i * 41 + gpu) % 700} {second}000',
                    f'gpu_energy_joules_total{{gpu="{gpu}"}} {i * 1000 + gpu} {second}000',
                )
            ],
        )
    write_files(installation)


def write_files(installation: Installation) -> None:
    theirs, data = installation.clone / "victoriametrics", installation.data
    contents = {
        installation.clone / "gpuglass.env": "GPUGLASS_GRAFANA=no\n",
        theirs / "targets/lab.yml": '- targets: ["gpu01:9400"]\n',
        theirs / "targets/this-node.yml": "ours\n",
        data / "this-node.yml": "ours\n",
        theirs / "rules/custom/own.yml": "groups: []\n",
        theirs / "alertmanager/README.md": "shipped\n",
        theirs / "alertmanager/receivers.yml": "receivers: []\n",
        theirs / "alertmanager/secrets/token": "s3cret\n",
        data / "tls/ca.key": "key\n",
        data / "targets/lab.yml": "published\n",
        data / "vmagent/queue": "not delivered\n",
        data / "alertmanager/silences": "silences\n",
        data / "alertmanager/published/alertmanager.yml": "published\n",
        data / "grafana/admin-password": "secret\n",
    }
    for path, text in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (data / "tls/ca.key").chmod(0o600)
    with sqlite3.connect(data / "grafana/grafana.db") as database:
        database.execute("create table dashboard (title text)")
        database.execute("insert into dashboard values ('mine')")
    database.close()


def files(installation: Installation) -> dict[str, bytes]:
    """What a backup has to bring back besides samples, by its path."""
    theirs, data = installation.clone / "victoriametrics", installation.data
    folders = (
        theirs / "targets",
        theirs / "rules/custom",
        theirs / "alertmanager",
        data / "tls",
        data / "access",
        data / "alertmanager",
    )
    root = installation.clone.parent
    paths = [installation.clone / "gpuglass.env", data / "grafana/admin-password"]
    paths += [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths if path.exists()}


def rounds(installation: Installation, name: str) -> list[list[int]]:
    """Which rounds of the writer a storage has, for each of its series."""
    installation.flush(name)
    series = installation.export(name, '{__name__="round"}').values()
    return [[int(value) for _, value in points] for points in series]


@pytest.mark.parametrize("tiered", [False, True], ids=["single", "tiered"])
def test_what_is_restored_elsewhere_is_what_was_there_at_the_moment_of_the_backup(
    tmp_path: Path, components: Path, running: list[Installation], tiered: bool
) -> None:
    source = Installation(tmp_path / "source", components, tiered)
    running.append(source)
    source.start()
    history(source)
    writer = Writer(source)
    writer.start()
    shelf = tmp_path / "backups"

    wait_for("something was written", lambda: writer.written > 3)
    assert source.gpuglass("backup", str(shelf))[0] == 0
    before = writer.written
    time.sleep(IN_MEMORY)
    code, told = source.gpuglass("backup", str(shelf))
    assert code == 0, told
    after = writer.written
    # More than the backup took: it must not go on after its moment.
    wait_for("more was written", lambda: writer.written > after + 3)
    writer.end()

    first, second = sorted(path for path in shelf.iterdir() if path.is_dir())
    assert stat.S_IMODE(second.stat().st_mode) == 0o700
    assert source.snapshots() == []
    shared = [path for path in second.rglob("*.bin/*") if path.stat().st_nlink == 2]
    assert shared, "nothing of the second backup is shared with the first"
    assert source.gpuglass("backup", "--check", str(first))[0] == 0

    target = Installation(tmp_path / "target", components, tiered)
    running.append(target)
    (target.clone / "victoriametrics/alertmanager/README.md").write_text("another release's\n")
    (target.clone / "victoriametrics/targets/this-node.yml").write_text("of this machine\n")
    (target.data / "this-node.yml").write_text("of this machine\n")
    # Its password, too, is another's until then.
    code, told = target.gpuglass("restore", "--replace", str(shelf))
    assert code == 0, told
    target.start()

    for name in source.url:
        source.flush(name)
        series = rounds(target, name)
        assert len(series) == 20
        for found in series:
            assert found[:before] == list(range(1, before + 1))
            assert max(found) <= after + 1
        for query in QUERIES:
            span = (NOW - 30 * DAY, NOW - 3600, 6 * 3600)
            answer = source.answer(name, query, *span)
            assert answer
            assert target.answer(name, query, *span) == answer
        names = '{__name__!="round"}'
        assert target.export(name, names) == source.export(name, names)
    expected = files(source)
    for made_anew in ("data/alertmanager/published/alertmanager.yml",):
        del expected[made_anew]
    expected["clone/victoriametrics/alertmanager/README.md"] = b"another release's\n"
    expected["clone/victoriametrics/targets/this-node.yml"] = b"of this machine\n"
    assert files(target) == expected
    assert stat.S_IMODE((target.data / "tls/ca.key").stat().st_mode) == 0o600
    with sqlite3.connect(target.data / "grafana/grafana.db") as database:
        assert database.execute("select title from dashboard").fetchall() == [("mine",)]
    database.close()
    assert not list(tmp_path.rglob(".restore"))


@pytest.fixture
def source(tmp_path: Path, components: Path, running: list[Installation]) -> Installation:
    """A small installation that runs."""
    installation = Installation(tmp_path / "source", components, tiered=False)
    running.append(installation)
    installation.start()
    installation.write("raw", [f"kept {i} {(NOW - i * 60) * 1000}" for i in range(60)])
    write_files(installation)
    return installation


def slow_program(folder: Path) -> Path:
    """A vmbackup or vmrestore that says that it has begun, and does not come to an end."""
    program = folder / "slow-program"
    program.write_text(
        f'#!/bin/sh\n[ "$1" != --version ] || exit 0\necho $$ >"{folder}/pid"\nexec sleep 600\n'
    )
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_backup_that_was_ended_is_none_and_the_next_one_cleans_up(
    tmp_path: Path, source: Installation, number: signal.Signals
) -> None:
    shelf, pid = tmp_path / "backups", tmp_path / "pid"
    path = str(slow_program(tmp_path))
    process = subprocess.Popen(
        source.command("backup", str(shelf)), env=source.environment(GPUGLASS_VMBACKUP_PATH=path)
    )
    wait_for("vmbackup runs", lambda: pid.exists() and pid.read_text().strip())
    assert len(source.snapshots()) == 1
    process.send_signal(number)
    process.wait(60)
    assert source.gpuglass("restore", str(shelf)) == (
        1,
        f"gpuglass: error: {shelf}: only an unfinished backup; let gpuglass backup end first\n",
    )
    if number == signal.SIGKILL:
        # vmbackup has outlived it, and still writes there.
        code, told = source.gpuglass("backup", str(shelf))
        assert (code, told) == (1, f"gpuglass: error: {shelf}: another backup is at work there\n")
        os.kill(int(pid.read_text()), signal.SIGKILL)
        assert len(source.snapshots()) == 1
    else:
        assert source.snapshots() == []

    def done() -> bool:
        return source.gpuglass("backup", str(shelf))[0] == 0

    wait_for("the next backup is made", done)
    assert source.snapshots() == []
    assert sorted(path.name for path in shelf.iterdir())[:1] == [".gpuglass-backups"]
    assert len(list(shelf.iterdir())) == 2
    assert source.gpuglass("backup", "--check", str(shelf))[0] == 0


def test_backup_that_fails_leaves_neither_snapshot_nor_backup(
    tmp_path: Path, source: Installation
) -> None:
    broken = tmp_path / "vmbackup"
    broken.write_text('#!/bin/sh\necho \'{"level":"fatal","msg":"no luck"}\' >&2\nexit 1\n')
    broken.chmod(0o755)
    shelf = tmp_path / "backups"
    told = source.gpuglass("backup", str(shelf), GPUGLASS_VMBACKUP_PATH=str(broken))
    assert told == (1, "gpuglass: error: vmbackup: no luck\n")
    assert source.snapshots() == []
    assert [path for path in shelf.iterdir() if not path.name.startswith(".")] == []


def test_only_the_newest_backups_are_kept(tmp_path: Path, source: Installation) -> None:
    shelf = tmp_path / "backups"
    for _ in range(3):
        code, told = source.gpuglass("backup", str(shelf), "--keep", "2")
        assert code == 0, told
    backups = sorted(path for path in shelf.iterdir() if path.is_dir())
    assert len(backups) == 2
    for backup in backups:
        assert source.gpuglass("backup", "--check", str(backup))[0] == 0


def test_backups_that_cannot_be_made(tmp_path: Path, source: Installation) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/letter").write_text("mine")
    cases = {
        str(tmp_path / "full"): "not empty and no folder of backups; name one that is empty or new",
        str(source.data / "backups"): "within what is to be saved; name another folder",
    }
    for folder, reason in cases.items():
        told = source.gpuglass("backup", folder)
        assert told == (1, f"gpuglass: error: {folder}: {reason}\n")
    elsewhere = source.gpuglass(
        "backup", str(tmp_path / "b"), GPUGLASS_DATA_DIR=str(tmp_path / "full")
    )
    assert elsewhere == (
        1,
        f"gpuglass: error: {tmp_path}/full/victoria-metrics: no data of a VictoriaMetrics (raw); "
        "backups are made on the monitoring host (see --data.dir)\n",
    )
    source.stop()
    code, output = source.gpuglass("backup", str(tmp_path / "backups"))
    assert code == 1
    assert "cannot be reached" in output
    assert output.count("\n") == 1
    assert list((tmp_path / "full").iterdir()) == [tmp_path / "full/letter"]


def state(installation: Installation) -> dict[str, bytes]:
    """Every file of an installation that is stopped, but for locks."""
    root = installation.clone.parent
    return {
        str(path): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.name != "flock.lock"
    }


def test_restore_refuses_and_leaves_all_as_it_was(
    tmp_path: Path, components: Path, source: Installation
) -> None:
    shelf = tmp_path / "backups"
    assert source.gpuglass("backup", str(shelf))[0] == 0
    (backup,) = (path for path in shelf.iterdir() if path.is_dir())

    def refused(*arguments: str, **more: str) -> str:
        code, told = source.gpuglass("restore", *arguments, **more)
        assert code == 1
        assert told.count("\n") == 1, told
        return told

    assert "in use by VictoriaMetrics, or by another restore; ./setup.sh --stop first" in refused(
        str(shelf)
    )
    source.stop()
    (source.clone / "victoriametrics/targets/new.yml").write_text("[]\n")
    before = state(source)
    assert "which would be lost" in refused(str(shelf))
    victim = next(backup.rglob("values.bin/*"))
    content = victim.read_bytes()
    victim.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    assert "its content has changed" in refused("--replace", str(shelf))
    victim.write_bytes(content)
    broken = tmp_path / "vmrestore"
    broken.write_text('#!/bin/sh\necho \'{"level":"fatal","msg":"no luck"}\' >&2\nexit 1\n')
    broken.chmod(0o755)
    assert "vmrestore: no luck" in refused(
        "--replace", str(shelf), GPUGLASS_VMRESTORE_PATH=str(broken)
    )
    assert state(source) == before
    assert source.gpuglass("restore", "--replace", str(shelf))[0] == 0
    assert state(source) != before


def test_killed_restore_leaves_what_was_there(tmp_path: Path, source: Installation) -> None:
    shelf, pid = tmp_path / "backups", tmp_path / "pid"
    assert source.gpuglass("backup", str(shelf))[0] == 0
    source.write("raw", [f"later 1 {NOW * 1000}"])
    source.stop()
    before = state(source)
    process = subprocess.Popen(
        source.command("restore", "--replace", str(shelf)),
        env=source.environment(GPUGLASS_VMRESTORE_PATH=str(slow_program(tmp_path))),
    )
    wait_for("vmrestore runs", lambda: pid.exists() and pid.read_text().strip())
    process.kill()
    process.wait(60)
    # vmrestore has outlived it, and nobody else gets at the folder.
    code, told = source.gpuglass("restore", "--replace", str(shelf))
    assert (code, "or by another restore" in told) == (1, True)
    os.kill(int(pid.read_text()), signal.SIGKILL)
    assert state(source) == before
    source.start()
    assert len(source.export("raw", "later")) == 1
    source.stop()

    def done() -> bool:
        return source.gpuglass("restore", "--replace", str(shelf))[0] == 0

    wait_for("it is restored", done)
    source.start()
    assert (len(source.export("raw", "kept")), source.export("raw", "later")) == (1, {})
