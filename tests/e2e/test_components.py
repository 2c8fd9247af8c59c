"""components.sh: which program is taken from where, and which is refused."""

import hashlib
import io
import subprocess
import tarfile

import pytest
from tests.e2e.clone import REPOSITORY
from tests.e2e.components import ARCHITECTURE, ARCHIVE, SCRIPT, Case, write_program


def flags(name: str = "victoria-metrics") -> list[str]:
    text = (REPOSITORY / f"deploy/native/programs/{name}.conf").read_text()
    words = [line.strip().strip('"').partition("=")[0] for line in text.splitlines()]
    return [word for word in words if word.startswith("-")]


def program(known: list[str], mark: str = "") -> bytes:
    """A stand-in that knows these flags."""
    lines = "\n".join(f"  {flag} value\n    \tHelp of it" for flag in known)
    return f"#!/bin/sh\n# {mark}\ncat <<'HELP'\n{lines}\nHELP\nexit 2\n".encode()


def test_flags_are_read_from_the_supervisor_lines() -> None:
    assert "-storageDataPath" in flags()
    assert "-dedup.minScrapeInterval" in flags()


@pytest.mark.parametrize("name", ["victoria-metrics", "victoria-metrics-prod"])
def test_path_comes_first(case: Case, name: str) -> None:
    found = write_program(case.path / name, program(flags()))
    case.release(program(flags()))
    code, output = case.run()
    assert (code, output) == (0, f"victoria-metrics: from PATH ({found})\n")
    assert case.installed.resolve() == found


def test_program_that_lacks_a_flag_is_refused_and_the_next_source_taken(case: Case) -> None:
    lacking = [flag for flag in flags() if flag != "-dedup.minScrapeInterval"]
    # A longer flag of the same beginning is another flag.
    write_program(case.path / "victoria-metrics", program([*lacking, "-dedup.minScrapeIntervals"]))
    case.release(program(flags(), "released"))
    code, output = case.run()
    assert code == 0, output
    assert "does not know -dedup.minScrapeInterval\n" in output
    assert "from the official release" in output
    assert b"released" in case.installed.read_bytes()


def test_second_run_keeps_what_is_there(case: Case) -> None:
    case.release(program(flags()))
    case.run()
    assert case.run() == (0, "victoria-metrics: already here\n")


def test_present_program_that_does_not_know_a_new_flag_is_replaced(case: Case) -> None:
    write_program(case.installed, program(flags()[1:]))
    case.release(program(flags(), "newer"))
    code, output = case.run()
    assert code == 0, output
    assert b"newer" in case.installed.read_bytes()


def test_wrong_checksum_is_refused(case: Case) -> None:
    case.release(program(flags()), checksum="0" * 64)
    code, output = case.run()
    assert code == 1
    assert "does not have the pinned checksum, refused" in output
    assert not case.installed.exists()


def test_program_that_does_not_run_is_refused(case: Case) -> None:
    write_program(case.path / "victoria-metrics", b"\x7fELF of another machine")
    code, output = case.run()
    assert code == 1
    assert "does not run here" in output


def test_nothing_to_be_had_is_one_clear_line(case: Case) -> None:
    code, output = case.run()
    assert code == 1
    line = output.splitlines()[-1]
    assert line.startswith("components.sh: error: victoria-metrics cannot be had (")
    assert f"no release is pinned for {ARCHITECTURE}" in line
    assert "put a recent victoria-metrics on PATH" in line


def test_refused_network_is_told(case: Case) -> None:
    case.release(program(flags()))
    case.environment["GPUGLASS_RELEASE_URL"] = "http://127.0.0.1:9"
    code, output = case.run()
    assert code == 1
    assert f"{ARCHIVE} could not be downloaded" in output


def test_downloads_are_kept_in_the_cache(case: Case) -> None:
    case.environment["GPUGLASS_COMPONENTS_CACHE"] = str(case.folder / "cache")
    case.release(program(flags(), "kept"))
    case.run()
    case.installed.unlink()
    case.checksums.write_text("")
    code, output = case.run()
    assert (code, output) == (0, f"victoria-metrics: from the cache {case.folder / 'cache'}\n")
    assert b"kept" in case.installed.read_bytes()


def test_unknown_names_and_sources(case: Case) -> None:
    case.environment["GPUGLASS_COMPONENTS_SOURCES"] = "attic"
    assert "unknown source 'attic'" in case.run()[1]
    done = subprocess.run(
        [SCRIPT, case.dest, "prometheus"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "unknown program 'prometheus'" in done.stderr) == (1, True)
    assert subprocess.run([SCRIPT], capture_output=True, check=False).returncode == 2


def test_alertmanager_comes_with_its_checker_out_of_one_release(case: Case) -> None:
    folder = f"alertmanager-1.0.0.linux-{ARCHITECTURE}"
    known = flags("alertmanager")
    assert "--config.file" in known
    archive = case.releases / f"v1.0.0/{folder}.tar.gz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        for name, flags_of_it in (("alertmanager", known), ("amtool", ["--enable-feature"])):
            content = program(flags_of_it, name)
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
    checksum = hashlib.sha256(archive.read_bytes()).hexdigest()
    case.checksums.write_text(f"{checksum}  {folder}.tar.gz\n")
    case.environment["GPUGLASS_ALERTMANAGER_RELEASE_URL"] = case.environment["GPUGLASS_RELEASE_URL"]
    case.environment["GPUGLASS_RELEASE_URL"] = "http://127.0.0.1:9"
    code, output = case.run("alertmanager", "amtool")
    assert code == 0, output
    assert output.count(f"from the official release ({folder})") == 2
    assert b"amtool" in (case.dest / "bin/amtool").read_bytes()


def test_programs_for_backups_are_of_the_age_of_the_storage(case: Case) -> None:
    known = ["-storageDataPath", "-snapshotName", "-dst", "-origin", "-httpListenAddr"]
    write_program(case.path / "vmbackup", program([*known, "-loggerFormat"]))
    code, output = case.run("vmbackup")
    assert code == 1
    assert "does not know -fs.maxConcurrency" in output
    write_program(case.path / "vmbackup", program([*known, "-loggerFormat", "-fs.maxConcurrency"]))
    code, output = case.run("vmbackup")
    assert code == 0, output


def test_alertmanager_of_the_system_is_taken_by_its_name_there(case: Case) -> None:
    known = flags("alertmanager")
    found = write_program(case.path / "prometheus-alertmanager", program(known))
    code, output = case.run("alertmanager")
    assert (code, output) == (0, f"alertmanager: from PATH ({found})\n")
