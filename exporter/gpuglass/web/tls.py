"""The TLS part of the web configuration: from its keys to what the server speaks."""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gpuglass.text.certificate import expiry
from gpuglass.text.files import IrregularFileError, read_bytes
from gpuglass.web.section import Problems, Section
from gpuglass.web.terms import Tls, same_name

KEYS = (
    "cert",
    "key",
    "client_ca",
    "cert_file",
    "key_file",
    "client_auth_type",
    "client_ca_file",
    "client_allowed_sans",
    "min_version",
    "max_version",
    "cipher_suites",
    "prefer_server_cipher_suites",
    "curve_preferences",
)
_MOST_BYTES = 1_000_000
_NONE, _REQUIRED = "NoClientCert", "RequireAndVerifyClientCert"
_VERIFY_MODES = {
    _NONE: ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    _REQUIRED: ssl.CERT_REQUIRED,
}
_UNCHECKED = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")
_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_BROKEN_VERSIONS = ("TLS10", "TLS11")
# The names that the configuration has from Go, and OpenSSL's.
_SUITES = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
}
# Those of TLS 1.3 are always offered, here as in Go.
_SUITES_13 = (
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
)
_CURVES = {
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
    "X25519": "X25519",
}


class _Files:
    """Reads what the configuration names.

    Args:
        folder: Where relative paths begin.
        section: Whose keys they are.
        problems: Where to note what is wrong.
    """

    def __init__(self, folder: Path, section: Section, problems: Problems) -> None:
        self._folder, self._section, self._problems = folder, section, problems
        self.paths: list[Path] = []

    def read(self, inline: str, file: str) -> bytes | None:
        """The text of one key, or of the file that the other key names."""
        if inline in self._section and file in self._section:
            self._problems.add(
                self._section.line_of(file), f"{inline} and {file} are both there; keep one"
            )
            return None
        text, name = self._section.text(inline), self._section.text(file)
        if text is not None:
            return text.encode()
        return self._read(file, self._folder / name) if name else None

    def _read(self, key: str, path: Path) -> bytes | None:
        self.paths.append(path)
        try:
            content = read_bytes(path, _MOST_BYTES + 1)
        except IrregularFileError:
            self._complain(key, f"{path} is not a regular file")
        except OSError as error:
            self._complain(key, f"{path} cannot be read: {error.strerror}")
        else:
            if len(content) <= _MOST_BYTES:
                return content
            self._complain(key, f"{path} is larger than {_MOST_BYTES // 1_000_000} MB")
        return None

    def _complain(self, key: str, what: str) -> None:
        self._problems.add(self._section.line_of(key), f"{key}: {what}")


def read(section: Section, folder: Path, problems: Problems) -> tuple[Tls | None, list[Path]]:
    """Make what the keys say.

    Args:
        section: The keys.
        folder: Where relative paths begin.
        problems: Where to note what is wrong.

    Returns:
        What the server speaks, if nothing is wrong; and the files that were named.
    """
    files = _Files(folder, section, problems)
    before = len(problems.found)
    certificate, key = files.read("cert", "cert_file"), files.read("key", "key_file")
    client_ca = files.read("client_ca", "client_ca_file")
    if len(problems.found) == before:
        for content, name in ((certificate, "cert"), (key, "key")):
            if content is None:
                what = f"tls_server_config has neither {name}_file nor {name}; add one of them"
                problems.add(section.line, what)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    mode = _client_authentication(section, client_ca is not None, problems)
    _set_versions(context, section, problems)
    _set_suites(context, section, problems)
    _set_curves(context, section, problems)
    sans = section.texts("client_allowed_sans")
    if sans and mode is not ssl.CERT_REQUIRED:
        what = f"client_allowed_sans needs client_auth_type: {_REQUIRED}"
        problems.add(section.line_of("client_allowed_sans"), what)
    if len(problems.found) > before or certificate is None or key is None:
        return None, files.paths
    context.verify_mode = mode
    _load(context, certificate, key, client_ca, section, problems)
    allowed = frozenset(same_name(name.text) for name in sans)
    return Tls(context, mode is ssl.CERT_REQUIRED, allowed, expiry(certificate)), files.paths


def _client_authentication(section: Section, has_ca: bool, problems: Problems) -> ssl.VerifyMode:
    key = "client_auth_type"
    if section.text(key) in _UNCHECKED:
        what = f"{key}: certificates that nobody checks protect nothing; write {_REQUIRED}"
        problems.add(section.line_of(key), what)
        return ssl.CERT_NONE
    given = section.choice(key, _VERIFY_MODES)
    mode = _VERIFY_MODES[given or _NONE]
    names_ca = "client_ca" in section or "client_ca_file" in section
    if mode is not ssl.CERT_NONE and not names_ca:
        problems.add(section.line_of(key), f"{key}: {given} needs client_ca_file")
    elif mode is ssl.CERT_NONE and has_ca:
        line = section.line_of("client_ca_file" if "client_ca_file" in section else "client_ca")
        problems.add(line, f"a CA of clients is used with {key}: {_REQUIRED} only; add it")
    return mode


