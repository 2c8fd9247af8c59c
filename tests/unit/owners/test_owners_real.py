"""Processes of the machine that runs the tests."""

import contextlib
import os
import pwd
import re
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.owners.machine import look

from gpuglass.owners import OwnerPaths, Process, Resolver

NOBODY = 65534
ID = "4d1626e6659f569c36e5312ff1a3217014a65fd830b08382ccc45df2460efb34"
# Any hierarchy in which a group may be made: version 2, then version 1.
HIERARCHIES = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/freezer")

as_root = pytest.mark.skipif(os.getuid() != 0, reason="needs root")
# Without these a test of namespaces cannot be run.
apart = pytest.mark.skipif(
    os.getuid() != 0
    or not shutil.which("unshare")
    or subprocess.run(["unshare", "-m", "-p", "-f", "true"], capture_output=True).returncode != 0,
    reason="namespaces cannot be made",
)


@contextlib.contextmanager
def sleeping(
    user: int | None = None, environ: dict[str, str] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a process that does nothing until it is ended."""
    process = subprocess.Popen(["sleep", "600"], user=user, env=environ)
    deadline = time.monotonic() + 30
    # Popen returns in the middle of the exec.
    while Path(f"/proc/{process.pid}/comm").read_text() != "sleep\n":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def resolve(pid: int) -> Process:
    found = look(Resolver(OwnerPaths(), commands=True), {pid: ()})[pid]
    assert found is not None
    return found


def test_ones_own_process() -> None:
    with sleeping() as process:
        found = resolve(process.pid)
    assert (found.pid, found.name, found.command) == (process.pid, "sleep", "sleep 600")
    assert found.owner.user == pwd.getpwuid(os.getuid()).pw_name
    assert found.owner.job_id == found.owner.pod == ""
    assert found.start_time == pytest.approx(time.time(), abs=60)


def test_start_times_are_those_of_the_machine() -> None:
    before = time.time()
    with sleeping() as process:
        after = time.time()
        assert before - 0.1 <= resolve(process.pid).start_time <= after + 0.1


@as_root
@pytest.mark.parametrize("uid", [NOBODY, 3_999_999_999])
def test_another_users_process(uid: int) -> None:
    with sleeping(uid) as process:
        user = resolve(process.pid).owner.user
    assert user == (pwd.getpwuid(uid).pw_name if uid == NOBODY else str(uid))


def test_a_process_that_has_ended_is_none() -> None:
    with sleeping() as process:
        resolver = Resolver(OwnerPaths())
        assert look(resolver, {process.pid: ()})[process.pid]
    assert look(Resolver(OwnerPaths()), {process.pid: ()}) == {process.pid: None}


@contextlib.contextmanager
def group(path: str) -> Iterator[Path]:
    """Make a control group, in whichever hierarchy that is permitted."""
    for root in HIERARCHIES:
        folder = Path(root, path)
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True)
            if (folder / "cgroup.procs").exists():
                break
            folder.rmdir()
    else:
        pytest.skip("control groups cannot be made")
    try:
        yield folder
    finally:
        while folder != Path(root):
            with contextlib.suppress(OSError):
                folder.rmdir()
            folder = folder.parent


def enter(folder: Path, pid: int) -> None:
    try:
        (folder / "cgroup.procs").write_text(str(pid))
    except OSError as error:
        pytest.skip(f"processes cannot be put into control groups: {error.strerror}")


@as_root
def test_a_real_group_of_a_container() -> None:
    with group(f"gpuglass-test.slice/docker-{ID}.scope") as folder, sleeping() as process:
        enter(folder, process.pid)
        owner = resolve(process.pid).owner
        process.kill()
        process.wait()
    assert owner.container == ID[:12]


@as_root
def test_a_real_group_and_environment_of_a_slurm_job() -> None:
    sluid = "s791M7XSAQ2600"
    claims = {"SLURM_JOB_ID": "71", "SLURM_JOB_UID": str(NOBODY), "SLURM_JOB_SLUID": sluid}
    path = f"gpuglass-test.slice/slurmstepd.scope/{sluid}"
    with group(path) as folder, sleeping(NOBODY, claims) as process:
        enter(folder, process.pid)
        owner = resolve(process.pid).owner
        process.kill()
        process.wait()
    assert (owner.user, owner.job_id) == (pwd.getpwuid(NOBODY).pw_name, "71")


# Before Linux 5.8 all mounts of one pid namespace's /proc share their options.
own_options = pytest.mark.skipif(
    tuple(map(int, re.findall(r"\d+", os.uname().release)[:2])) < (5, 8),
    reason="it would change the machine's /proc",
)

# Runs in namespaces of its own; argument 1 is the pid of a process outside of them.
SCRIPT = """
import os, subprocess, sys, time
import pwd
from gpuglass.owners import OwnerPaths, Resolver

def look(resolver, *pids):
    resolver.look_up({pid: () for pid in pids})
    resolver.refresh()
    return resolver.known(pids)

def sleep(seconds):
    process = subprocess.Popen(["sleep", seconds])
    time.sleep(0.2)  # it returns in the middle of the exec
    return process

outside = int(sys.argv[1])
"""


def run_apart(arguments: list[str], script: str, pid: int = 0) -> str:
    """Run a script in namespaces of its own, and return what it prints."""
    command = ["unshare", *arguments, sys.executable, "-c", SCRIPT + textwrap.dedent(script)]
    result = subprocess.run([*command, str(pid)], capture_output=True, text=True, timeout=120)
    if "Operation not permitted" in result.stderr:
        pytest.skip(result.stderr.strip().splitlines()[-1])
    assert result.returncode == 0, result.stderr
    return result.stdout


@apart
@own_options
@pytest.mark.parametrize("hidepid", ["1", "2"])
def test_a_proc_that_hides_others(hidepid: str) -> None:
    script = f"""
        mount = "mount -t proc -o hidepid={hidepid} proc /proc"
        subprocess.run(mount.split(), check=True)
        resolver = Resolver(OwnerPaths())
        os.setgroups([])
        os.setgid({NOBODY})
        os.setuid({NOBODY})
        own = sleep("600")
        found = look(resolver, own.pid, outside)
        own.kill()
        print(found[own.pid].owner.user == pwd.getpwuid({NOBODY}).pw_name, found[outside])
        print(resolver.capabilities()["process"])
    """
    with sleeping() as process:
        output = run_apart(["-m"], script, process.pid)
    assert output.split() == ["True", "None", "hidepid"]


@apart
def test_a_driver_that_tells_pids_of_another_namespace() -> None:
    script = """
        resolver = Resolver(OwnerPaths())
        print(look(resolver, outside, os.getpid()) == {outside: None, os.getpid(): None})
        print(resolver.capabilities()["process"])
    """
    with sleeping() as process:
        output = run_apart(["-m", "-p", "-f", "--mount-proc"], script, process.pid + 10**7)
    assert output.split() == ["True", "foreign_pid_namespace"]


@apart
def test_the_hosts_proc_in_a_container_shows_the_hosts_processes(tmp_path: Path) -> None:
    mount = f'mount --rbind /proc {tmp_path} && exec unshare -p -f --mount-proc "$0" "$@"'
    script = f"""
        from pathlib import Path
        resolver = Resolver(OwnerPaths(procfs=Path({str(tmp_path)!r})))
        found = look(resolver, outside, 10**7)
        print(found[outside].name, found[10**7], repr(resolver.capabilities()["process"]))
    """
    with sleeping() as process:
        output = run_apart(["-m", "sh", "-c", mount], script, process.pid)
    assert output.split() == ["sleep", "None", "''"]


@apart
def test_a_pid_that_is_really_used_again() -> None:
    script = """
        import gpuglass.owners.resolver as module
        module._CHECK_SECONDS = 0.0
        resolver = Resolver(OwnerPaths(), commands=True)
        first = sleep("600")
        before = look(resolver, first.pid)[first.pid]
        first.kill()
        first.wait()
        with open("/proc/sys/kernel/ns_last_pid", "w") as file:
            file.write(str(first.pid - 1))
        second = sleep("601")
        after = look(resolver, first.pid)[first.pid]
        second.kill()
        print(second.pid == first.pid, before.command == "sleep 600", after.command == "sleep 601")
        print(after.start_time > before.start_time)
    """
    output = run_apart(["-m", "-p", "-f", "--mount-proc"], script)
    assert output.split() == ["True"] * 4
