"""What a client of the exporter's port gets, and where it listens."""

import gzip
import http.client
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from tests.exporter.conftest import Start
from tests.exporter.process import PATIENCE, Page, Serve, run
from tests.ports import free_port, is_free

import gpuglass

HAS_IPV6 = is_free(0, socket.AF_INET6, "::1")
QUIET = (
    *("--no-collector.nvml", "--no-collector.filesystem"),
    *("--probe.interval", "60s", "--probe.slow-interval", "60s"),
)
TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    """One exporter without GPUs for all tests that only ask."""
    serve = Serve(QUIET, None, Path("/nonexistent"), {})
    try:
        serve.wait_ready()
        yield serve
    finally:
        serve.close()


def request(serve: Serve, method: str, path: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", serve.port, timeout=5)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/plain;version=0.0.4;q=1,*/*;q=0.1", TEXT),
        ("text/plain;version=1.0.0;escaping=allow-utf-8", TEXT),
        ("application/openmetrics-text; version=0.0.1", TEXT),
        ("application/openmetrics-text; version=99.0.0", TEXT),
        ("application/openmetrics-text; version=abc", TEXT),
        ("application/json", TEXT),
        ("nonsense", TEXT),
        ("application/openmetrics-text", OPENMETRICS),
        ("application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.3", OPENMETRICS),
    ],
)
def test_the_format_is_negotiated(serve: Serve, accept: str, content_type: str) -> None:
    answer = serve.get(Accept=accept)
    assert (answer.status, answer.headers["Content-Type"]) == (200, content_type)
    assert answer.headers["Vary"] == "Accept, Accept-Encoding"
    if content_type == OPENMETRICS:
        assert answer.text.endswith("# EOF\n")
        assert any(family.name == "host_load1" for family in parse_openmetrics(answer.text))
    else:
        assert "# EOF" not in answer.text
        assert Page(answer.text).value("host_load1") >= 0


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text"])
def test_gzip_is_the_same_page(serve: Serve, accept: str) -> None:
    packed = serve.get(Accept=accept, Accept_Encoding="deflate, gzip")
    assert packed.headers["Content-Encoding"] == "gzip"
    text = gzip.decompress(packed.body).decode()
    plain = serve.get(Accept=accept)
    assert "Content-Encoding" not in plain.headers

    def names(page: str) -> list[str]:
        return [line.split(" ")[0] for line in page.splitlines()]

    assert names(text) == names(plain.text)
    assert len(packed.body) < len(text) / 3


@pytest.mark.parametrize("encoding", ["", "identity", "gzip;q=0", "br"])
def test_nobody_gets_gzip_who_does_not_take_it(serve: Serve, encoding: str) -> None:
    answer = serve.get(Accept_Encoding=encoding)
    assert "Content-Encoding" not in answer.headers
    assert answer.text.startswith("# HELP ")


@pytest.mark.parametrize("path", ["/metrics", "/-/healthy", "/-/ready", "/"])
def test_head_has_the_headers_and_no_body(serve: Serve, path: str) -> None:
    status, headers, body = request(serve, "HEAD", path)
    assert (status, body) == (200, b"")
    assert headers["Content-Type"] == serve.get(path).headers["Content-Type"]