def _set_versions(context: ssl.SSLContext, section: Section, problems: Problems) -> None:
    found = {}
    for key, default in (("min_version", "TLS12"), ("max_version", "TLS13")):
        if section.text(key) in _BROKEN_VERSIONS:
            what = f"{key}: TLS 1.0 and 1.1 are broken; write one of {', '.join(_VERSIONS)}"
            problems.add(section.line_of(key), what)
            found[key] = default
        else:
            found[key] = section.choice(key, _VERSIONS) or default
    if found["min_version"] > found["max_version"]:
        what = f"min_version {found['min_version']} is above max_version {found['max_version']}"
        problems.add(section.line_of("min_version"), what)
        return
    context.minimum_version = _VERSIONS[found["min_version"]]
    context.maximum_version = _VERSIONS[found["max_version"]]


def _set_suites(context: ssl.SSLContext, section: Section, problems: Problems) -> None:
    preference = ssl.OP_CIPHER_SERVER_PREFERENCE
    if section.boolean("prefer_server_cipher_suites", True):
        context.options |= preference
    else:
        context.options &= ~preference
    key = "cipher_suites"
    names = section.texts(key)
    unknown = [name for name in names if name.text not in _SUITES and name.text not in _SUITES_13]
    for name in unknown:
        what = f"{key}: {name.text[:64]!r} is unknown or broken; there are {', '.join(_SUITES)}"
        problems.add(name.line, what)
    if not names or unknown:
        return
    suites = [_SUITES[name.text] for name in names if name.text in _SUITES]
    if suites:
        try:
            context.set_ciphers(":".join(suites))
        except ssl.SSLError:
            problems.add(section.line_of(key), f"{key}: this machine's OpenSSL has none of them")
    elif context.minimum_version is not ssl.TLSVersion.TLSv1_3:
        what = f"{key} has none for TLS 1.2; add one, or min_version: TLS13"
        problems.add(section.line_of(key), what)
    if not all(name in [each.text for each in names] for name in _SUITES_13):
        what = f"{key} is for TLS 1.2; the suites of TLS 1.3 are all offered"
        problems.warn(section.line_of(key), what)


def _set_curves(context: ssl.SSLContext, section: Section, problems: Problems) -> None:
    key = "curve_preferences"
    curves = []
    for name in section.texts(key):
        if name.text in _CURVES:
            curves.append(_CURVES[name.text])
        else:
            what = f"{key}: unknown curve {name.text[:64]!r}; there are {', '.join(_CURVES)}"
            problems.add(name.line, what)
    if not curves:
        return
    set_groups = getattr(context, "set_groups", None)  # Python 3.15 and newer
    try:
        if set_groups:
            set_groups(":".join(curves))
            return
        if len(curves) == 1:
            context.set_ecdh_curve(curves[0])
            return
    except (ssl.SSLError, ValueError):
        what = f"{key}: this machine's OpenSSL does not have {', '.join(curves)}"
    else:
        what = f"{key} has {len(curves)} curves, and this Python can set one only; keep one"
    problems.add(section.line_of(key), what)


def _load(
    context: ssl.SSLContext,
    certificate: bytes,
    key: bytes,
    client_ca: bytes | None,
    section: Section,
    problems: Problems,
) -> None:
    """Load what was read, never the files themselves: they may have changed since."""
    try:
        with _in_memory(certificate) as cert_path, _in_memory(key) as key_path:
            context.load_cert_chain(cert_path, key_path, _refuse_encrypted)
    except ssl.SSLError as error:
        line = section.line_of("cert_file" if "cert_file" in section else "cert")
        problems.add(line, _reason(error))
    except _EncryptedError:
        line = section.line_of("key_file" if "key_file" in section else "key")
        problems.add(line, "the key is encrypted; decrypt it, and let nobody else read the file")
    if client_ca is None:
        return
    name = "client_ca_file" if "client_ca_file" in section else "client_ca"
    try:
        context.load_verify_locations(cadata=client_ca.decode("ascii", "ignore"))
    except (ssl.SSLError, ValueError):
        problems.add(section.line_of(name), f"{name} holds no certificates in PEM")


def _reason(error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return "the key is not that of the certificate; give the pair"
    if error.reason in ("EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"):
        return f"the certificate is too weak ({error.reason}); make one with a longer key"
    return "certificate or key is not in PEM; give files that begin with -----BEGIN"


class _EncryptedError(Exception):
    """The key asks for a password."""


def _refuse_encrypted() -> str:
    raise _EncryptedError


@contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """A file that never reaches a disk: OpenSSL takes certificates and keys from files only."""
    descriptor = os.memfd_create("gpuglass-tls", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
