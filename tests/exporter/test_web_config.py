"""A web configuration in force: TLS, passwords, client certificates, and what a new one changes."""

import base64
import contextlib
import http.client
import socket
import ssl
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import bcrypt
import pytest
from tests.certificates import Authority, Pair
from tests.exporter.process import Answer, Page, Serve, run

from gpuglass.text import certificate

QUIET = (
    *("--no-collector.nvml", "--no-collector.filesystem"),
    *("--probe.interval", "60s", "--probe.slow-interval", "60s"),
)
NAME, PASSWORD = "scraper", "correct horse"
VALID = "gpuglass_web_configuration_valid"
EXPIRY = "gpuglass_web_certificate_expiry_timestamp_seconds"


def basic(name: str = NAME, password: str = PASSWORD) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def hashed(password: str = PASSWORD) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


def write(path: Path, text: str) -> None:
    """Replace a file in one go, as a careful editor does."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


class Protected:
    """An exporter with a web configuration that tests change, and its CA."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder / "ca")
        self.folder, self.file = folder, folder / "web.yml"
        self.take_pair(self.authority.issue("first"))
        self.users = f"basic_auth_users: {{{NAME}: '{hashed()}'}}\n"
        self.tls = "tls_server_config:\n  cert_file: node.crt\n  key_file: node.key\n"
        self.good = self.tls + self.users
        write(self.file, self.good)
        settings = folder / "gpuglass.yml"
        settings.write_text(f"web:\n  config.file: {self.file}\n")
        arguments = (*QUIET, "--config.file", str(settings))
        self.serve = Serve(arguments, None, Path("/nonexistent"), {}, self.client())

    def client(self, pair: Pair | None = None) -> ssl.SSLContext:
        """What a client speaks that trusts the CA, with a certificate of its own or without."""
        context = ssl.create_default_context(cafile=self.authority.certificate)
        if pair:
            context.load_cert_chain(pair.certificate, pair.key)
        return context

    def take_pair(self, pair: Pair) -> None:
        for source, name in ((pair.certificate, "node.crt"), (pair.key, "node.key")):
            write(self.folder / name, source.read_text())

    def subject(self) -> str:
        """Who the server says it is."""
        with (
            socket.create_connection(("127.0.0.1", self.serve.port), timeout=5) as plain,
            self.client().wrap_socket(plain, server_hostname="localhost") as secure,
        ):
            certificate = secure.getpeercert()
            assert certificate
            return str(dict(pair[0] for pair in certificate["subject"])["commonName"])  # type: ignore[misc]

    def metrics(self, authorization: str = "") -> Answer:
        headers = {"Authorization": authorization} if authorization else {}
        return self.serve.get("/metrics", **headers)

    def wait(self, condition: Callable[[], bool]) -> None:
        self.serve.wait(condition)

    def wait_valid(self, value: int) -> None:
        def shown() -> bool:
            answer = self.metrics(basic())
            return answer.status == 200 and Page(answer.text).values(VALID) == [value]

        self.wait(shown)


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Protected]:
    protected = Protected(tmp_path_factory.mktemp("protected"))
    try:
        yield protected
    finally:
        protected.serve.close()


@pytest.fixture
def protected(module: Protected) -> Iterator[Protected]:
    """The one exporter of all these tests, with its first configuration."""
    yield module
    module.serve.tls = module.client()
    if module.file.read_text() != module.good:
        write(module.file, module.good)
        module.wait_valid(1)


def test_tls_and_a_password(protected: Protected) -> None:
    answer = protected.metrics()
    assert (answer.status, answer.text) == (401, "a name and a password are needed\n")
    assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
    answer = protected.metrics(basic())
    assert answer.status == 200
    assert f"{VALID}{{" in answer.text
    pem = (protected.folder / "node.crt").read_bytes()
    assert Page(answer.text).values(EXPIRY) == [certificate.expiry(pem)]
    assert answer.headers["Server"] == "gpuglass"
    # Whether it lives is nobody's secret.
    assert protected.serve.get("/-/healthy").status == 200
    assert protected.serve.get("/", Authorization=basic()).status == 200


@pytest.mark.parametrize(
    "authorization",
    [
        basic(password="wrong"),
        basic(name="nobody"),
        basic(name=NAME.upper()),
        basic(password=""),
        basic(password=PASSWORD + "\0"),
        basic(password="x" * 5000),
        "Basic",
        "Basic not base64!",
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(),
        "Bearer " + PASSWORD,
    ],
)
def test_nothing_without_the_right_password(protected: Protected, authorization: str) -> None:
    for path in ("/metrics", "/", "/-/healthy/../../metrics", "/-/ready?/metrics/", "/nothing"):
        answer = protected.serve.get(path, Authorization=authorization)
        assert (answer.status == 200) is path.startswith("/-/ready?"), path
        assert b"host_" not in answer.body
        if answer.status != 200:
            assert answer.text == "a name and a password are needed\n"


def test_plain_http_gets_nothing(protected: Protected) -> None:
    with socket.create_connection(("127.0.0.1", protected.serve.port), timeout=5) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert b"HTTP" not in client.recv(1000)


