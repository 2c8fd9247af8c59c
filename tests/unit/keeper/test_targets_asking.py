"""What targets say when they are asked, and how they are reached."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.certificates import Authority, Pair
from tests.ports import free_port
from tests.serving import serving

import gpuglass
from gpuglass.keeper.http import Way
from gpuglass.keeper.targets import access
from gpuglass.keeper.targets.access import AccessError
from gpuglass.keeper.targets.asking import Finding, ask_all, ask_one
from gpuglass.keeper.targets.file import Target

SECRET = "Basic YWRhOnMzY3JldA=="
DIRECT = Way(direct=True)


def page(node: str = "n1", version: str = gpuglass.__version__, ahead: float = 0.0) -> str:
    clock = time.time() + ahead
    return (
        f'gpuglass_build_info{{node="{node}",version="{version}",python_version="3.13"}} 1\n'
        f'gpu_up{{node="{node}",gpu="0",uuid="a"}} 1\n'
        f'gpu_up{{node="{node}",gpu="1",uuid="b"}} 0\n'
        f'gpuglass_collector_last_success_timestamp_seconds{{node="{node}",collector="cpu"}} '
        f"{clock:.3f}\n"
        f'gpuglass_collector_last_success_timestamp_seconds{{node="{node}",collector="disk"}} 1\n'
    )


@contextmanager
def node(text: str, tls: ssl.SSLContext | None = None, password: str = "") -> Iterator[str]:
    """The address of a server in place of an exporter."""
    with serving({"/metrics": text}, password, tls) as url:
        yield url.removeprefix("http://")


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Pair]:
    """A CA's certificate, and a certificate of that CA for the name gpu1."""
    authority = Authority(tmp_path_factory.mktemp("tls"))
    return authority.certificate, authority.issue("gpu1", "DNS:gpu1")


@pytest.fixture
def server_tls(issued: tuple[Path, Pair]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued[1].certificate, issued[1].key)
    return context


def target(address: str, **labels: str) -> Target:
    return Target(address, tuple(sorted({"node": "n1", **labels}.items())), 1)


def said(address: str, way: Way = DIRECT, **labels: str) -> str:
    (finding,) = ask_one(target(address, **labels), way, 5.0)
    assert finding.grave
    return finding.what


def test_nothing_is_to_be_said_of_a_node_that_is_as_the_file_says() -> None:
    with node(page()) as address:
        assert ask_one(target(address), DIRECT, 5.0) == []
        assert ask_one(target(address, __gpus__="1"), DIRECT, 5.0) == []


def test_another_name() -> None:
    with node(page("vm")) as address:
        assert said(address) == (
            "calls itself vm, not n1; write the label node: vm, "
            "or start its exporter with --node.name"
        )


@pytest.mark.parametrize(("ahead", "told"), [(100, "100 s ahead"), (-100, "100 s behind")])
def test_a_clock_that_is_off(ahead: float, told: str) -> None:
    with node(page(ahead=ahead)) as address:
        what = said(address).replace("101 s", "100 s").replace("99 s", "100 s")
        assert what == f"its clock is {told} of ours; let NTP set it"


def test_another_version_is_worth_a_look() -> None:
    with node(page(version="0.0.1")) as address:
        assert ask_one(target(address), DIRECT, 5.0) == [
            Finding(f"runs gpuglass 0.0.1, here is {gpuglass.__version__}", grave=False)
        ]


def test_gpus_that_are_missing() -> None:
    with node(page()) as address:
        assert said(address, __gpus__="2") == (
            "1 of 2 GPUs answer; see gpuglass doctor there, or correct the label __gpus__"
        )


def test_something_else_answers() -> None:
    with node("dcgm_up 1\n") as address:
        assert said(address).startswith("answers, but not as gpuglass does; ")


def test_names_and_ports_that_lead_nowhere() -> None:
    assert said("no-such-host.invalid:9400").startswith(
        "cannot be found: this machine does not know the name no-such-host.invalid ("
    )
    closed = f"127.0.0.1:{free_port()}"
    assert said(closed).startswith("does not answer (Connection refused); ")
    with node(page()) as address:
        assert said(address, __metrics_path__="/x") == (
            f"answers HTTP 404 to http://{address}/x; correct port or __metrics_path__"
        )


def test_a_node_that_is_slow() -> None:
    # Takes connections, and nobody serves them.
    with node(page()) as address, socket.create_server(("127.0.0.1", 0)) as silent:
        slow = f"127.0.0.1:{silent.getsockname()[1]}"
        asked = ask_all([target(slow), target(address)], {"http": DIRECT}, 0.5)
        first, second = (findings for _, findings in asked)
    assert first[0].what.startswith("does not answer (timed out); ")
    assert second == []


@contextmanager
def raw(begin: bytes, then: bytes = b"", pause: float = 0.0) -> Iterator[str]:
    """The address of one that answers with some bytes, and then goes on with others for ever."""

    def answer() -> None:
        with suppress(OSError):
            client, _ = server.accept()
            with client:
                client.recv(1 << 16)
                client.sendall(begin)
                while then and not over.wait(pause):
                    client.sendall(then)

    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            over.set()
            thread.join()


OK = b"HTTP/1.1 200 OK\r\n"


def test_a_page_without_an_end() -> None:
    with raw(OK + b"\r\n", b"#" * (1 << 20)) as address:
        assert said(address).startswith("does not answer (more than 32 MiB come); ")


