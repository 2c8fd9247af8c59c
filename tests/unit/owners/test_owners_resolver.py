import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.owners.machine import UID, Machine, look, stat

from gpuglass.owners import Owner, Process, Resolver, resolver
from gpuglass.owners.process import Processes, parse_status

ID = "4d1626e6659f569c36e5312ff1a3217014a65fd830b08382ccc45df2460efb34"
POD = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
IN_POD = f"0::/kubepods/burstable/pod{POD}/{ID}"


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check each process at each pass."""
    monkeypatch.setattr(resolver, "_CHECK_SECONDS", 0.0)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def user_of(process: Process | None) -> str:
    return process.owner.user if process else ""


def test_a_process_without_container_has_a_user(machine: Machine) -> None:
    machine.add(7)
    assert machine.process(7).owner == Owner(user="alice")
    assert machine.reason("process", 7) == ""


def test_a_container_without_names_is_its_id(machine: Machine) -> None:
    machine.add(7, f"0::/system.slice/docker-{ID}.scope")
    assert machine.process(7).owner == Owner("alice", container=ID[:12])
    assert machine.reason("pod_names", 7) == ""


def test_a_machine_is_its_name(machine: Machine) -> None:
    machine.add(7, "0::/lxc.payload.a-rather-long-name/init.scope")
    assert machine.process(7).owner.container == "a-rather-long-name"


def test_a_pod_without_names_is_its_uid(machine: Machine) -> None:
    machine.add(7, IN_POD)
    assert machine.process(7).owner == Owner("alice", ID[:12], "", POD)
    assert machine.reason("pod_names", 7) == "no_log_folder"


def test_a_pod_with_names(machine: Machine) -> None:
    machine.add(7, IN_POD)
    machine.log_of(f"ml_trainer-0_{POD}", "init", "train")
    assert machine.process(7).owner == Owner("alice", ID[:12], "ml", "trainer-0")
    folder = machine.logs / "containers"
    folder.mkdir()
    (folder / f"trainer-0_ml_train-{ID}.log").touch()
    assert machine.process(7).owner == Owner("alice", "train", "ml", "trainer-0")
    assert machine.reason("pod_names", 7) == ""


@pytest.mark.parametrize("group", [f"kubepods/pod{POD}/{ID}", f"docker-{ID}.scope"])
def test_who_names_a_group_like_a_pods_container_is_not_in_the_pod(
    machine: Machine, group: str
) -> None:
    machine.add(7, f"0::/user.slice/user-1000.slice/user@1000.service/{group}")
    machine.log_of(f"ml_trainer-0_{POD}", "train")
    folder = machine.logs / "containers"
    folder.mkdir()
    (folder / f"trainer-0_ml_train-{ID}.log").touch()
    owner = machine.process(7).owner
    assert (owner.user, owner.container, owner.namespace) == ("alice", ID[:12], "")
    assert owner.pod in ("", POD)


def test_names_and_times(machine: Machine) -> None:
    machine.add(7, name="a) b (c", ticks=500)
    process = machine.process(7)
    assert (process.pid, process.name, process.command) == (7, "a) b (c", "")
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    assert process.start_time == pytest.approx(boot + 5, abs=1)


def test_command_lines_are_read_if_asked_for(machine: Machine) -> None:
    machine.add(7, command=b"python3\0train.py\0--name=\xc3\xa9\xff\0")
    machine.add(8, command=b"x" * 5000)
    found = look(Resolver(machine.paths, commands=True), {7: (), 8: ()})
    assert found[7] and found[7].command == "python3 train.py --name=é\\xff"
    assert found[8] and found[8].command == "x" * 256
    assert "command" not in _capabilities(machine, commands=False)
    assert _capabilities(machine, commands=True)["command"] == ""


def _capabilities(machine: Machine, commands: bool) -> dict[str, str]:
    resolver = Resolver(machine.paths, commands)
    look(resolver, {})
    return resolver.capabilities()


def test_a_pid_that_is_gone_is_none(machine: Machine) -> None:
    assert look(Resolver(machine.paths), {999: (), 0: (), -1: (), 2**40: ()}) == {
        999: None,
        0: None,
        -1: None,
        2**40: None,
    }


def test_a_pid_that_was_not_looked_at_is_left_out(machine: Machine) -> None:
    resolver = Resolver(machine.paths)
    resolver.look_up({7: ()})
    assert resolver.known([7, 8]) == {}
    assert resolver.capabilities() == {}


@pytest.mark.usefixtures("always")
def test_a_pid_that_is_used_again_is_another_process(machine: Machine) -> None:
    machine.add(7, f"0::/docker/{ID}", ticks=1000)
    resolver = Resolver(machine.paths)
    first = look(resolver, {7: ()})[7]
    machine.add(7, ticks=2000)
    second = look(resolver, {7: ()})[7]
    assert first and first.owner.container == ID[:12]
    assert second and second.owner.container == ""
    assert second.start_time == pytest.approx(first.start_time + 10, abs=1)


@pytest.mark.usefixtures("always")
def test_a_program_that_is_executed_is_read_anew(machine: Machine) -> None:
    machine.add(7, name="runc")
    resolver = Resolver(machine.paths)
    look(resolver, {7: ()})
    machine.add(7, f"0::/docker/{ID}", name="python3")
    process = look(resolver, {7: ()})[7]
    assert process and (process.name, process.owner.container) == ("python3", ID[:12])


@pytest.mark.usefixtures("always")
def test_a_process_that_becomes_another_user(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    passwd = machine.rootfs / "etc/passwd"
    passwd.write_text(passwd.read_text() + "bob:x:54321:100::/home/bob:/bin/sh\n")
    machine.add(7)
    resolver = Resolver(machine.paths)
    assert user_of(look(resolver, {7: ()})[7]) == "alice"
    monkeypatch.setattr(Processes, "uid", lambda self, pid: 54321)
    assert user_of(look(resolver, {7: ()})[7]) == "bob"


@pytest.mark.usefixtures("always")
def test_a_process_that_ends_becomes_none(machine: Machine) -> None:
    folder = machine.add(7)
    resolver = Resolver(machine.paths)
    assert look(resolver, {7: ()})[7]
    folder.rename(machine.procfs / "ended")
    assert look(resolver, {7: ()}) == {7: None}


def test_a_pid_that_changes_hands_during_the_read_is_none(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.add(7)

    def cgroup(self: Processes, pid: int) -> str:
        machine.add(pid, ticks=3000)
        return f"0::/docker/{ID}"

    monkeypatch.setattr(Processes, "cgroup", cgroup)
    assert look(Resolver(machine.paths), {7: ()}) == {7: None}


@pytest.mark.usefixtures("always")
def test_what_is_known_is_only_checked(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.add(7)
    resolver = Resolver(machine.paths)
    first = look(resolver, {7: ()})
    monkeypatch.setattr(Processes, "cgroup", None)
    assert look(resolver, {7: ()}) == first


def test_what_is_not_asked_for_is_forgotten(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.add(7)
    resolver = Resolver(machine.paths)
    assert look(resolver, {7: ()})[7]
    monkeypatch.setattr("gpuglass.owners.resolver._FORGET_SECONDS", -1.0)
    resolver.refresh()
    assert resolver.known([7]) == {}


@pytest.mark.usefixtures("always")
def test_many_processes_that_come_and_go_are_bounded(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "_MOST_PROCESSES", 5000)
    owners = Resolver(machine.paths)
    owners.look_up(dict.fromkeys(range(10, 6000), ("0",)))
    owners.refresh()
    assert len(owners.known(range(6000))) == 5000
    assert owners.capabilities()["process"] == "too_many_processes"
    monkeypatch.setattr(resolver, "_FORGET_SECONDS", -1.0)
    owners.refresh()
    assert owners.known(range(6000)) == {}
    assert owners.capabilities()["process"] == ""


def test_those_who_left_make_room_for_those_who_come(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "_MOST_PROCESSES", 100)
    monkeypatch.setattr(resolver, "_ASKED_SECONDS", 0.0)
    owners = Resolver(machine.paths)
    owners.look_up(dict.fromkeys(range(100, 200), ("0",)))
    machine.add(7)
    time.sleep(0.001)
    owners.look_up({7: ("0",)})
    owners.refresh()
    assert user_of(owners.known([7])[7]) == "alice"
    assert owners.known(range(100, 200)) == {}


def test_without_cgroups_the_user_is_known(machine: Machine) -> None:
    (machine.add(7) / "cgroup").unlink()
    assert machine.process(7).owner == Owner("alice")
    assert machine.reason("container", 7) == "no_cgroup"


def test_a_user_without_a_name_is_a_reason(machine: Machine) -> None:
    machine.add(7)
    (machine.rootfs / "etc/passwd").write_text("")
    assert machine.process(7).owner.user == str(UID)
    assert machine.reason("user", 7) == "uid_without_name"


@pytest.mark.usefixtures("always")
def test_a_name_that_comes_later_is_used(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "_RETRY_SECONDS", 0.0)
    machine.add(7)
    passwd = machine.rootfs / "etc/passwd"
    content = passwd.read_text()
    passwd.unlink()
    owners = Resolver(machine.paths)
    assert user_of(look(owners, {7: ()})[7]) == str(UID)
    assert owners.capabilities()["user"] == "no_passwd_file"
    passwd.write_text(content)
    assert user_of(look(owners, {7: ()})[7]) == "alice"
    assert owners.capabilities()["user"] == ""


def test_without_proc_nothing_is_known(machine: Machine, tmp_path: Path) -> None:
    machine.procfs = tmp_path / "nowhere"
    owners = Resolver(machine.paths)
    assert look(owners, {7: ()}) == {7: None}
    assert owners.capabilities()["process"] == "no_procfs"


def test_hidden_processes_are_a_reason_and_ones_own_are_seen(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Processes, "_own_namespace", lambda _: "pid:[4026531836]")
    for pid in ("1", "2"):
        (machine.procfs / pid / "stat").unlink()
    machine.add(7)
    owners = Resolver(machine.paths)
    found = look(owners, {7: (), 8: ()})
    assert (user_of(found[7]), found[8]) == ("alice", None)
    assert owners.capabilities()["process"] == "hidepid"


def in_container(machine: Machine) -> None:
    machine.add(2, name="sh")


@pytest.mark.usefixtures("always")
def test_a_containers_own_pids_are_believed_once_all_are_seen(machine: Machine) -> None:
    in_container(machine)
    machine.add(7)
    owners = Resolver(machine.paths)
    assert look(owners, {7: (), 30_000: ()}) == {7: None, 30_000: None}
    assert owners.capabilities()["process"] == "foreign_pid_namespace"

    owners = Resolver(machine.paths)
    assert user_of(look(owners, {7: ()})[7]) == "alice"
    assert owners.capabilities()["process"] == ""
    found = look(owners, {7: (), 8: ()})  # 8 has just ended
    assert (user_of(found[7]), found[8]) == ("alice", None)


@pytest.mark.usefixtures("always")
def test_pids_that_stay_missing_are_those_of_another_namespace(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_container(machine)
    machine.add(7)
    owners = Resolver(machine.paths)
    look(owners, {7: ()})
    monkeypatch.setattr(resolver, "_END_SECONDS", 0.0)
    look(owners, {7: (), 30_000: ()})
    assert look(owners, {7: (), 30_000: ()}) == {7: None, 30_000: None}
    assert owners.capabilities()["process"] == "foreign_pid_namespace"
    assert owners.capabilities()["user"] == ""


@pytest.mark.usefixtures("always")
def test_a_pid_that_stays_missing_on_the_host_has_ended(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "_END_SECONDS", 0.0)
    machine.add(7)
    owners = Resolver(machine.paths)
    for _ in range(3):
        found = look(owners, {7: (), 30_000: ()})
    assert (user_of(found[7]), found[30_000]) == ("alice", None)
    assert owners.capabilities()["process"] == ""


def test_a_read_that_hangs_holds_up_no_other(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpuglass.owners.reader._COMMAND_SECONDS", 0.1)
    stuck = machine.add(7) / "cmdline"
    stuck.unlink()
    os.mkfifo(stuck)
    machine.add(8, command=b"sleep\0")
    owners = Resolver(machine.paths, commands=True)
    owners.start()
    try:
        owners.look_up({7: (), 8: ()})
        wait_for(lambda: len(owners.known([7, 8])) == 2)
        found = owners.known([7, 8])
        assert found[7] and (found[7].owner.user, found[7].command) == ("alice", "")
        assert found[8] and found[8].command == "sleep"
        wait_for(lambda: owners.capabilities().get("command") == "hangs")
    finally:
        owners.stop()
        os.close(os.open(stuck, os.O_WRONLY | os.O_NONBLOCK))


def test_one_odd_process_does_not_end_the_others(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Processes.cgroup

    def cgroup(self: Processes, pid: int) -> str:
        if pid == 7:
            raise RuntimeError("odd")
        return read(self, pid)

    monkeypatch.setattr(Processes, "cgroup", cgroup)
    machine.add(7)
    machine.add(8)
    found = look(Resolver(machine.paths), {7: (), 8: ()})
    assert (found[7], user_of(found[8])) == (None, "alice")


def test_the_thread_ends_when_told(machine: Machine) -> None:
    before = set(threading.enumerate())
    owners = Resolver(machine.paths)
    owners.start()
    (thread,) = set(threading.enumerate()) - before
    assert thread.daemon
    owners.stop()
    thread.join(30)
    assert not thread.is_alive()


@given(st.binary(max_size=300))
def test_no_stat_is_another_error(content: bytes) -> None:
    with contextlib.suppress(ValueError):
        parse_status(content)


@given(st.text(max_size=30), st.integers(0, 2**22), st.integers(0, 2**63))
def test_any_name_of_a_process_is_read(name: str, parent: int, ticks: int) -> None:
    status = parse_status(stat(7, name.encode(errors="replace").decode(), parent, ticks))
    assert (status.parent, status.started) == (parent, ticks)
    assert status.name == name.encode(errors="replace").decode()
