"""Nodes that are scraped over TLS, with the installation's own CA and password."""

import http.server
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.certificates import Authority
from tests.exporter.process import Serve
from tests.integration.conftest import Fleet
from tests.integration.stack import GPUGLASS, Stack, environment, wait_for
from tests.ports import free_port, is_free


def gpuglass(stack: Stack, *arguments: str) -> "subprocess.CompletedProcess[str]":
    places = {
        "GPUGLASS_TLS_DIR": str(stack.tls_dir),
        "GPUGLASS_TARGETS_DIR": str(stack.targets),
        "GPUGLASS_SCRAPE_CONFIG": str(stack.targets.parent / "scrape.yml"),
    }
    return subprocess.run(
        [*GPUGLASS, *arguments],
        env=environment(**places),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def enrol(stack: Stack, file: Path, *names: str) -> None:
    """Write what a node serves with, as its user would paste it."""
    printed = gpuglass(stack, "enrol", *names)
    assert printed.returncode == 0, printed.stderr
    command, _, rest = printed.stdout.partition("<<'END'\n")
    assert command.endswith("./setup.sh --worker --tls - ")
    file.write_text(rest.partition("END\n")[0])


def trusting(stack: Stack) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=stack.tls_dir / "ca.crt")


@pytest.fixture
def stack(fleet: Fleet) -> Iterator[Stack]:
    yield fleet.stack
    (fleet.stack.targets / "secure.yml").unlink(missing_ok=True)


@pytest.fixture
def secure(stack: Stack, simulator: Path, tmp_path: Path) -> Iterator[Serve]:
    """An enrolled node."""
    web, scenario = tmp_path / "web.yml", tmp_path / "secure.conf"
    enrol(stack, web, "127.0.0.1")
    scenario.write_text("gpus 1 preset=l40s\n")
    arguments = ("--node.name", "secure", "--web.config.file", str(web))
    serve = Serve(arguments, simulator, scenario, {}, trusting(stack))
    try:
        yield serve
    finally:
        serve.close()


def write(
    stack: Stack, port: int, more: str = "__scheme__: https", host: str = "127.0.0.1"
) -> None:
    (stack.targets / "secure.yml").write_text(
        f"- targets: ['{host}:{port}']\n  labels: {{node: secure, {more}}}\n"
    )


def test_an_enrolled_node_is_scraped(stack: Stack, secure: Serve) -> None:
    assert secure.get().status == 401
    write(stack, secure.port)
    up = 'up{job="gpu",node="secure"}'
    wait_for("vmagent gets its page", lambda: stack.values(up) == [1])
    wait_for("its GPU is stored", lambda: stack.query('gpu_info{node="secure"}'))
    assert gpuglass(stack, "targets", "check").returncode == 0

    # Without the password it gets nothing, and goes on once that is right again.
    password = stack.tls_dir / "scrape.password"
    kept = password.read_text()
    password.write_text("wrong\n")
    wait_for("it is refused", lambda: stack.values(up) == [0])
    told = gpuglass(stack, "targets", "check")
    assert told.returncode != 0
    assert "refuses our password (HTTP 401)" in told.stdout + told.stderr
    password.write_text(kept)
    wait_for("vmagent gets its page again", lambda: stack.values(up) == [1])


@pytest.mark.skipif(not is_free(0, socket.AF_INET6, "::1"), reason="this machine has no IPv6")
def test_a_node_is_scraped_by_its_ipv6_address(
    stack: Stack, simulator: Path, tmp_path: Path
) -> None:
    web, scenario, port = tmp_path / "web.yml", tmp_path / "v6.conf", free_port()
    enrol(stack, web, "127.0.0.1", "::1")
    scenario.write_text("gpus 1 preset=l40s\n")
    # As a worker listens.
    arguments = ("--web.listen-address", f"*:{port}", "--node.name", "secure")
    serve = Serve(
        (*arguments, "--web.config.file", str(web)), simulator, scenario, {}, trusting(stack)
    )
    try:
        write(stack, port, host="[::1]")
        up = f'up{{job="gpu",node="secure",instance="[::1]:{port}"}}'
        wait_for("vmagent gets its page", lambda: stack.values(up) == [1])
        told = gpuglass(stack, "targets", "check")
        assert told.returncode == 0, told.stdout + told.stderr
    finally:
        serve.close()


def test_a_node_that_was_enrolled_by_another_name(
    stack: Stack, simulator: Path, tmp_path: Path
) -> None:
    web = tmp_path / "web.yml"
    enrol(stack, web, "gpu01.example.org", "10.0.0.7")
    context = trusting(stack)
    context.check_hostname = False
    arguments = ("--no-collector.nvml", "--web.config.file", str(web))
    serve = Serve(arguments, None, tmp_path, {}, context)
    try:
        write(stack, serve.port)
        wait_for("it is not believed", lambda: stack.values('up{node="secure"}') == [0])
        told = gpuglass(stack, "targets", "check")
        assert "TLS fails" in told.stdout + told.stderr
    finally:
        serve.close()


@contextmanager
def listener(context: ssl.SSLContext | None) -> Iterator[tuple[int, list[str | None]]]:
    """Somebody who notes with which credentials we come."""
    heard: list[str | None] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.headers["Authorization"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context:
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1], heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_password_is_told_to_nobody_without_tls(stack: Stack) -> None:
    with listener(None) as (port, heard):
        write(stack, port, "other: plain")
        wait_for("it is asked", lambda: heard)
        gpuglass(stack, "targets", "check")
        assert set(heard) == {None}


def test_the_password_is_told_to_nobody_whom_our_ca_does_not_know(
    stack: Stack, tmp_path: Path
) -> None:
    pair = Authority(tmp_path / "other").issue("node")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    with listener(context) as (port, heard):
        write(stack, port)
        wait_for("it is not believed", lambda: stack.values('up{node="secure"}') == [0])
        gpuglass(stack, "targets", "check")
        assert heard == []
