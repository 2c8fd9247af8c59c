"""Which Grafana components.sh takes. What an install does with it: test_single_node.py."""

import hashlib
import subprocess
import tarfile
from pathlib import Path

import pytest
from tests.e2e.components import ARCHITECTURE, Case, write_program

ARCHIVE = f"grafana_12.4.1_77_linux_{ARCHITECTURE}.tar.gz"
CORE, BUNDLED = "public/app/plugins/datasource", "data/plugins-bundled"


def home(folder: Path, version: str, *, plugins: str = CORE) -> Path:
    """A stand-in of an unpacked Grafana, which prints what it is told; its program's path."""
    for name in ("conf/defaults.ini", "public/build/app.js", f"{plugins}/prometheus/plugin.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    text = f'#!/bin/sh\n[ "$*" != "server -v" ] || exec echo "Version {version} (1)"\necho $*\n'
    return write_program(folder / "bin/grafana", text.encode())


def release(case: Case, *, checksum: str = "") -> None:
    home(case.folder / "grafana-12.4.1", "12.4.1")
    folder = case.releases / "12.4.1"
    folder.mkdir(parents=True)
    with tarfile.open(folder / ARCHIVE, "w:gz") as tar:
        tar.add(case.folder / "grafana-12.4.1", "grafana-12.4.1")
    checksum = checksum or hashlib.sha256((folder / ARCHIVE).read_bytes()).hexdigest()
    case.checksums.write_text(f"# pinned\n{checksum}  {ARCHIVE}\n")


def link(case: Case, program: Path) -> None:
    case.path.mkdir(exist_ok=True)
    (case.path / program.name).symlink_to(program)


def started(case: Case) -> str:
    """What the program is told by its starter."""
    command = [str(case.dest / "bin/grafana"), "--config=x"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_one_on_path_is_started_in_its_home(case: Case) -> None:
    link(case, home(case.folder / "home", "9.3.0"))
    assert case.run("grafana") == (0, f"grafana: 9.3.0 from PATH ({case.path}/grafana)\n")
    assert started(case) == f"server --homepath={case.folder}/home --config=x"


def test_one_that_is_not_on_path_any_more_is_kept(case: Case) -> None:
    link(case, home(case.folder / "home", "9.3.0"))
    took = case.run("grafana")
    case.environment["PATH"] = case.environment["PATH"].replace(str(case.path), "/nonexistent")
    assert case.run("grafana") == took
    (case.path / "grafana").unlink()
    assert case.run("grafana")[0] == 1
    assert not (case.dest / "bin/grafana").exists()


def test_a_data_source_that_lies_beside_it_is_found(case: Case) -> None:
    link(case, home(case.folder / "home", "13.2.3", plugins=BUNDLED))
    assert case.run("grafana")[0] == 0


def test_one_without_its_data_source_is_refused(case: Case) -> None:
    link(case, home(case.folder / "home", "13.2.3", plugins="elsewhere"))
    code, output = case.run("grafana")
    assert (code, "has no data source for Prometheus" in output) == (1, True)


@pytest.mark.parametrize("version", ["8.5.27", "9.2.20"])
def test_one_that_is_too_old_is_refused(case: Case, version: str) -> None:
    link(case, home(case.folder / "home", version))
    code, output = case.run("grafana")
    assert (code, f"is {version}, and 9.3 is the oldest that will do" in output) == (1, True)
    assert output.count("error: ") == 1
    assert not (case.dest / "bin/grafana").exists()


def test_a_program_without_a_home_is_passed_over(case: Case) -> None:
    write_program(case.path / "grafana", b"#!/bin/sh\n")
    release(case)
    code, output = case.run("grafana")
    assert (code, "has no folder with conf/ and public/" in output) == (0, True)
    assert "grafana: 12.4.1 from the official release" in output


def test_the_release_is_unpacked_once(case: Case) -> None:
    release(case)
    assert case.run("grafana")[0] == 0
    (case.releases / "12.4.1" / ARCHIVE).unlink()
    assert case.run("grafana") == (0, "grafana: 12.4.1 from the official release\n")
    assert started(case) == f"server --homepath={case.dest}/grafana-12.4.1 --config=x"
    assert not [path for path in case.dest.iterdir() if path.name.startswith(".")]


def test_a_kept_archive_is_looked_at_before_it_is_used(case: Case) -> None:
    release(case)
    case.environment["GPUGLASS_COMPONENTS_CACHE"] = str(case.folder / "cache")
    assert case.run("grafana")[0] == 0
    (case.releases / "12.4.1" / ARCHIVE).unlink()
    kept = case.folder / "cache" / ARCHITECTURE / ARCHIVE
    subprocess.run(["rm", "-r", case.dest], check=True)
    assert case.run("grafana")[0] == 0
    subprocess.run(["rm", "-r", case.dest], check=True)
    kept.write_bytes(b"broken")
    assert case.run("grafana")[0] == 1


def test_a_wrong_checksum_is_refused(case: Case) -> None:
    release(case, checksum="0" * 64)
    code, output = case.run("grafana")
    assert (code, "does not have the pinned checksum, refused" in output) == (1, True)
    assert not (case.dest / "bin/grafana").exists()
    assert not list(case.dest.glob("grafana-*"))
