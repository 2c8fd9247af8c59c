import re
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.unit.owners.machine import UID, Machine, look

from gpuglass.owners import Resolver, cgroup

SLURM = Path(__file__).parents[2] / "fixtures/owners/slurm"
CLUSTERS = sorted(folder.name for folder in SLURM.iterdir())
SLUID = "s791M7XSAQ2600"
SCOPE = f"0::/system.slice/vm1_slurmstepd.scope/{SLUID}"
STEP = f"{SCOPE}/step_0/user/task_0"
DAEMON = f"{SCOPE}/step_0/slurm"
TITLE = b"slurmstepd: [71.0]     \0\0"
GPU = "GPU-0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"


class Captured(NamedTuple):
    """A process on a node of a real cluster."""

    pid: int
    command: str
    cgroup: str
    environ: bytes
    gpus: tuple[str, ...]


def captured(cluster: str) -> list[Captured]:
    """What was seen of the processes: their command, cgroups and variables."""
    found: list[Captured] = []
    for block in (SLURM / cluster / "processes.txt").read_text().split("## pid ")[1:]:
        head, *lines = block.splitlines()
        pid, _, command = head.partition(" ")
        command = re.sub(r"\s+ppid=\d+$", "", command)
        paths = [line for line in lines if not line.startswith("SLURM_")]
        variables = [line for line in lines if line.startswith("SLURM_")]
        gpus = next((line for line in variables if line.startswith("SLURM_JOB_GPUS=")), "=")
        found.append(
            Captured(
                int(pid),
                command,
                "\n".join(paths),
                "\0".join(variables).encode(),
                tuple(filter(None, gpus.partition("=")[2].split(","))),
            )
        )
    return found


def jobs_of(cluster: str) -> dict[int, str]:
    """What ``scontrol listpids`` said on that node: the job by pid."""
    lines = (SLURM / cluster / "listpids.txt").read_text().splitlines()[1:]
    return {int(line.split()[0]): line.split()[1] for line in lines}


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_real_paths_give_the_job_that_slurm_gives(cluster: str) -> None:
    jobs = jobs_of(cluster)
    seen = [process for process in captured(cluster) if process.pid in jobs]
    assert len({jobs[process.pid] for process in seen}) >= 3
    for process in seen:
        group = cgroup.parse(process.cgroup)
        if cluster.endswith("sluid"):
            assert f"SLURM_JOB_SLUID={group.sluid}".encode() in process.environ or (
                not process.environ
            )
            assert group.job_id == ""
        else:
            assert (group.job_id, group.sluid) == (jobs[process.pid], "")


def test_a_real_node_by_its_daemons(machine: Machine) -> None:
    processes = captured("26.05-v2-sluid")
    jobs = jobs_of("26.05-v2-sluid")
    daemons = {
        process.cgroup.removesuffix("/slurm"): process.pid
        for process in processes
        if process.cgroup.endswith("/slurm")
    }
    for process in processes:
        step = process.cgroup.partition("/user/")[0]
        parent = daemons.get(step, 1)
        machine.add(process.pid, process.cgroup, parent=parent, command=process.command.encode())
    users = {process.pid: process for process in processes if process.environ}
    resolver = Resolver(machine.paths)
    found = look(resolver, dict.fromkeys(users, ()))
    assert {pid: it and it.owner.job_id for pid, it in found.items()} == {
        pid: jobs[pid] for pid in users
    }
    assert resolver.capabilities()["slurm"] == ""


def test_a_real_node_by_its_environments(machine: Machine) -> None:
    processes = [process for process in captured("26.05-v2-sluid") if process.environ]
    jobs = jobs_of("26.05-v2-sluid")
    for process in processes:
        machine.add(process.pid, process.cgroup, environ=process.environ)
        assert machine.process(process.pid).owner.job_id == jobs[process.pid]


def test_a_real_node_by_its_job_files(machine: Machine) -> None:
    processes = [process for process in captured("26.05-v2-sluid") if process.gpus]
    jobs = jobs_of("26.05-v2-sluid")
    for process in processes:
        machine.add(process.pid, process.cgroup)
        for gpu in process.gpus:
            machine.hold(gpu, f"{jobs[process.pid]} {UID}")
    for process in processes:
        assert machine.process(process.pid, *process.gpus).owner.job_id == jobs[process.pid]


def environ(**variables: object) -> bytes:
    return b"".join(f"{name}={value}\0".encode() for name, value in variables.items())


def test_the_sluid_is_the_job_where_nothing_else_tells(machine: Machine) -> None:
    machine.add(7, STEP)
    assert machine.process(7, "0").owner.job_id == SLUID
    assert machine.reason("slurm", 7, "0") == "sluid_without_job_file"
    machine.hold("1", f"71 {UID}")
    machine.hold("0", f"72 {UID + 1}")
    assert machine.process(7, "0").owner.job_id == SLUID
    assert machine.reason("slurm", 7, "0") == "sluid_not_in_job_file"


