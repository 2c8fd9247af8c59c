"""The installation's own CA and its password for scrapes, and what a node gets of them.

Two folders that their owner alone may enter hold it. The first is vmagent's to read, too; the
second, beside it, is for what signs alone:

    tls/ca.crt             by what vmagent knows the certificates of nodes
    tls/scrape.password    what vmagent says to nodes, as the user ``gpuglass``
    tls/push.key, push.crt by which workers that push know vmauth
    tls-ca/ca.key          who signs them

A node gets a key and a certificate of its own and the password's bcrypt hash, as a web
configuration. So a node that falls into wrong hands can neither pass for another nor scrape one.
"""

import ipaddress
import os
import re
import secrets
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from prometheus_client.metrics_core import Metric

from gpuglass.catalogue.keeper import CERTIFICATE_EXPIRY
from gpuglass.keeper.lock import locked
from gpuglass.keeper.metrics import gauge
from gpuglass.keeper.passwords import USER, hashed
from gpuglass.push.credentials import HOST_NAME
from gpuglass.text.certificate import expiry
from gpuglass.text.files import replace

_CA_DAYS = 7300
_SECONDS = 60
_PART = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}$){_PART}(\.{_PART})*")
_CA = """\
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
"""
_NODE = """\
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = {names}
"""


class EnrolmentError(Exception):
    """It cannot be done; the text says why and what to do."""


class Certificates:
    """Tells when certificates end.

    Args:
        folder: Where they are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        """The end of each that can be read."""
        family = gauge(CERTIFICATE_EXPIRY)
        for file in sorted(self._folder.glob("*.crt")):
            try:
                ends = expiry(file.read_bytes())
            except OSError:
                continue
            if ends is not None:
                family.add_metric([file.name], ends)
        yield family


class Enrolment:
    """Makes what is missing, and web configurations from it.

    Args:
        folder: The first of the folders; the other's name is this one's and ``-ca``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._signs = folder, folder.with_name(f"{folder.name}-ca")
        self._ca_key, self._ca = self._signs / "ca.key", folder / "ca.crt"
        self._password = folder / "scrape.password"
        self._push_key, self._push = folder / "push.key", folder / "push.crt"

    def prepare(self) -> bool:
        """Make the CA and the password, unless they are there.

        Returns:
            Whether anything was made.

        Raises:
            EnrolmentError: The program openssl is missing or fails.
            OSError: The folder cannot be written.
        """
        for folder in (self._folder, self._signs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self._folder):
            self._take_away_old_key()
            made = False
            if not self._password.exists():
                replace(self._password, f"{secrets.token_urlsafe(32)}\n".encode(), 0o600)
                made = True
            # The certificate comes last: a key without one has signed nothing.
            if not self._ca.exists():
                key, certificate = _make_ca()
                replace(self._ca_key, key, 0o600)
                replace(self._ca, certificate, 0o644)
                made = True
            return made

    def prepare_push(self) -> bool:
        """Make the door's certificate, unless there is one that the CA has signed.

        Returns:
            Whether it was made.

        Raises:
            EnrolmentError: The program openssl is missing or fails.
            OSError: A file of the folder cannot be read or written.
        """
        self.prepare()
        with locked(self._folder):
            if self._push_key.exists() and self._push.exists() and self._is_ours(self._push):
                return False
            key, certificate = self._issue([HOST_NAME], _CA_DAYS)
            self._push.unlink(missing_ok=True)
            replace(self._push_key, key, 0o600)
            replace(self._push, certificate, 0o644)
            return True

    def ca(self) -> str:
        """The CA's certificate, as PEM.

        Raises:
            OSError: It cannot be read.
        """
        return self._ca.read_text("ascii")

    def _is_ours(self, certificate: Path) -> bool:
        try:
            _openssl("verify", "-CAfile", str(self._ca), str(certificate))
        except EnrolmentError:
            return False
        return True

    def web_configuration(self, names: Sequence[str], days: int) -> str:
        """What a node is to serve with, complete in itself.

        Args:
            names: Host names and addresses by which it is scraped, as ``checked`` gives them.
            days: How long its certificate is good.

        Raises:
            EnrolmentError: The program openssl is missing or fails.
            OSError: A file of the folder cannot be read or written.
        """
        self.prepare()
        key, certificate = self._issue(names, days)
        hash = hashed(self._password.read_bytes().strip())
        return (
            f"# {names[0]}: its key is in here; let nobody else read this file.\n"
            "tls_server_config:\n"
            f"  cert: |\n{_indented(certificate)}"
            f"  key: |\n{_indented(key)}"
            "basic_auth_users:\n"
            f'  {USER}: "{hash}"\n'
        )

    def _take_away_old_key(self) -> None:
        """Take the key from where vmagent can read it, and earlier versions kept it."""
        old = self._folder / self._ca_key.name
        if old.exists():
            # The folders may be on different file systems.
            replace(self._ca_key, old.read_bytes(), 0o600)
            old.unlink()

    def _issue(self, names: Sequence[str], days: int) -> tuple[bytes, bytes]:
        key = _key()
        shown = ", ".join(_alternative(name) for name in names)
        with _files(key=key, config=_config(names[0], _NODE.format(names=shown))) as path:
            request = _openssl("req", "-new", "-key", path("key"), "-config", path("config"))
            serial = f"0x{secrets.randbits(127) | 1 << 126:x}"
            signed_by = ("-CA", str(self._ca), "-CAkey", str(self._ca_key), "-set_serial", serial)
            extensions = ("-extfile", path("config"), "-extensions", "extensions")
            until = ("-days", str(days), "-sha256")
            certificate = _openssl("x509", "-req", *signed_by, *extensions, *until, stdin=request)
        return key, certificate


