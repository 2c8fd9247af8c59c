"""The usual attacks on what an exporter serves."""

import contextlib
import gzip
import http.client
import json
import resource
import socket
import ssl
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.certificates import Authority
from tests.exporter.conftest import Start
from tests.exporter.process import Serve, run
from tests.exporter.test_clients import answers, exchange, files, is_dropped, rss
from tests.exporter.test_web_config import NAME, PASSWORD, QUIET, basic
from tests.ports import free_port

MIB = 2**20
ZEROS = bytes(128 * MIB)
ADDRESSES = [
    address.address
    for interface in psutil.net_if_addrs().values()
    for address in interface
    if address.family is socket.AF_INET and not address.address.startswith("127.")
]


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    serve = Serve((*QUIET, "--web.timeout", "3s"), None, Path("/nonexistent"), {})
    try:
        serve.wait_ready()
        yield serve
    finally:
        serve.close()


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """One with TLS and a password whose check takes a while."""
    import bcrypt

    folder = tmp_path_factory.mktemp("secure")
    authority = Authority(folder)
    pair = authority.issue("node")
    hash = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(9)).decode()
    (folder / "web.yml").write_text(
        f"tls_server_config: {{cert_file: {pair.certificate}, key_file: {pair.key}}}\n"
        f"basic_auth_users: {{{NAME}: '{hash}'}}\n"
    )
    context = ssl.create_default_context(cafile=authority.certificate)
    arguments = (*QUIET, "--web.timeout", "3s", "--web.config.file", str(folder / "web.yml"))
    serve = Serve(arguments, None, Path("/nonexistent"), {}, context)
    try:
        yield serve
    finally:
        serve.close()


# What is asked for


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../../../../../etc/passwd",
        "/static/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/static/..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/static/..%252f..%252fetc%252fpasswd",
        "/static/..\\..\\..\\etc\\passwd",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/index.html%00.js",
        "/static/../app.py",
        "/static/__init__.py",
        "/metrics/../../../../etc/passwd",
        "/api/v1/../../../../../etc/passwd",
        "/file:///etc/passwd",
    ],
)
def test_no_path_leads_to_other_files(serve: Serve, path: str) -> None:
    raw = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    ((status, body),) = answers(exchange(serve, raw))
    assert status in (400, 404)
    assert b"root:" not in body and b"import" not in body


@pytest.mark.parametrize(
    "path",
    [
        "/x%0d%0aSet-Cookie:%20a=b",
        "/x%0aX-Evil:%20yes",
        "/metrics?x=%0d%0aX-Evil:%20yes",
        "/<script>alert(1)</script>",
        "/%3Cscript%3Ealert(1)%3C/script%3E",
    ],
)
def test_nothing_that_is_asked_comes_back(serve: Serve, path: str) -> None:
    raw = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    head, _, body = exchange(serve, raw).partition(b"\r\n\r\n")
    assert b"evil" not in head.lower() and b"set-cookie" not in head.lower()
    assert b"script" not in body or b"alert(1)" not in body


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 4\r\nContent-Length: 30\r\n",
        b"Content-Length: 4, 4\r\n",
        b"Content-Length : 4\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"X: a\rb\r\n",
        b"X: a\x00b\r\n",
    ],
)
def test_a_request_within_a_request_is_not_answered(serve: Serve, head: bytes) -> None:
    hidden = b"0\r\n\r\nGET /-/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    raw = b"POST /metrics HTTP/1.1\r\nHost: localhost\r\n" + head + b"\r\n" + hidden
    for status, body in answers(exchange(serve, raw)):
        assert 400 <= status < 500
        assert body != b"ready\n"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT"])
def test_no_request_changes_anything(serve: Serve, method: str) -> None:
    before = serve.get("/-/ready").text
    for path in ("/", "/metrics", "/-/healthy", "/-/ready", "/api/v1/snapshot", "/api/v1/stream"):
        target = "localhost:1" if method == "CONNECT" else path
        raw = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        ((status, _),) = answers(exchange(serve, raw))
        assert status in (400, 404, 405), (method, path)
    for path in ("/-/reload", "/-/quit", "/debug/pprof", "/api/v1/release", "/release"):
        assert serve.get(path).status == 404
    assert serve.get("/-/ready").text == before


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_bomb_in_a_request(serve: Serve, method: str) -> None:
    before = rss(serve)
    for encoding, bomb in (("gzip", gzip.compress(ZEROS)), ("deflate", zlib.compress(ZEROS))):
        connection = serve.connection()
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection.request(method, "/metrics", bomb, {"Content-Encoding": encoding})
            connection.getresponse().read()
        connection.close()
        assert serve.get().status == 200
        assert rss(serve) - before < 30 * MIB


# Who asks


@pytest.mark.skipif(not ADDRESSES, reason="this machine has no address but the loopback's")
def test_others_get_the_metrics_and_no_more() -> None:
    port = free_port()
    serve = Serve((*QUIET, "--web.listen-address", f":{port}"), None, Path("/nonexistent"), {})
    try:
        serve.wait_ready()
        for path, status in (
            *(("/metrics", 200), ("/-/healthy", 200), ("/-/ready", 200)),
            *(("/", 403), ("/api/v1/snapshot", 403), ("/api/v1/stream", 403)),
            *(("/static/page.js", 403), ("/metrics/", 403), ("//metrics", 403)),
        ):
            connection = http.client.HTTPConnection(ADDRESSES[0], port, timeout=5)
            with contextlib.closing(connection):
                connection.request("GET", path)
                answer = connection.getresponse()
                text = answer.read().decode()
            assert answer.status == status, path
            if status == 403:
                assert text.startswith(
                    "only this machine may see this, at localhost; for others, give"
                )
                assert len(text.splitlines()) == 1
    finally:
        serve.close()


