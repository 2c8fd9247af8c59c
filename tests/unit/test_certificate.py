"""When a certificate ends, read as OpenSSL writes it."""

import random
from pathlib import Path

import pytest
from tests.certificates import Authority, openssl

from gpuglass.keeper.enrolment import Certificates
from gpuglass.text.certificate import expiry


def certificate(folder: Path, until: str) -> Path:
    key, file = folder / "a.key", folder / "a.crt"
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(key))
    request = openssl("req", "-new", "-key", str(key), "-subj", "/CN=a")
    (folder / "a.csr").write_bytes(request)
    (folder / "db").touch()
    (folder / "serial").write_text("01\n")
    (folder / "ca.conf").write_text(
        f"[ca]\ndefault_ca=x\n[x]\ndatabase={folder}/db\nserial={folder}/serial\nnew_certs_dir={folder}\n"
        "default_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n"
    )
    openssl(
        *("ca", "-batch", "-notext", "-selfsign", "-config", str(folder / "ca.conf")),
        *("-keyfile", str(key), "-in", str(folder / "a.csr"), "-out", str(file)),
        *("-startdate", "20200101000000Z", "-enddate", until),
    )
    return file


@pytest.mark.parametrize(
    ("until", "unix"),
    [("20300102030405Z", 1893553445.0), ("20990101000000Z", 4070908800.0)],
)
def test_both_forms_of_time(tmp_path: Path, until: str, unix: float) -> None:
    assert expiry(certificate(tmp_path, until).read_bytes()) == unix


def test_the_first_of_several_counts(tmp_path: Path) -> None:
    first = certificate(tmp_path, "20300102030405Z").read_bytes()
    other = Authority(tmp_path / "ca").certificate.read_bytes()
    assert expiry(b"a comment\n" + first + other) == 1893553445.0


def test_what_is_no_certificate_has_no_end(tmp_path: Path) -> None:
    good = certificate(tmp_path, "20300102030405Z").read_bytes()
    lines = good.splitlines(keepends=True)
    assert expiry(b"") is None
    assert expiry(b"".join((lines[0], *lines[2:]))) is None
    chance = random.Random(1)
    for _ in range(300):
        spoilt = bytearray(good)
        spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        found = expiry(bytes(spoilt))
        assert found is None or isinstance(found, float)


def test_the_keeper_tells_of_those_of_the_installation(tmp_path: Path) -> None:
    certificate(tmp_path, "20300102030405Z").rename(tmp_path / "ca.crt")
    (tmp_path / "broken.crt").write_text("nothing\n")
    (family,) = Certificates(tmp_path).collect()
    assert [(s.labels, s.value) for s in family.samples if s.labels["file"] == "ca.crt"] == [
        ({"file": "ca.crt"}, 1893553445.0)
    ]
    assert "broken.crt" not in {sample.labels["file"] for sample in family.samples}
