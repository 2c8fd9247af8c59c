import pwd
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.owners.machine import UID, Machine

from gpuglass.owners import users
from gpuglass.owners.users import UserNames, _parse

ROOT = Path("/")


def test_the_name_service_of_this_machine() -> None:
    known = pwd.getpwall()[0]
    assert UserNames(ROOT).name(known.pw_uid) == (pwd.getpwuid(known.pw_uid).pw_name, "")


@pytest.mark.parametrize("uid", [3_999_999_999, 2**32 - 1, 2**40])
def test_a_uid_without_a_name_is_its_name(uid: int) -> None:
    assert UserNames(ROOT).name(uid) == (str(uid), "uid_without_name")


def test_an_unknown_uid_is_not_asked_for_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def ask(uid: int) -> str:
        asked.append(uid)
        raise KeyError(uid)

    names = UserNames(ROOT, ask)
    assert [names.name(7), names.name(7)] == [("7", "uid_without_name")] * 2
    assert asked == [7]
    monkeypatch.setattr(users, "_UNKNOWN_SECONDS", 0.0)
    names.name(7)
    assert asked == [7, 7]


def test_a_name_service_that_hangs_does_not_hold_up_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(users, "_ANSWER_SECONDS", 0.05)
    answer = threading.Event()
    asked: list[int] = []

    def ask(uid: int) -> str:
        asked.append(uid)
        answer.wait(30)
        return f"user{uid}"

    names = UserNames(ROOT, ask)
    assert names.name(1) == ("1", "name_service_timeout")
    assert {names.name(uid)[1] for uid in range(500)} == {"name_service_timeout"}
    assert asked == [1]  # the others waited for nothing
    answer.set()
    monkeypatch.setattr(users, "_ANSWER_SECONDS", 30.0)
    deadline = time.monotonic() + 30
    while names.name(1)[1] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert names.name(1) == ("user1", "")
    assert names.name(2) == ("user2", "")


def test_a_hosts_passwd_file(machine: Machine) -> None:
    names = UserNames(machine.rootfs)
    assert names.name(UID) == ("alice", "")
    assert names.name(UID + 1) == (str(UID + 1), "uid_without_name")
    (machine.rootfs / "etc/passwd").write_text(f"bob:x:{UID}:1:::\nroot2:x:{UID}:1:::\n")
    assert names.name(UID) == ("bob", "")
    (machine.rootfs / "etc/passwd").unlink()
    assert names.name(UID) == (str(UID), "no_passwd_file")


@given(st.binary())
def test_no_passwd_file_is_an_error(content: bytes) -> None:
    for name in _parse(content).values():
        name.encode()