def test_a_page_elsewhere_cannot_read_ours_through_a_browser(serve: Serve) -> None:
    assert serve.get("/api/v1/snapshot", Host="evil.example.org").status == 403
    for path in ("/metrics", "/api/v1/snapshot"):
        answer = serve.get(path, Origin="https://evil.example.org")
        assert answer.status == 200
        assert not [name for name in answer.headers if name.startswith("Access-Control")]


# Guesses, and handshakes that come to nothing


def test_guesses_do_not_keep_scrapes_out(secure: Serve) -> None:
    assert secure.get("/metrics", Authorization=basic()).status == 200
    stop = threading.Event()
    statuses: set[int] = set()

    def guess(number: int) -> None:
        count = 0
        while not stop.is_set():
            count += 1
            with contextlib.suppress(OSError, http.client.HTTPException):
                wrong = basic(password=f"{number} {count}")
                statuses.add(secure.get("/metrics", Authorization=wrong).status)

    guessers = [threading.Thread(target=guess, args=(number,)) for number in range(4)]
    for guesser in guessers:
        guesser.start()
    try:
        for _ in range(20):
            assert secure.get("/metrics", Authorization=basic()).status == 200
    finally:
        stop.set()
        for guesser in guessers:
            guesser.join()
    assert statuses <= {401, 503} and 503 in statuses


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
def test_handshakes_that_come_to_nothing(secure: Serve, sent: bytes) -> None:
    base, before = files(secure), rss(secure)
    with contextlib.ExitStack() as stack:
        idle = []
        for number in range(800):
            if number == 500:
                time.sleep(0.3)  # from then on those who are quiet make way
            client = stack.enter_context(socket.socket())
            client.connect(("127.0.0.1", secure.port))
            client.setblocking(False)
            with contextlib.suppress(OSError):
                client.sendall(sent)
            idle.append(client)
        # The quietest make way for who comes with a handshake that is one.
        secure.wait(lambda: secure.get("/metrics", Authorization=basic()).status == 200)
        assert files(secure) < base + 600
        assert rss(secure) - before < 60 * MIB
        secure.wait(lambda: all(map(is_dropped, idle)))
    secure.wait(lambda: files(secure) <= base + 2)


def test_slow_readers_over_tls_are_dropped(secure: Serve) -> None:
    assert secure.tls
    base = files(secure)
    ask = f"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAuthorization: {basic()}\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        slow = []
        for _ in range(10):
            plain = socket.socket()
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            plain.settimeout(20)
            plain.connect(("127.0.0.1", secure.port))
            secured = secure.tls.wrap_socket(plain, server_hostname="localhost")
            client = stack.enter_context(secured)
            client.settimeout(0.5)
            # More answers than the kernel holds for one who does not read.
            with contextlib.suppress(OSError):
                client.sendall(ask * 1000)
            slow.append(client)
        assert secure.get("/metrics", Authorization=basic()).status == 200
        secure.wait(lambda: all(map(is_dropped, slow)))
    secure.wait(lambda: files(secure) <= base + 2)


# What others have named


HOSTILE = 'a"} 1\n\\x{<b>'
_RENAMED = f"""
import ctypes, sys, time
ctypes.CDLL(None).prctl(15, {HOSTILE.encode()!r}, 0, 0, 0)
sys.stdout.write("ready\\n"); sys.stdout.flush(); time.sleep(600)
"""


def texts(node: Any) -> list[str]:
    """Every text in a tree of JSON."""
    if isinstance(node, str):
        return [node]
    parts = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [text for part in parts for text in texts(part)]


def test_names_of_processes_stay_in_their_labels(start: Start, scenario: Path) -> None:
    argument = 'x"} 1\ngpu_up{gpu="7",uuid="GPU-evil"} 0\n# HELP'
    process = subprocess.Popen([sys.executable, "-c", _RENAMED, argument], stdout=subprocess.PIPE)
    try:
        assert process.stdout and process.stdout.readline() == b"ready\n"
        scenario.write_text(
            f"gpus 1 preset=h200\nprocess pid={process.pid} gpu=0 type=compute memory=1GiB\n"
        )
        serve = start("--processes.commands", "--no-collector.filesystem")
        serve.wait_ready()
        page = serve.page()
        (info,) = [s for s in page.samples if s.name == "gpu_process_info"]
        assert info.labels["name"] == HOSTILE
        assert info.labels["command"].endswith(argument)
        assert page.values("gpu_up") == [1]
        # Each line begins with a name of ours.
        names = [line.partition("{")[0] for line in page.text.splitlines()]
        assert all(name.startswith(("gpu_", "gpuglass_", "host_", "# ")) for name in names)
        assert HOSTILE in texts(json.loads(serve.get("/api/v1/snapshot").text))
    finally:
        process.kill()
        process.wait()


# What the configuration says


def _bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


BOMBS = {
    "aliases": _bomb(9),
    "lists": "[" * 20_000,
    "mappings": "web: " + "{a: " * 5_000,
    "size": "x" * 11_000_000,
}


@pytest.mark.parametrize("option", ["--config.file", "--web.config.file"])
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_in_a_file(tmp_path: Path, option: str, bomb: str) -> None:
    file = tmp_path / "file.yml"
    file.write_text(BOMBS[bomb])
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (800 * MIB, hard))
    try:
        result = run("serve", *QUIET, option, str(file))
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert len(result.stderr) < 20_000