def test_a_page_that_comes_a_byte_at_a_time() -> None:
    with raw(OK + b"\r\n", b"#", pause=0.05) as address:
        (finding,) = ask_one(target(address), DIRECT, 0.5)
    assert finding.what.startswith("does not answer (its answer does not come to an end in time); ")


def test_a_page_that_breaks_off() -> None:
    with raw(OK + b"Content-Length: 9\r\n\r\n#") as address:
        assert said(address).startswith("does not answer (IncompleteRead(")


def test_a_page_of_a_connection_that_stays_open() -> None:
    text = page().encode()
    head = OK + b"Content-Length: %d\r\n\r\n" % len(text)
    with raw(head + text, b"#", pause=60) as address:
        assert ask_one(target(address), DIRECT, 5.0) == []


def test_numbers_that_are_none() -> None:
    with node(page().replace("} 1\n", "} one\n")) as address:
        assert said(address).startswith("answers, but not as gpuglass does; ")


def test_nothing_reaches_a_terminal_as_a_command() -> None:
    with node(page("\x1b]0;mine\x07")) as address:
        assert said(address).startswith("calls itself ?]0;mine?, not n1; ")
    with raw(b"\x1b]0;mine\x07\r\n") as address:
        assert "\x1b" not in said(address)


def scrape_config(folder: Path, job: str) -> Path:
    path = folder / "scrape.yml"
    path.write_text(f"scrape_configs:\n  - job_name: other\n  - job_name: gpu\n{job}")
    return path


def test_the_password_of_the_scrape_config(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    basic = "    basic_auth: {username: ada, password_file: password}\n"
    with node(page(), password=SECRET) as address:
        assert said(address).startswith("refuses our password (HTTP 401); ")
        way = access.read(scrape_config(tmp_path, basic), "http")
        assert ask_one(target(address), way, 5.0) == []
        (tmp_path / "password").write_text("wrong\n")
        way = access.read(scrape_config(tmp_path, basic), "http")
        assert said(address, way).startswith("refuses our password (HTTP 401); ")
    bearer = "    authorization: {credentials: '%{TOKEN}'}\n"
    with node(page(), password="Bearer t0ken") as address:
        way = access.read(scrape_config(tmp_path, bearer), "http", {"TOKEN": "t0ken"})
        assert ask_one(target(address), way, 5.0) == []


def test_the_certificates_of_the_scrape_config(
    tmp_path: Path, issued: tuple[Path, Pair], server_tls: ssl.SSLContext
) -> None:
    trusted = f"    tls_config: {{ca_file: {issued[0]}, server_name: gpu1}}\n"
    with node(page(), server_tls) as address:
        assert said(address, __scheme__="https").startswith("TLS fails (")
        assert said(address) == "hangs up; write the label __scheme__: https if it asks for TLS"
        way = access.read(scrape_config(tmp_path, trusted), "https")
        assert ask_one(target(address, __scheme__="https"), way, 5.0) == []
        way = access.read(scrape_config(tmp_path, trusted.replace("gpu1", "gpu2")), "https")
        assert said(address, way, __scheme__="https").startswith("TLS fails (")
        blind = "    tls_config: {insecure_skip_verify: true}\n"
        way = access.read(scrape_config(tmp_path, blind), "https")
        assert ask_one(target(address, __scheme__="https"), way, 5.0) == []
    with node(page()) as address:
        assert said(address, __scheme__="https").startswith("speaks no TLS; ")


def test_a_client_certificate_of_the_scrape_config(
    tmp_path: Path, issued: tuple[Path, Pair], server_tls: ssl.SSLContext
) -> None:
    server_tls.verify_mode = ssl.CERT_REQUIRED
    ca, pair = issued
    server_tls.load_verify_locations(ca)
    tls = f"ca_file: {ca}, server_name: gpu1"
    own = f"{tls}, cert_file: {pair.certificate}, key_file: {pair.key}"
    with node(page(), server_tls) as address:
        for config, good in ((tls, False), (own, True)):
            way = access.read(scrape_config(tmp_path, f"    tls_config: {{{config}}}\n"), "https")
            found = ask_one(target(address, __scheme__="https"), way, 5.0)
            assert (found == []) is good


@pytest.mark.parametrize(
    ("job", "told"),
    [
        ("    basic_auth: {username: ada}\n", "the nodes' job has no password"),
        (
            "    basic_auth: {username: ada, password_file: none}\n",
            "{folder}/none: No such file or directory",
        ),
        ("    tls_config: {ca_file: none}\n", "No such file or directory"),
        (
            "    tls_config: {min_version: TLS13}\n",
            "tls_config of the nodes' job has min_version, which is not supported here",
        ),
        ("    tls_config: [\n", "is no scrape config ("),
    ],
)
def test_a_scrape_config_that_cannot_be_followed(tmp_path: Path, job: str, told: str) -> None:
    path = scrape_config(tmp_path, job)
    with pytest.raises(AccessError) as error:
        access.read(path, "http")
    assert str(error.value).startswith(f"{path}: {told.format(folder=tmp_path)}")
    assert str(error.value).endswith("; correct it, or name another with --scrape.config")


def test_without_a_scrape_config_nodes_are_asked_plainly(tmp_path: Path) -> None:
    assert access.read(tmp_path / "none", "http") == DIRECT
    shipped = Path(gpuglass.__file__).parents[2] / "victoriametrics/scrape.yml"
    assert access.read(shipped, "http").direct
