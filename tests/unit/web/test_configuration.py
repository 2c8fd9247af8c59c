"""The web configuration: every key is honoured, or refused with the line and a reason."""

import ssl
from pathlib import Path

import pytest
from tests.certificates import openssl

from gpuglass.web.configuration import is_one, load
from gpuglass.web.terms import Configuration, ConfigurationError, Rate, Tls

PAIR = "cert_file: node.crt\n  key_file: node.key\n"
TLS = f"tls_server_config:\n  {PAIR}"
HASH = "$2b$04$EmFdIc3x3jLk9Fkm1AXEYO1OxFqfUJH9FSBx/O1dOo4nxjFOK9.MK"


def take(folder: Path, text: str) -> Configuration:
    path = folder / "web.yml"
    path.write_text(text)
    return load(path)


def tls(folder: Path, more: str = "") -> Tls:
    found = take(folder, f"{TLS}  {more}\n").tls
    assert found
    return found


def refused(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        take(folder, text)
    prefix = f"{folder}/web.yml:"
    assert all(str(problem).startswith(prefix) for problem in caught.value.problems)
    return [str(problem).removeprefix(prefix) for problem in caught.value.problems]


# What is honoured


def test_certificate_and_key_beside_the_file(folder: Path) -> None:
    found = take(folder, TLS)
    assert found.tls and not found.asks_who
    assert found.files == (folder / "node.crt", folder / "node.key")
    assert found.warnings == ()
    context = found.tls.context
    assert context.verify_mode is ssl.CERT_NONE
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.maximum_version is ssl.TLSVersion.TLSv1_3
    assert context.options & ssl.OP_CIPHER_SERVER_PREFERENCE


def test_certificate_key_and_ca_in_the_file(folder: Path) -> None:
    def inline(name: str) -> str:
        return "|\n" + "".join(f"    {line}\n" for line in (folder / name).read_text().splitlines())

    found = take(
        folder,
        f"tls_server_config:\n  cert: {inline('node.crt')}  key: {inline('node.key')}"
        f"  client_ca: {inline('ca.crt')}  client_auth_type: RequireAndVerifyClientCert\n",
    )
    assert found.tls and found.asks_who
    assert found.files == ()


@pytest.mark.parametrize(
    ("type", "mode", "asks"),
    [
        ("VerifyClientCertIfGiven", ssl.CERT_OPTIONAL, False),
        ("RequireAndVerifyClientCert", ssl.CERT_REQUIRED, True),
    ],
)
def test_client_certificates(folder: Path, type: str, mode: ssl.VerifyMode, asks: bool) -> None:
    found = tls(folder, f"client_auth_type: {type}\n  client_ca_file: ca.crt")
    assert (found.context.verify_mode, found.asks_who) == (mode, asks)
    assert found.context.cert_store_stats()["x509_ca"] == 1


def test_nobody_has_to_show_a_certificate_who_is_told_so(folder: Path) -> None:
    assert tls(folder, "client_auth_type: NoClientCert").context.verify_mode is ssl.CERT_NONE


def test_names_that_a_client_may_have(folder: Path) -> None:
    found = tls(
        folder,
        "client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n"
        "  client_allowed_sans: [scraper, '::1', spiffe://lab/scraper]",
    )

    def allows(*names: tuple[str, str]) -> bool:
        return found.allows({"subjectAltName": names})

    assert allows(("DNS", "other"), ("DNS", "scraper"))
    assert allows(("IP Address", "0:0:0:0:0:0:0:1"))
    assert allows(("URI", "spiffe://lab/scraper"))
    assert not allows(("DNS", "scraper.example.org"), ("DirName", "scraper"))
    assert not allows()
    assert not found.allows({}) and not found.allows(None)


def test_versions(folder: Path) -> None:
    context = tls(folder, "min_version: TLS13").context
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    context = tls(folder, "max_version: TLS12").context
    assert context.maximum_version is ssl.TLSVersion.TLSv1_2


def test_suites_and_who_prefers(folder: Path) -> None:
    context = tls(
        folder,
        "cipher_suites:\n  - TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384\n"
        "  - TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256\n"
        "  - TLS_AES_128_GCM_SHA256\n  - TLS_AES_256_GCM_SHA384\n  - TLS_CHACHA20_POLY1305_SHA256\n"
        "  prefer_server_cipher_suites: false",
    ).context
    names = [c["name"] for c in context.get_ciphers() if c["protocol"] == "TLSv1.2"]
    assert names == ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"]
    assert not context.options & ssl.OP_CIPHER_SERVER_PREFERENCE


def test_suites_alone_leave_those_of_tls_1_3(folder: Path) -> None:
    found = take(folder, f"{TLS}  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n")
    assert [w.what for w in found.warnings] == [
        "cipher_suites is for TLS 1.2; the suites of TLS 1.3 are all offered"
    ]


@pytest.mark.parametrize("curve", ["CurveP256", "CurveP384", "CurveP521", "X25519"])
def test_a_curve(folder: Path, curve: str) -> None:
    assert tls(folder, f"curve_preferences: [{curve}]")


@pytest.mark.parametrize(
    ("method", "key", "value"),
    [
        ("set_ecdh_curve", "curve_preferences", "X25519"),
        ("set_ciphers", "cipher_suites", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"),
    ],
)
def test_what_this_machine_does_not_have(
    folder: Path, monkeypatch: pytest.MonkeyPatch, method: str, key: str, value: str
) -> None:
    """As by its crypto policy, or an older OpenSSL."""

    def refuse(*_: object) -> None:
        raise ssl.SSLError(1, "no such thing")

    monkeypatch.setattr(ssl.SSLContext, method, refuse)
    with pytest.raises(ConfigurationError, match=f"{key}: this machine's OpenSSL"):
        take(folder, f"{TLS}  {key}: [{value}]\n")


def test_headers(folder: Path) -> None:
    headers = {
        "Content-Security-Policy": "default-src 'self'",
        "X-Frame-Options": "deny",
        "X-Content-Type-Options": "nosniff",
        "X-XSS-Protection": "1; mode=block",
        "Strict-Transport-Security": "max-age=63072000",
    }
    lines = "".join(f'    {name}: "{value}"\n' for name, value in headers.items())
    found = take(folder, f"http_server_config:\n  http2: false\n  headers:\n{lines}")
    assert found.headers == headers
    assert found.warnings == ()
    blank = "http_server_config: {headers: {X-XSS-Protection: ''}}"
    assert take(folder, blank).headers == {}


def test_users(folder: Path) -> None:
    found = take(folder, f"{TLS}basic_auth_users:\n  scraper: {HASH}\n  zoë: {HASH}\n")
    assert found.users == {b"scraper": HASH.encode(), "zoë".encode(): HASH.encode()}
    assert found.asks_who and found.warnings == ()


@pytest.mark.parametrize(
    ("interval", "seconds"),
    [("1s", 1.0), ("100ms", 0.1), ("1m30s", 90.0), ("1.5h", 5400.0), ("250us", 0.00025)],
)
def test_a_rate(folder: Path, interval: str, seconds: float) -> None:
    found = take(folder, f"rate_limit:\n  interval: {interval}\n  burst: 3\n")
    assert found.rate == Rate(seconds, 3)


@pytest.mark.parametrize("interval", ["0", "0s"])
def test_no_rate(folder: Path, interval: str) -> None:
    assert take(folder, f"rate_limit: {{interval: {interval}}}").rate is None


def test_no_protection_is_asked_for(folder: Path) -> None:
    assert take(folder, "{}\n") == Configuration()


# What is taken, and its author told


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("http_server_config:\n  http2: true\n", "2: http2: HTTP/1.1 is spoken"),
        (f"basic_auth_users: {{a: {HASH}}}\n", "1: without tls_server_config the passwords cross"),
        ("basic_auth_users: {}\n", "1: basic_auth_users has no users: nobody is asked"),
    ],
)
def test_warnings(folder: Path, text: str, warning: str) -> None:
    (found,) = take(folder, text).warnings
    assert str(found).startswith(f"{folder}/web.yml:{warning}")