def test_a_client_of_tls_1_1_is_refused(protected: Protected) -> None:
    context = protected.client()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    protected.serve.tls = context
    with pytest.raises(OSError):
        protected.metrics(basic())


def test_headers_are_on_every_answer(protected: Protected) -> None:
    write(
        protected.file,
        f"{protected.good}http_server_config: {{headers: {{X-Frame-Options: deny}}}}\n",
    )
    protected.wait(lambda: protected.metrics().headers.get("X-Frame-Options") == "deny")
    for path, status in (("/metrics", 200), ("/-/healthy", 200), ("/nothing", 404)):
        answer = protected.serve.get(path, Authorization=basic())
        assert (answer.status, answer.headers["X-Frame-Options"]) == (status, "deny")


def test_a_rate(protected: Protected) -> None:
    write(protected.file, f"{protected.good}rate_limit: {{interval: 1h, burst: 3}}\n")
    protected.wait(lambda: protected.metrics(basic()).status == 429)
    answer = protected.metrics(basic())
    assert (answer.status, answer.text) == (429, "too many requests; ask less often\n")
    assert protected.serve.get("/-/healthy").status == 200


def test_a_new_password_counts_and_the_old_one_no_more(protected: Protected) -> None:
    with_new = basic(password="another")
    assert protected.metrics(with_new).status == 401
    write(protected.file, f"{protected.tls}basic_auth_users: {{{NAME}: '{hashed('another')}'}}\n")
    protected.wait(lambda: protected.metrics(with_new).status == 200)
    assert protected.metrics(basic()).status == 401


def test_a_new_certificate_is_shown(protected: Protected) -> None:
    assert protected.subject() == "first"
    protected.take_pair(protected.authority.issue("second"))
    protected.wait(lambda: protected.subject() == "second")
    protected.take_pair(protected.authority.issue("first"))
    protected.wait(lambda: protected.subject() == "first")


@pytest.mark.parametrize("broken", ["", "basic_auth_users: {a: b}\n", "tls_server_config: [\n"])
def test_a_broken_edit_changes_nothing_and_is_told(protected: Protected, broken: str) -> None:
    write(protected.file, broken)
    protected.wait_valid(0)
    assert protected.metrics().status == 401
    assert protected.subject() == "first"


def test_a_certificate_that_is_gone(protected: Protected) -> None:
    certificate = protected.folder / "node.crt"
    kept = certificate.read_text()
    certificate.unlink()
    protected.wait_valid(0)
    assert protected.subject() == "first"
    write(certificate, kept)
    protected.wait_valid(1)


def test_client_certificates(protected: Protected) -> None:
    more = (
        "  client_auth_type: RequireAndVerifyClientCert\n"
        f"  client_ca_file: {protected.authority.certificate}\n"
    )
    open_before = protected.serve.connection()
    open_before.connect()
    write(protected.file, protected.tls + more)
    ours = protected.client(protected.authority.issue("client", "DNS:scraper", "clientAuth"))
    theirs = protected.client(Authority(protected.folder / "other").issue("client", "DNS:scraper"))

    def answered(context: ssl.SSLContext) -> bool:
        protected.serve.tls = context
        try:
            return protected.metrics().status == 200
        except OSError:
            return False

    protected.wait(lambda: answered(ours))
    assert not answered(protected.client())
    assert not answered(theirs)
    # Who came before, without a certificate, has to come again.
    with pytest.raises((OSError, http.client.HTTPException)):
        open_before.request("GET", "/metrics")
        open_before.getresponse()
    server_only = protected.client(protected.authority.issue("server", use="serverAuth"))
    assert not answered(server_only)
    # Only some names of our CA's.
    write(protected.file, f"{protected.tls}{more}  client_allowed_sans: [other]\n")
    protected.wait(lambda: not answered(ours))
    named = protected.client(protected.authority.issue("other", "DNS:x,DNS:other", "clientAuth"))
    assert answered(named)


# At the start


def test_it_does_not_start_with_a_broken_one(tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_text("basic_auth_users: {a: hunter2}\ntls_server_confg: {}\n")
    for command in (("serve", *QUIET, "--web.config.file"), ("config", "check")):
        result = run(*command, str(file))
        assert result.returncode == 2
        lines = result.stderr.splitlines()
        assert any("web.yml:1: the password of user 'a' is no bcrypt hash" in x for x in lines)
        assert any("web.yml:2: unknown key 'tls_server_confg'" in x for x in lines)
        assert "hunter2" not in result.stderr


def test_check_follows_the_settings_file(tmp_path: Path) -> None:
    web, settings = tmp_path / "web.yml", tmp_path / "gpuglass.yml"
    settings.write_text(f"web.config.file: {web}\n")
    assert f"{web}:1: cannot be read: No such file" in run("config", "check", str(settings)).stderr
    web.write_text("http_server_config: {http2: true}\n")
    result = run("config", "check", str(settings))
    assert (result.returncode, result.stdout) == (0, f"{settings}: ok\n")
    assert "web.yml:1: http2: HTTP/1.1 is spoken, with every client (warning)" in result.stderr