@pytest.mark.parametrize("content", [f"71 {UID}", "71\n", f"71 {UID}\n72 {UID + 1}\n"])
@pytest.mark.parametrize("name", ["3", GPU, "3.2"])
def test_the_job_file_of_its_gpu_tells_the_job(machine: Machine, name: str, content: str) -> None:
    machine.add(7, STEP)
    machine.hold(name, content)
    assert machine.process(7, "3", GPU, "3.2").owner.job_id == "71"
    assert machine.reason("slurm", 7, "3", GPU, "3.2") == ""


def test_the_environment_chooses_between_jobs_on_a_shared_gpu(machine: Machine) -> None:
    machine.add(7, STEP)
    machine.hold("0", "71\n72\n")
    assert machine.process(7, "0").owner.job_id == SLUID
    assert machine.reason("slurm", 7, "0") == "several_jobs_in_job_file"
    machine.add(7, STEP, environ=environ(SLURM_JOB_ID=72, SLURM_JOB_UID=UID))
    assert machine.process(7, "0").owner.job_id == "72"
    machine.add(7, STEP, environ=environ(SLURM_JOB_ID=73, SLURM_JOB_UID=UID))
    assert machine.process(7, "0").owner.job_id == SLUID


@pytest.mark.parametrize(
    ("variables", "job_id"),
    [
        ({"SLURM_JOB_ID": 71, "SLURM_JOB_UID": UID}, "71"),
        ({"SLURM_JOB_ID": 71, "SLURM_JOB_SLUID": SLUID}, "71"),
        ({"SLURM_JOB_ID": 71, "SLURM_JOB_SLUID": SLUID, "SLURM_JOB_UID": UID}, "71"),
        ({"SLURM_JOB_ID": 71}, SLUID),
        ({"SLURM_JOB_ID": 71, "SLURM_JOB_UID": UID + 1}, SLUID),
        ({"SLURM_JOB_ID": 71, "SLURM_JOB_UID": UID, "SLURM_JOB_SLUID": "s0"}, SLUID),
        ({"SLURM_JOB_ID": "71;", "SLURM_JOB_UID": UID}, SLUID),
        ({"SLURM_JOB_ID": "", "SLURM_JOB_UID": UID}, SLUID),
    ],
)
def test_an_environment_has_to_fit(
    machine: Machine, variables: dict[str, object], job_id: str
) -> None:
    machine.add(7, STEP, environ=environ(**variables))
    assert machine.process(7).owner.job_id == job_id


def test_an_environment_is_not_believed_outside_slurm(machine: Machine) -> None:
    machine.add(7, environ=environ(SLURM_JOB_ID=71, SLURM_JOB_UID=UID))
    assert machine.process(7).owner.job_id == ""


def test_an_ancestor_in_the_same_job_tells_too(machine: Machine) -> None:
    other = STEP.replace(SLUID, "s791M7XSAQJS00")
    machine.add(5, STEP, environ=environ(SLURM_JOB_ID=71, SLURM_JOB_UID=UID))
    machine.add(6, STEP, parent=5, environ=b"overwritten by a title")
    machine.add(7, STEP, parent=6)
    assert machine.process(7).owner.job_id == "71"
    machine.add(6, other, parent=5)
    assert machine.process(7).owner.job_id == SLUID


def test_ancestors_that_never_end_do_end(machine: Machine) -> None:
    machine.add(6, STEP, parent=7)
    machine.add(7, STEP, parent=6)
    assert machine.process(7).owner.job_id == SLUID


def test_the_steps_daemon_tells_the_job(machine: Machine) -> None:
    machine.add(5, DAEMON, command=TITLE)
    machine.add(6, STEP, parent=5)
    machine.add(7, STEP, parent=6)
    machine.hold("0", f"99 {UID}")
    assert machine.process(7, "0").owner.job_id == "71"


def test_the_daemon_tells_the_job_of_orphans_too(machine: Machine) -> None:
    machine.add(5, DAEMON, command=TITLE)
    machine.add(7, STEP, parent=5)
    machine.add(8, STEP, parent=1)
    resolver = Resolver(machine.paths)
    look(resolver, {7: ()})
    found = look(resolver, {7: (), 8: ()})
    assert {pid: it and it.owner.job_id for pid, it in found.items()} == {7: "71", 8: "71"}
    assert resolver.capabilities()["slurm"] == ""


def test_a_title_counts_only_in_the_daemons_own_group(machine: Machine) -> None:
    machine.add(5, STEP, name="slurmstepd", command=TITLE)
    machine.add(7, STEP, parent=5)
    assert machine.process(7).owner.job_id == SLUID


def test_a_gpu_that_comes_later_is_looked_up(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpuglass.owners.resolver._CHECK_SECONDS", 0.0)
    machine.add(7, STEP)
    machine.hold("1", f"71 {UID}")
    resolver = Resolver(machine.paths)
    first = look(resolver, {7: ("0",)})[7]
    second = look(resolver, {7: ("1",)})[7]
    assert first is not None and first.owner.job_id == SLUID
    assert second is not None and second.owner.job_id == "71"
    assert resolver.capabilities()["slurm"] == ""
    assert [holder.job_id for holder in resolver.job_holders()["1"]] == ["71"]
