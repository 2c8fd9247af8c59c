"""`gpuglass status` against a server that answers as VictoriaMetrics does."""

import http.server
import json
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gpuglass.catalogue import exporter, host
from gpuglass.catalogue import gpu as gpus
from gpuglass.cli import nodes, status

GIB = 1 << 30
Series = tuple[str, dict[str, str], float]


def node(name: str, instance: str, up: int = 1) -> list[Series]:
    of = {"node": name, "instance": instance, "job": "gpu"}
    facts: list[Series] = [("up", of, up)]
    if up:
        facts += [
            ("host_memory_total_bytes", of, 64 * GIB),
            ("host_memory_available_bytes", of, 48 * GIB),
            ("gpuglass_collector_success", {**of, "collector": "nvml"}, 1),
            ("gpuglass_collector_success", {**of, "collector": "disk"}, 0),
            ("gpu_devices", of, 1),
        ]
    return facts


def gpu(name: str, instance: str, index: int) -> list[Series]:
    of = {"node": name, "instance": instance, "gpu": str(index), "uuid": f"GPU-{index}"}
    return [
        ("gpu_info", {**of, "name": "NVIDIA H200"}, 1),
        ("gpu_up", of, 1),
        ("gpu_utilization_ratio", of, 0.85),
        ("gpu_memory_used_bytes", of, 12 * GIB),
        ("gpu_memory_total_bytes", of, 141 * GIB),
        ("gpu_power_watts", of, 350.4),
        ("gpu_power_limit_watts", {**of, "limit": "enforced"}, 700),
        ("gpu_power_limit_watts", {**of, "limit": "default"}, 1),
        ("gpu_temperature_celsius", {**of, "sensor": "core"}, 54),
        ("gpu_temperature_celsius", {**of, "sensor": "memory"}, 60),
    ]


