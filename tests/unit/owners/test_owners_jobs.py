import logging
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.owners.machine import Machine

from gpuglass.owners.jobs import JobFiles, JobHolder, parse

GPU = "GPU-0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
MIG = "MIG-265a219d-a49f-578a-825d-222c72699c16"


def test_jobstats_tells_the_job_and_its_user(machine: Machine) -> None:
    machine.hold("0", "45916256 262563\n")
    machine.hold(MIG, "45916257 262563")
    assert machine.holders() == {
        "0": (JobHolder("45916256", 262563),),
        MIG: (JobHolder("45916257", 262563),),
    }


def test_dcgm_exporters_folder_has_one_job_a_line(machine: Machine) -> None:
    machine.hold("0", "81\n82\n\n81\n")
    machine.hold("1.2", "83\n")
    machine.hold("2", "")
    assert machine.holders() == {
        "0": (JobHolder("81", None), JobHolder("82", None)),
        "1.2": (JobHolder("83", None),),
    }


def test_both_folders_are_united(machine: Machine, tmp_path: Path) -> None:
    machine.hold("0", "81 1000")
    other = tmp_path / "hpc"
    other.mkdir()
    (other / "0").write_text("81\n")
    (other / "1").write_text("82\n")
    assert JobFiles((machine.jobs, other)).read() == {
        "0": (JobHolder("81", 1000), JobHolder("81", None)),
        "1": (JobHolder("82", None),),
    }


def test_files_that_are_not_named_after_a_gpu_are_none(machine: Machine) -> None:
    for name in ("Nodeviceswerefound", ".0.swp", "0~", "1.2.3", "GPU", "-1"):
        machine.hold(name, "81 1000")
    assert machine.holders() == {}


def test_a_change_is_seen(machine: Machine) -> None:
    files = JobFiles((machine.jobs,))
    assert (files.read(), files.problem) == ({}, "")  # the folder comes with the first job
    machine.hold("0", "81 1000")
    assert files.read() == {"0": (JobHolder("81", 1000),)}
    machine.hold("0", "8200 1000")
    assert files.read() == {"0": (JobHolder("8200", 1000),)}
    (machine.jobs / "0").unlink()
    assert files.read() == {}


def test_an_unchanged_file_is_not_read_again(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.hold("0", "81 1000")
    os.utime(machine.jobs / "0", (1e9, 1e9))
    files = JobFiles((machine.jobs,))
    first = files.read()
    monkeypatch.setattr("gpuglass.owners.jobs.parse", None)
    assert files.read() == first


def test_a_bad_line_is_left_out_and_named_once(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    machine.hold("0", "81 1000\nno such device found\n")
    files = JobFiles((machine.jobs,))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert files.read() == {"0": (JobHolder("81", 1000),)}
            assert files.problem == "bad_job_file"
    assert [record.getMessage() for record in caplog.records] == [
        f"{machine.jobs / '0'}: line 2 is not a job id, or a job id and a uid"
    ]
    machine.hold("0", "81 1000\n")
    files.read()
    assert files.problem == ""


def test_a_pipe_is_not_waited_for(machine: Machine) -> None:
    machine.jobs.mkdir()
    os.mkfifo(machine.jobs / "0")
    files = JobFiles((machine.jobs,))
    assert files.read() == {}
    assert files.problem == "bad_job_file"


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_a_problem(machine: Machine) -> None:
    machine.hold("0", "81 1000")
    machine.jobs.chmod(0)
    files = JobFiles((machine.jobs,))
    assert files.read() == {}
    assert files.problem == "job_folder_unreadable"
    machine.jobs.chmod(0o755)


@given(st.binary(max_size=400))
def test_no_content_is_an_error(content: bytes) -> None:
    holders, bad = parse(content)
    assert len(set(holders)) == len(holders)
    assert 0 <= bad <= content.count(b"\n") + 1


jobs = st.from_regex(r"\A[0-9]{1,10}(_[0-9]{1,4})?\Z")


@given(st.lists(st.tuples(jobs, st.none() | st.integers(0, 2**32 - 1)), unique=True))
def test_what_is_written_is_read(held: list[tuple[str, int | None]]) -> None:
    lines = [job if uid is None else f"{job} {uid}" for job, uid in held]
    holders, bad = parse("\n".join(lines).encode())
    assert list(holders) == [JobHolder(*pair) for pair in held]
    assert bad == 0