@pytest.mark.parametrize("path", ["/metric", "/metrics/", "/-/", "/../etc/passwd", "/%00"])
def test_other_paths_are_not_found(serve: Serve, path: str) -> None:
    assert request(serve, "GET", path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/metrics", "/-/ready"])
def test_only_reading_is_allowed(serve: Serve, method: str, path: str) -> None:
    status, headers, _ = request(serve, method, path)
    assert status == 405
    assert headers["Allow"] == "GET,HEAD"


def test_health(serve: Serve) -> None:
    assert (serve.get("/-/healthy").status, serve.get("/-/healthy").text) == (200, "healthy\n")
    assert (serve.get("/-/ready").status, serve.get("/-/ready").text) == (200, "ready\n")


def test_the_live_page_links_to_the_metrics(serve: Serve) -> None:
    answer = serve.get("/")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    for path in ("/metrics", "/-/healthy", "/-/ready"):
        assert f'<a href="{path}">' in answer.text
    assert f"gpuglass {gpuglass.__version__}" in answer.text


def test_a_client_that_talks_nonsense_harms_nobody(serve: Serve) -> None:
    for nonsense in (b"\x00\xff\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nA" + b"b" * 20_000):
        with socket.create_connection(("127.0.0.1", serve.port), timeout=5) as client:
            client.sendall(nonsense)
    assert serve.get().status == 200


# Where it listens


def test_a_path_of_ones_own(start: Start) -> None:
    serve = start("--web.telemetry-path", '/a/"m"&<é>', *QUIET)
    serve.wait_ready()
    assert serve.get("/a/%22m%22&%3C%C3%A9%3E").text.startswith("# HELP ")
    assert serve.get("/metrics").status == 404
    assert "/a/&quot;m&quot;&amp;&lt;é&gt;" in serve.get("/").text


def test_the_root_as_path(start: Start) -> None:
    serve = start("--web.telemetry-path", "/", *QUIET)
    assert serve.get("/").text.startswith("# HELP ")


def status(host: str, port: int) -> int:
    """What is answered there, once something listens: one address comes after the other."""
    deadline = time.monotonic() + PATIENCE
    while True:
        connection = http.client.HTTPConnection(host, port, timeout=5)
        try:
            connection.request("GET", "/metrics")
            return connection.getresponse().status
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        finally:
            connection.close()


@pytest.mark.skipif(not HAS_IPV6, reason="this machine has no IPv6")
def test_two_addresses_one_of_them_ipv6(start: Start) -> None:
    port = free_port(socket.AF_INET6, "::1")
    serve = start("--web.listen-address", f"[::1]:{port}", *QUIET)
    assert serve.get().status == status("::1", port) == 200


@pytest.mark.parametrize("host", ["", "*"])
def test_every_interface(start: Start, host: str) -> None:
    port = free_port()
    start("--web.listen-address", f"{host}:{port}", *QUIET)
    if HAS_IPV6:
        assert status("::1", port) == 200
    assert status("127.0.0.1", port) == status("localhost", port) == 200


def test_a_busy_port(serve: Serve) -> None:
    result = run("serve", *QUIET, "--web.listen-address", f"127.0.0.1:{serve.port}")
    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"gpuglass: error: cannot listen on 127.0.0.1:{serve.port}: ")
    assert "address already in use" in line
    assert "--web.listen-address" in line


@pytest.mark.parametrize(
    ("address", "word"),
    [
        ("node.invalid:9400", "cannot listen on node.invalid:9400"),
        ("192.0.2.1:9400", "cannot assign requested address"),
        ("a..b:9400", "no host name"),
        (f"{'x' * 70}.example:9400", "no host name"),
        ("[::zz]:9400", "cannot listen on [::zz]:9400"),
    ],
)
def test_an_address_that_is_not_ours(address: str, word: str) -> None:
    result = run("serve", *QUIET, "--web.listen-address", address)
    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("gpuglass: error: ")
    assert word in line


def test_a_bad_address_ends_the_probe_too(simulator: Path, scenario: Path, serve: Serve) -> None:
    address = f"127.0.0.1:{serve.port}"
    result = run(*("serve", "--web.listen-address", address), driver=simulator, scenario=scenario)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("gpuglass: error: cannot listen on ")
    assert "Traceback" not in result.stderr


def test_the_settings_file_is_what_a_process_runs_with(start: Start, tmp_path: Path) -> None:
    settings = tmp_path / "gpuglass.yml"
    settings.write_text(
        "web:\n  telemetry-path: /m\nnode.name: from-file\nprobe.interval: 50s\n"
        "probe: {slow-interval: 1m}\ncollector:\n  nvml: false\n"
    )
    serve = start("--config.file", str(settings), GPUGLASS_NODE_NAME="from-environment")
    serve.wait_ready()
    page = Page(serve.get("/m").text)
    assert page.value("host_load1", node="from-environment") >= 0
    assert serve.children() == []