class Server:
    """Answers instant queries from a list of series, or whatever else it is told to."""

    def __init__(self) -> None:
        self.facts: list[Series] = []
        self.cpu: dict[str, str] = {}
        self.seen: dict[str, float] = {}
        self.receivers: float | None = None
        self.raw: tuple[int, bytes] | None = None
        self.requests = 0
        self.before_answer: Callable[[], None] = lambda: None
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests += 1
                server.before_answer()
                code, body = server.raw or (200, server.answer(self.path))
                self.send_response(code)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, path: str) -> bytes:
        url = urllib.parse.urlsplit(path)
        assert url.path == "/api/v1/query"
        arguments = dict(urllib.parse.parse_qsl(url.query))
        assert arguments["nocache"] == "1"
        query = arguments["query"]
        series: list[tuple[dict[str, str], Any]]
        if "__name__" in query:
            series = [({"__name__": n, **labels}, value) for n, labels, value in self.facts]
        elif "receivers" in query:
            series = [({}, self.receivers)] if self.receivers is not None else []
        elif "tlast_over_time" in query:
            series = [({"instance": i}, value) for i, value in self.seen.items()]
        else:
            series = [({"instance": i}, value) for i, value in self.cpu.items()]
        result = [
            {"metric": labels, "value": [time.time(), str(value)]} for labels, value in series
        ]
        return json.dumps({"status": "success", "data": {"result": result}}).encode()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def run(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(status.command, ["--victoriametrics.url", url, *arguments])


def table(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


def error(result: Result) -> str:
    assert result.exit_code == 1
    (line,) = result.output.splitlines()
    return line.removeprefix("Error: ")


def test_the_table(server: Server) -> None:
    server.facts = [
        *node("10.0.0.2", "10.0.0.2:9400", 0),
        *node("beta", "beta:9400"),
        *gpu("beta", "beta:9400", 10),
        *gpu("beta", "beta:9400", 2),
    ]
    server.cpu = {"beta:9400": "0.125"}
    now = time.time()
    server.seen = {"beta:9400": now, "10.0.0.2:9400": now - 300}
    assert table(run(server.url)) == [
        "NODE      STATE                 CPU   MEMORY",
        "10.0.0.2  down, seen 5 min ago  -     -",
        "beta      up                    12 %  16.0 / 64.0 GiB",
        "",
        "NODE  GPU  NAME         UTIL  MEMORY            POWER        TEMP",
        "beta  2    NVIDIA H200  85 %  12.0 / 141.0 GiB  350 / 700 W  54 °C",
        "beta  10   NVIDIA H200  85 %  12.0 / 141.0 GiB  350 / 700 W  54 °C",
    ]


@pytest.mark.parametrize(("receivers", "told"), [(0, False), (2, True), (None, True)])
def test_that_nobody_is_told_of_alerts_is_said(
    server: Server, receivers: float | None, told: bool
) -> None:
    server.facts, server.receivers = node("beta", "beta:9400"), receivers
    server.cpu = {"beta:9400": "0.1"}
    last = table(run(server.url))[-1]
    assert last.startswith("Nobody is told of alerts yet: ") != told


def test_a_node_is_called_what_its_exporter_says(server: Server) -> None:
    facts = node("beta", "10.0.0.2:9400")
    facts[0] = ("up", {**facts[0][1], "node": "10.0.0.2"}, 1)
    server.facts = facts
    assert table(run(server.url))[1].startswith("beta  up")


@pytest.mark.parametrize(
    ("more", "shown"),
    [
        ([], "no GPU: none seen yet"),
        ([("gpu_devices", {}, 0)], "no GPU: the driver lists none"),
        (
            [("gpuglass_collector_success", {"collector": "nvml"}, 0)],
            "no GPU: NVML cannot be read",
        ),
        (
            [
                (
                    "gpuglass_collector_failure_info",
                    {"collector": "nvml", "reason": "no driver"},
                    1,
                ),
                ("gpuglass_collector_success", {"collector": "nvml"}, 0),
            ],
            "no GPU: no driver",
        ),
    ],
)
def test_a_node_without_gpus(server: Server, more: list[Series], shown: str) -> None:
    of = {"node": "n", "instance": "n:1"}
    server.facts = [*node("n", "n:1"), *((name, {**of, **k}, v) for name, k, v in more)]
    assert table(run(server.url))[-1] == f"n     -    {shown}"


def test_a_lost_gpu(server: Server) -> None:
    lost = ("gpu_up", {"node": "n", "instance": "n:1", "gpu": "0", "uuid": "GPU-0"}, 0.0)
    server.facts = [*node("n", "n:1"), lost]
    assert table(run(server.url))[-1] == "n     0    GPU-0: down"


def test_facts_that_are_not_known(server: Server) -> None:
    info = gpu("n", "n:1", 0)[0]
    nan = ("gpu_power_watts", info[1], float("nan"))
    server.facts = [*node("n", "n:1")[:2], info, nan]
    assert table(run(server.url)) == [
        "NODE  STATE  CPU  MEMORY",
        "n     up     -    - / 64.0 GiB",
        "",
        "NODE  GPU  NAME         UTIL  MEMORY  POWER  TEMP",
        "n     0    NVIDIA H200  -     -       -      -",
    ]


def test_json(server: Server) -> None:
    server.facts = [*node("n", "n:1"), *gpu("n", "n:1", 0)]
    server.cpu, server.seen = {"n:1": "0.5"}, {"n:1": 1700000000}
    assert json.loads("\n".join(table(run(server.url, "--json")))) == {
        "nodes": [
            {
                "node": "n",
                "instance": "n:1",
                "up": True,
                "last_seen_timestamp_seconds": 1700000000,
                "cpu_ratio": 0.5,
                "memory_total_bytes": 64 * GIB,
                "memory_available_bytes": 48 * GIB,
                "gpu_problem": None,
                "gpus": [
                    {
                        "gpu": "0",
                        "uuid": "GPU-0",
                        "up": True,
                        "name": "NVIDIA H200",
                        "utilization_ratio": 0.85,
                        "memory_used_bytes": 12 * GIB,
                        "memory_total_bytes": 141 * GIB,
                        "power_watts": 350.4,
                        "power_limit_watts": 700,
                        "temperature_celsius": 54,
                    }
                ],
            }
        ]
    }


def test_nothing_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    assert error(run(url)) == (
        f"VictoriaMetrics at {url} cannot be reached (Connection refused); "
        "start it, or give its address with --victoriametrics.url"
    )


@pytest.mark.parametrize(
    ("code", "body", "detail"),
    [
        (200, b"<html>", ""),
        (200, b"[]", ""),
        (200, b"{}", ""),
        (200, b'{"status": "success", "data": {"result": [{}]}}', ""),
        (200, b"\xff", ""),
        (404, b"", " (HTTP 404)"),
        (404, b'{"status": "error", "error": "no such page"}', " (HTTP 404)"),
        (422, b'{"error": {"code": 1}}', " (HTTP 422)"),
    ],
)
def test_something_else_listens(server: Server, code: int, body: bytes, detail: str) -> None:
    server.raw = (code, body)
    assert error(run(server.url)) == (
        f"what listens at {server.url} does not answer as VictoriaMetrics does{detail}; "
        "give its address with --victoriametrics.url"
    )


def test_it_refuses(server: Server) -> None:
    server.raw = (200, b'{"status": "error", "error": "too busy"}')
    assert error(run(server.url)) == f"VictoriaMetrics at {server.url} refuses: too busy"
    server.raw = (422, json.dumps({"status": "error", "error": "too\nmany " * 99}).encode())
    complaint = error(run(server.url))
    assert complaint.startswith(f"VictoriaMetrics at {server.url} refuses (HTTP 422): too many too")
    assert len(complaint) < 400


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY"])
def test_no_proxy_is_asked_for_this_machine(
    server: Server, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "http://127.0.0.1:1")
    assert error(run(server.url)).startswith("no targets are scraped")
    assert error(run(server.url.replace("127.0.0.1", "localhost"))).startswith("no targets are")


def test_a_proxy_is_asked_for_other_machines(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    server.raw = (200, b'{"status": "error", "error": "it came this way"}')
    assert error(run("http://gpuglass.invalid")).endswith("refuses: it came this way")


def test_no_targets(server: Server) -> None:
    assert error(run(server.url)).startswith("no targets are scraped; gpuglass targets add ")


def test_all_down(server: Server) -> None:
    server.facts = [*node("a", "a:1", 0), *node("b", "b:1", 0)]
    assert error(run(server.url)).startswith("no node is up (a:1, b:1); gpuglass targets check ")


@pytest.mark.parametrize(
    "url",
    [
        *("localhost:8428", "http://", "http://:8428", "http://[::1", "http://[::x]:8428"),
        *(
            "http://a:0",
            "http://a:65536",
            "http://a:b",
            "http://knöten",
            "http://a b",
            "http://a\n",
        ),
        *("http://a?b", "http://a#b"),
    ],
)
def test_an_address_that_is_none(url: str) -> None:
    result = run(url)
    assert result.exit_code == 2
    assert "is no URL; " in result.output
    assert "Traceback" not in result.output


def test_a_password_in_an_address_is_refused_and_not_shown() -> None:
    result = run("http://me:secret@localhost:8428")
    assert result.exit_code == 2
    assert "has a user or an @" in result.output
    assert "secret" not in result.output


def test_wait_ends_when_a_node_is_complete(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "_PAUSE", 0.01)
    server.raw = (503, b"")

    def progress() -> None:
        if server.requests == 3:
            server.raw, server.facts = None, node("n", "n:1", 0)
        elif server.requests > 6:
            server.facts = node("n", "n:1")
        if server.requests > 12:
            server.facts = [*node("n", "n:1"), *gpu("n", "n:1", 0)]
        if server.requests > 18:
            server.cpu = {"n:1": "0.125"}

    server.before_answer = progress
    lines = table(run(server.url, "--wait", "30s"))
    assert "12 %" in lines[1]
    assert lines[-1].startswith("n     0    NVIDIA H200")
    assert len(lines) == 5


def test_wait_for_a_rate_ends(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "_PAUSE", 0.01)
    monkeypatch.setattr(status, "_RATE", 0.1)
    server.facts = [*node("n", "n:1"), *gpu("n", "n:1", 0)]
    assert table(run(server.url, "--wait", "1h"))[-1].startswith("n     0    NVIDIA H200")


def test_wait_over_shows_what_there_is(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "_PAUSE", 0.01)
    server.facts = node("n", "n:1")
    assert table(run(server.url, "--wait", "1s"))[-1] == "n     -    no GPU: none seen yet"
    assert server.requests > 6


def test_every_name_is_in_the_catalogue() -> None:
    known = {m.name for c in (gpus, exporter, host) for m in c.METRICS}
    asked = set(nodes._NAMES.split("|")) - {"up"}
    assert asked <= known
