"""Certificates for tests, made by the program openssl."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


def openssl(*arguments: str, stdin: bytes = b"") -> bytes:
    made = subprocess.run(
        ["openssl", *arguments], input=stdin, capture_output=True, timeout=60, check=False
    )
    assert made.returncode == 0, made.stderr.decode()
    return made.stdout


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


class Authority:
    """A CA with its files in a folder."""

    def __init__(self, folder: Path, name: str = "test CA") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.certificate, self._key = folder / "ca.crt", folder / "ca.key"
        self._key.write_bytes(_key())
        subject = ("-subj", f"/CN={name}", "-days", "30")
        # Python checks strictly from 3.13 on.
        usage = ("-addext", "keyUsage=critical,keyCertSign")
        certificate = openssl("req", "-x509", "-new", "-key", str(self._key), *subject, *usage)
        self.certificate.write_bytes(certificate)

    def issue(self, name: str, names: str = "IP:127.0.0.1,DNS:localhost", use: str = "") -> Pair:
        """A certificate for some names, such as ``DNS:gpu01,IP:10.0.0.7``."""
        pair = Pair(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        pair.key.write_bytes(_key())
        request = openssl("req", "-new", "-key", str(pair.key), "-subj", f"/CN={name}")
        extensions = self._folder / f"{name}.ext"
        usage = f"extendedKeyUsage={use}\n" if use else ""
        identifiers = "authorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n"
        extensions.write_text(f"subjectAltName={names}\n{identifiers}{usage}")
        signing = ("-CA", str(self.certificate), "-CAkey", str(self._key), "-CAcreateserial")
        more = ("-days", "30", "-extfile", str(extensions))
        pair.certificate.write_bytes(openssl("x509", "-req", *signing, *more, stdin=request))
        return pair


def _key() -> bytes:
    return openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout")
