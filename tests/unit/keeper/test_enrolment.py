"""The CA and the password of an installation, and what a node gets."""

import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bcrypt
import pytest
from click.testing import CliRunner
from tests.certificates import openssl

from gpuglass.cli import gpuglass_command
from gpuglass.keeper.enrolment import Enrolment, EnrolmentError, checked
from gpuglass.keeper.passwords import USER
from gpuglass.web.configuration import load


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def enrol(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(gpuglass_command, ["enrol", *arguments], standalone_mode=False)
    told = str(getattr(result.exception, "message", ""))
    return result.exit_code, result.output + told


def public_key(key: Path) -> bytes:
    return openssl("pkey", "-in", str(key), "-pubout")


def test_it_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "a/tls"
    with ThreadPoolExecutor(4) as pool:  # as a keeper and a command may meet
        made = list(pool.map(lambda _: Enrolment(folder).prepare(), range(4)))
    assert sorted(made) == [False, False, False, True]
    before = contents(folder)
    assert not Enrolment(folder).prepare()
    assert contents(folder) == before
    signs = tmp_path / "a/tls-ca"
    assert mode(folder) == mode(signs) == 0o700
    assert mode(signs / "ca.key") == mode(folder / "scrape.password") == 0o600
    assert b"PRIVATE KEY" not in b"".join(before.values())
    assert len(before["scrape.password"].strip()) >= 40


def test_a_ca_that_was_half_made_is_made_again(tmp_path: Path) -> None:
    folder, key = tmp_path / "tls", tmp_path / "tls-ca/ca.key"
    for path, text in ((key, "cut off"), (folder / "scrape.password", "kept\n")):
        path.parent.mkdir()
        path.write_text(text)
    Enrolment(folder).prepare()
    assert public_key(key) == openssl("x509", "-in", str(folder / "ca.crt"), "-noout", "-pubkey")
    assert (folder / "scrape.password").read_text() == "kept\n"


def test_a_key_that_vmagent_could_read_is_taken_from_there(tmp_path: Path) -> None:
    folder, key = tmp_path / "tls", tmp_path / "tls-ca/ca.key"
    Enrolment(folder).prepare()
    before, certificate = public_key(key), (folder / "ca.crt").read_bytes()
    # As earlier versions left it.
    key.rename(folder / "ca.key")
    assert not Enrolment(folder).prepare()
    assert not (folder / "ca.key").exists()
    assert (mode(key), public_key(key)) == (0o600, before)
    assert (folder / "ca.crt").read_bytes() == certificate


def test_what_a_node_gets_is_good_for_it_alone(tmp_path: Path) -> None:
    folder, file = tmp_path / "tls", tmp_path / "web.yml"
    names = ["gpu01.example.org", "10.0.0.7", "2001:db8::7"]
    texts = [Enrolment(folder).web_configuration(names, 90) for _ in range(2)]
    file.write_text(texts[0])
    configuration = load(file)
    assert configuration.asks_who and configuration.tls and not configuration.warnings
    password = (folder / "scrape.password").read_bytes().strip()
    assert bcrypt.checkpw(password, configuration.users[USER.encode()])
    assert password.decode() not in texts[0]
    assert (tmp_path / "tls-ca/ca.key").read_text() not in texts[0]
    assert texts[0] != texts[1]  # each has a key of its own

    certificate = tmp_path / "node.crt"
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----\n"
    pem = begin + texts[0].partition(begin)[2].partition(end)[0] + end
    certificate.write_text("".join(line.strip() + "\n" for line in pem.splitlines()))

    def verify(*arguments: str) -> bytes:
        return openssl("verify", "-CAfile", str(folder / "ca.crt"), *arguments, str(certificate))

    strict = ("-x509_strict", "-purpose", "sslserver")
    verify(*strict, "-verify_hostname", names[0])
    verify(*strict, "-verify_ip", names[1])
    verify(*strict, "-verify_ip", names[2])
    for wrong in (
        ("-verify_hostname", "gpu02.example.org"),
        ("-verify_ip", "10.0.0.8"),
        ("-purpose", "sslclient"),
    ):
        with pytest.raises(AssertionError):
            verify(*wrong)
    # It cannot sign for others.
    assert b"CA:FALSE" in openssl("x509", "-in", str(certificate), "-noout", "-text")


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("gpu01", "gpu01"),
        ("GPU01.Example.Org.", "gpu01.example.org"),
        ("10.0.0.7", "10.0.0.7"),
        ("[2001:DB8:0::7]", "2001:db8::7"),
        ("a" * 63 + ".b", "a" * 63 + ".b"),
    ],
)
def test_names(name: str, good: str) -> None:
    assert checked(name) == good


@pytest.mark.parametrize(
    "name",
    [
        *("", "gpu01:9400", "http://gpu01", "gpu 01", "gpu01,DNS:evil", "*.example.org", "-a"),
        *("a\nb", "a..b", "a" * 64, "a." * 130 + "b", "10.0.0.256", "gpu01\nDNS.1=evil", "é"),
    ],
)
def test_what_is_no_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is neither a host name nor an address"):
        checked(name)
    code, told = enrol("--tls.dir", str(tmp_path / "tls"), "--", name)
    assert code != 0 and "Traceback" not in told
    assert not (tmp_path / "tls").exists()


def test_the_command_writes_a_file_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "gpu01.yml"
    code, told = enrol("gpu01", "--tls.dir", str(tmp_path / "tls"), "--output", str(file))
    assert code == 0, told
    assert mode(file) == 0o600 and load(file).asks_who
    assert "./setup.sh --worker --tls gpu01.yml\n" in told
    assert "gpuglass targets add gpu01:9400 --label __scheme__=https\n" in told
    assert "BEGIN" not in told


def _no_program(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder))


def _failing_program(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "openssl").write_text("#!/bin/sh\necho 'no entropy today' >&2\nexit 1\n")
    (folder / "openssl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        (_no_program, "the program openssl is missing; install the package openssl"),
        (_failing_program, "openssl genpkey fails: no entropy today"),
    ],
)
def test_without_openssl(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    program: Callable[[Path, pytest.MonkeyPatch], None],
    problem: str,
) -> None:
    program(tmp_path, monkeypatch)
    with pytest.raises(EnrolmentError, match=problem):
        Enrolment(tmp_path / "tls").prepare()
    assert not (tmp_path / "tls/ca.crt").exists()


def test_the_command_prints_what_goes_into_a_file(tmp_path: Path) -> None:
    code, output = enrol("gpu1", "--tls.dir", str(tmp_path / "tls"), "--output", "-")
    assert code == 0
    (tmp_path / "web.yml").write_text(output)
    assert set(load(tmp_path / "web.yml").users) == {USER.encode()}
    code, output = enrol("gpu1", "--tls.dir", str(tmp_path / "tls"), "--output", "/proc/web.yml")
    assert (code, output.endswith("; see --output, or --output - >FILE")) == (1, True)


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "tls").write_text("a file")
    code, told = enrol("gpu01", "--tls.dir", str(tmp_path / "tls"))
    assert code != 0
    assert "tls: File exists; see --tls.dir" in told