def checked(name: str) -> str:
    """A host name or address as a certificate has it.

    Raises:
        ValueError: It is neither.
    """
    try:
        return str(ipaddress.ip_address(name.removeprefix("[").removesuffix("]")))
    except ValueError:
        pass
    lower = name.lower().removesuffix(".")
    if lower == HOST_NAME:
        raise ValueError(f"{name!r} is the name of this host's own certificate; give the node's")
    if not _NAME.fullmatch(lower) or lower.rpartition(".")[2].isdigit():
        raise ValueError(f"{name!r} is neither a host name nor an address; give it without a port")
    return lower


def _make_ca() -> tuple[bytes, bytes]:
    key = _key()
    with _files(key=key, config=_config(f"gpuglass CA of {os.uname().nodename}", _CA)) as path:
        asked = ("-key", path("key"), "-config", path("config"), "-extensions", "extensions")
        certificate = _openssl("req", "-x509", "-new", *asked, "-days", str(_CA_DAYS), "-sha256")
    return key, certificate


def _config(name: str, extensions: str) -> bytes:
    # A common name has 64 characters at most; who checks looks at the other names.
    subject = re.sub(r"[^A-Za-z0-9._: -]", "_", name)[:64]
    return (
        "[req]\nprompt = no\nstring_mask = utf8only\ndistinguished_name = subject\n"
        f"[subject]\nCN = {subject}\n[extensions]\n{extensions}"
    ).encode()


def _alternative(name: str) -> str:
    try:
        return f"IP:{ipaddress.ip_address(name)}"
    except ValueError:
        return f"DNS:{name}"


def _key() -> bytes:
    return _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")


def _openssl(*arguments: str, stdin: bytes = b"") -> bytes:
    try:
        done = subprocess.run(
            ["openssl", *arguments],
            input=stdin,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            # Nothing of the machine's own settings; that they are missing is no reason to complain.
            env={**os.environ, "OPENSSL_CONF": os.devnull},
        )
    except FileNotFoundError:
        raise EnrolmentError(
            "the program openssl is missing; install the package openssl"
        ) from None
    except subprocess.TimeoutExpired:
        raise EnrolmentError("the program openssl does not come to an end") from None
    if done.returncode != 0 or not done.stdout:
        told = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise EnrolmentError(f"openssl {arguments[0]} fails: {told[-1] if told else 'no reason'}")
    return done.stdout


def _indented(text: bytes) -> str:
    return "".join(f"    {line}\n" for line in text.decode().splitlines())


@contextmanager
def _files(**contents: bytes) -> Iterator[Callable[[str], str]]:
    """Files for openssl, in a folder that goes again: where each is, by its name."""
    with tempfile.TemporaryDirectory(prefix="gpuglass-") as folder:
        for name, content in contents.items():
            replace(Path(folder) / name, content, 0o600)
        yield lambda name: f"{folder}/{name}"