# What is refused


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "1: the file is empty; write {} for no protection at all"),
        ("- a\n", "1: the web configuration holds 'name: value' lines; write them under it"),
        ("tls_config: {}\n", "1: unknown key 'tls_config' in the web configuration; did you mean"),
        ("tls_server_config:\n", "1: tls_server_config has no value; give it one or remove it"),
        ("{}\n---\n{}\n", "2: second YAML document; remove the --- line"),
        ("a: [\n", "2: not valid YAML"),
        (f"{TLS}{TLS}", "4: tls_server_config is also on line 1; keep one"),
        (f"{TLS}  ciphers: []\n", "4: unknown key 'ciphers' in tls_server_config; did you mean"),
        (f"{TLS}  cert: x\n", "2: cert and cert_file are both there; keep one"),
        (f"{TLS}  min_version: TLS10\n", "4: min_version: TLS 1.0 and 1.1 are broken; write one"),
        (f"{TLS}  max_version: SSL30\n", "4: max_version is 'SSL30'; write one of TLS12, TLS13"),
        (
            f"{TLS}  min_version: TLS13\n  max_version: TLS12\n",
            "4: min_version TLS13 is above max_version TLS12",
        ),
        (f"{TLS}  client_auth_type: Yes please\n", "4: client_auth_type is 'Yes please'; write"),
        (f"{TLS}  client_auth_type: RequestClientCert\n", "4: client_auth_type: certificates that"),
        (f"{TLS}  client_auth_type: RequireAnyClientCert\n", "4: client_auth_type: certificates"),
        (
            f"{TLS}  client_auth_type: RequireAndVerifyClientCert\n",
            "4: client_auth_type: RequireAndVerifyClientCert needs client_ca_file",
        ),
        (f"{TLS}  client_ca_file: ca.crt\n", "4: a CA of clients is used with client_auth_type"),
        (f"{TLS}  client_allowed_sans: [a]\n", "4: client_allowed_sans needs client_auth_type"),
        (f"{TLS}  client_allowed_sans: []\n", "4: client_allowed_sans is no list of texts"),
        (f"{TLS}  cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]\n", "4: cipher_suites: 'TLS_RSA_WITH"),
        (
            f"{TLS}  cipher_suites: [TLS_AES_128_GCM_SHA256]\n",
            "4: cipher_suites has none for TLS 1.2; add one, or min_version: TLS13",
        ),
        (f"{TLS}  curve_preferences: [P256]\n", "4: curve_preferences: unknown curve 'P256'"),
        (f"{TLS}  prefer_server_cipher_suites: 1\n", "4: prefer_server_cipher_suites is neither"),
        ("http_server_config: {headers: {Server: x}}\n", "1: unknown key 'Server' in headers"),
        (
            "http_server_config: {headers: {X-Frame-Options: allow}}\n",
            "1: X-Frame-Options is 'allow'; write one of deny, sameorigin",
        ),
        (
            'http_server_config: {headers: {Content-Security-Policy: "a\\r\\nSet-Cookie: b"}}\n',
            "1: Content-Security-Policy has a character that a header cannot have; remove it",
        ),
        ("http_server_config: {http2: maybe}\n", "1: http2 is neither true nor false"),
        ("basic_auth_users: {'a:b': x}\n", "1: a name of a user has no colon"),
        ("basic_auth_users: {'': x}\n", "1: a name of a user has no colon, and 1 to 256 bytes"),
        (
            "basic_auth_users: {a: hunter2}\n",
            "1: the password of user 'a' is no bcrypt hash; make one with: htpasswd -nBC 10 USER",
        ),
        (
            f"basic_auth_users: {{a: {HASH.replace('$04$', '$31$')}}}\n",
            "1: the password of user 'a' has cost 31; from 4 to 16 is taken, 10 is usual",
        ),
        ("rate_limit: {burst: 3}\n", "1: rate_limit has no interval; add one such as 100ms"),
        ("rate_limit: {interval: 1 s, burst: 3}\n", "1: interval is no duration; write one such"),
        ("rate_limit: {interval: -1s, burst: 3}\n", "1: interval is no duration"),
        ("rate_limit: {interval: 1s}\n", "1: burst is no number from 1 to 1000000: no request"),
        ("rate_limit: {interval: 1s, burst: 0}\n", "1: burst is no number from 1 to 1000000"),
    ],
)
def test_what_is_refused(folder: Path, text: str, problem: str) -> None:
    (found,) = refused(folder, text)
    assert found.startswith(problem)
    assert "hunter2" not in found


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("node.crt", None, "2: cert_file: {path} cannot be read: No such file or directory"),
        ("node.key", None, "3: key_file: {path} cannot be read: No such file or directory"),
        ("node.crt", b"hello", "2: certificate or key is not in PEM; give files that begin with"),
        ("node.key", b"hello", "2: certificate or key is not in PEM"),
        ("node.crt", b"", "2: certificate or key is not in PEM"),
        ("node.key", "other.key", "2: the key is not that of the certificate; give the pair"),
        ("node.crt", b"x" * 1_000_001, "2: cert_file: {path} is larger than 1 MB"),
    ],
)
def test_files_that_are_no_pair(
    folder: Path, name: str, content: bytes | str | None, problem: str
) -> None:
    path = folder / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content if isinstance(content, bytes) else (folder / content).read_bytes())
    (found,) = refused(folder, TLS)
    assert found.startswith(problem.format(path=path))


