"""What a backup says of itself, which one is meant, and which are refused."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gpuglass
from gpuglass.keeper.backup import manifest, shelf, sqlite
from gpuglass.keeper.backup.layout import Layout
from gpuglass.keeper.backup.manifest import BackupError, Manifest
from gpuglass.keeper.backup.programs import Tool
from gpuglass.keeper.backup.restore import Restorer, check_whole
from gpuglass.keeper.backup.shelf import Shelf


def put(folder: Path, moment: int = 1_700_000_000) -> Path:
    """A whole backup on a shelf."""
    place = Shelf(folder)
    with place.claimed():
        unfinished = place.begin()
        (unfinished / "settings").mkdir()
        (unfinished / "settings/gpuglass.env").write_text("GPUGLASS_GRAFANA=no\n")
        (unfinished / "storage/raw/data").mkdir(parents=True)
        (unfinished / "storage/raw/data/part").write_bytes(b"samples")
        files = manifest.contents(unfinished, None, {})
        version = gpuglass.__version__
        return place.finish(Manifest(version, "v1.152.0", moment, "lab", "single", ("raw",), files))


def test_a_backup_is_named_by_its_moment_and_the_newest_is_meant(tmp_path: Path) -> None:
    names = [put(tmp_path, moment).name for moment in (1_700_000_000, 1_700_000_000, 1_600_000_000)]
    assert names == ["20231114T221320Z", "20231114T221321Z", "20200913T122640Z"]
    assert shelf.newest(tmp_path).name == names[1]
    assert shelf.newest(tmp_path / names[2]).name == names[2]


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    backup = put(tmp_path)
    told = manifest.read(backup)
    assert told.size == len("GPUGLASS_GRAFANA=no\n") + len("samples")
    assert told.size_of("storage/raw") == len("samples")
    assert (told.machine, told.profile, told.stores) == ("lab", "single", ("raw",))
    check_whole(backup, told)


def truncate(backup: Path) -> None:
    (backup / "storage/raw/data/part").write_bytes(b"samp")


def change(backup: Path) -> None:
    (backup / "storage/raw/data/part").write_bytes(b"sampled")


def lose(backup: Path) -> None:
    (backup / "settings/gpuglass.env").unlink()


def add(backup: Path) -> None:
    (backup / "settings/more").write_text("")


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (truncate, "has 4 bytes instead of 7"),
        (change, "its content has changed"),
        (lose, "missing"),
        (add, "does not belong there"),
    ],
)
def test_damage_is_found(tmp_path: Path, harm: Callable[[Path], None], told: str) -> None:
    backup = put(tmp_path)
    harm(backup)
    with pytest.raises(BackupError, match=f"^damaged: .*{told}; take another backup$"):
        check_whole(backup, manifest.read(backup))


def edit(backup: Path, **changes: Any) -> None:
    path = backup / manifest.FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format": "x"}'])
def test_a_broken_manifest_is_told(tmp_path: Path, text: str) -> None:
    backup = put(tmp_path)
    (backup / manifest.FILE).write_text(text)
    with pytest.raises(BackupError, match="damaged"):
        manifest.read(backup)


@pytest.mark.parametrize(
    ("changes", "tiered", "told"),
    [
        ({"format": 99, "gpuglass": "9.0"}, False, "made by gpuglass 9.0, whose backups"),
        ({"gpuglass": "99.0.0"}, False, "made by gpuglass 99.0.0, and .* is here"),
        ({"victoriametrics": "v1.153.0"}, False, "made by VictoriaMetrics v1.153.0, and v1.152.0"),
        ({"stores": ["raw", "2m"]}, False, "manifest.json: damaged"),
        ({}, True, "of single storage, and this installation's is tiered"),
    ],
)
def test_backups_of_others_are_refused(
    tmp_path: Path, changes: dict[str, Any], tiered: bool, told: str
) -> None:
    backup = put(tmp_path / "shelf")
    edit(backup, **changes)
    data = tmp_path / "data"
    data.mkdir()
    with pytest.raises(BackupError, match=told):
        restorer(tmp_path, tiered).restore(backup, replace=True)
    assert list(data.iterdir()) == []


def restorer(folder: Path, tiered: bool = False) -> Restorer:
    """One whose vmrestore copies; it says that it is v1.152.0."""
    program = folder / "vmrestore"
    program.write_text(
        "#!/bin/sh\n"
        '[ "$1" != --version ] || { echo vmrestore-tags-v1.152.0-0-gabc; exit; }\n'
        "for flag; do case $flag in -src=fs://*) src=${flag#-src=fs://} ;;"
        " -storageDataPath=*) dst=${flag#*=} ;; esac; done\n"
        'cp -R "$src/." "$dst"; : >"$dst/flock.lock"\n'
    )
    program.chmod(0o755)
    return Restorer(Layout(folder / "clone", folder / "data", tiered), Tool(str(program), "-"))


def test_a_full_disk_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = put(tmp_path / "shelf")
    (tmp_path / "data").mkdir()
    usage = shutil.disk_usage(tmp_path)._replace(free=10_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(BackupError, match="10 MB are free, 68 MB are needed"):
        restorer(tmp_path).restore(backup, replace=False)
    assert not (tmp_path / "data/victoria-metrics/data").exists()
    monkeypatch.undo()
    (tmp_path / "clone").mkdir()
    restorer(tmp_path).restore(backup, replace=False)
    assert (tmp_path / "data/victoria-metrics/data/part").read_bytes() == b"samples"
    assert (tmp_path / "clone/gpuglass.env").exists()


def test_a_folder_of_something_else_is_no_shelf(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("")
    with pytest.raises(BackupError, match="not empty"), Shelf(tmp_path).claimed():
        pass
    with pytest.raises(BackupError, match="no backup of gpuglass"):
        shelf.newest(tmp_path)
    # A disk of its own has this, and is empty nevertheless.
    (tmp_path / "letter").rename(tmp_path / "lost+found")
    with Shelf(tmp_path).claimed():
        pass


def test_a_database_is_copied_between_two_changes(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    database.execute("create table t (x)")
    database.execute("insert into t values (1)")
    database.execute("begin immediate")
    database.execute("insert into t values (2)")
    sqlite.copy(tmp_path / "a.db", tmp_path / "b.db")
    database.execute("rollback")
    database.close()
    copy = sqlite3.connect(tmp_path / "b.db")
    assert copy.execute("select x from t").fetchall() == [(1,)]
    copy.close()
    (tmp_path / "a.db").write_bytes(b"no database" * 1000)
    with pytest.raises(OSError, match="not a database"):
        sqlite.copy(tmp_path / "a.db", tmp_path / "c.db")
