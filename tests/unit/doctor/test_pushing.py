"""The check of a worker that pushes, in both states."""

from pathlib import Path

import pytest

from gpuglass.doctor.install import Install
from gpuglass.doctor.model import Status
from gpuglass.doctor.pushing import push
from gpuglass.push import contact, credentials
from gpuglass.push.contact import Contact, ContactError, RefusedError

GIVEN = credentials.Credentials("pod", "t" * 43, "no certificate: nobody is asked here")


@pytest.fixture
def install(tmp_path: Path) -> Install:
    credentials.store(GIVEN, tmp_path / "push")
    return Install(push=("https://host:8427", tmp_path / "push"))


def answer(monkeypatch: pytest.MonkeyPatch, outcome: Contact | Exception) -> None:
    def make(url: str, given: credentials.Credentials) -> Contact:
        assert (url, given) == ("https://host:8427", GIVEN)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(contact, "make", make)


@pytest.mark.parametrize(
    ("outcome", "status", "what"),
    [
        (Contact(0.3, 0.5), Status.OK, "https://host:8427 takes what this worker pushes"),
        (Contact(-5.4, 0.5), Status.OK, "https://host:8427 takes what this worker pushes"),
        (Contact(-7.0, 0.5), Status.WARNING, "takes it, but this clock is -7.0 s off"),
        (RefusedError("it does not know it; on the host: add"), Status.FAILED, "it does not know"),
        (ContactError("it answers with HTTP 502"), Status.FAILED, "it answers with HTTP 502"),
    ],
)
def test_each_state(
    install: Install,
    monkeypatch: pytest.MonkeyPatch,
    outcome: Contact | Exception,
    status: Status,
    what: str,
) -> None:
    answer(monkeypatch, outcome)
    finding = push(install)
    assert finding.status is status
    assert what in finding.what
    assert bool(finding.do) == (status is not Status.OK)


def test_what_it_was_given_may_be_gone(install: Install) -> None:
    assert install.push
    (install.push[1] / "token").unlink()
    finding = push(install)
    assert finding.status is Status.FAILED
    assert "No such file" in finding.what


def test_a_node_that_is_scraped_does_not_push() -> None:
    assert push(Install()).status is Status.SKIPPED