def test_a_folder_in_place_of_a_file(folder: Path) -> None:
    (found,) = refused(folder, TLS.replace("node.crt", "."))
    assert found.startswith("2: cert_file: ")


def test_an_encrypted_key_asks_nobody(folder: Path) -> None:
    key = (folder / "node.key").read_bytes()
    (folder / "node.key").write_bytes(
        openssl("ec", "-aes256", "-passout", "pass:secret", stdin=key)
    )
    (found,) = refused(folder, TLS)
    assert found.startswith("3: the key is encrypted; decrypt it")


def test_a_ca_without_certificates(folder: Path) -> None:
    (folder / "ca.crt").write_text("hello")
    (found,) = refused(
        folder,
        f"{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n",
    )
    assert found == "5: client_ca_file holds no certificates in PEM"


def test_neither_certificate_nor_key(folder: Path) -> None:
    assert refused(folder, "tls_server_config: {min_version: TLS13}\n") == [
        "1: tls_server_config has neither cert_file nor cert; add one of them",
        "1: tls_server_config has neither key_file nor key; add one of them",
    ]


def test_all_mistakes_are_told_at_once(folder: Path) -> None:
    found = refused(folder, f"{TLS}  min_version: x\nbasic_auth_users: {{a: b}}\nrate_limt: {{}}\n")
    assert [problem.partition(":")[0] for problem in found] == ["6", "4", "5"]


def test_aliases_cannot_multiply(folder: Path) -> None:
    text = "a: &a [x, x, x, x, x, x, x, x, x]\n"
    for name, before in zip("bcdefgh", "abcdefg", strict=True):
        text += f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    (found,) = refused(folder, text)
    assert "its aliases make it too large" in found or "nested too deeply" in found


def test_what_is_meant_as_a_web_configuration(folder: Path) -> None:
    for text, meant in (
        (TLS, True),
        ("tls_server_config: nonsense", True),
        ("web: {listen-address: x}", False),
        ("", False),
        ("a: [", False),
    ):
        (folder / "a.yml").write_text(text)
        assert is_one(folder / "a.yml") is meant
    assert not is_one(folder / "missing.yml")
