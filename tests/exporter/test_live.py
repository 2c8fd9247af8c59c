"""The live page's side of the exporter: its files, the facts as JSON, and the stream of them."""

import contextlib
import gzip
import hashlib
import http.client
import json
import re
import socket
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.exporter.conftest import Start
from tests.exporter.process import Serve, play

STATIC = Path(__file__).resolve().parents[2] / "exporter/gpuglass/web/static"
# So few readings that two requests in a row are of the same one.
SLOW = ("--probe.interval", "20s", "--probe.slow-interval", "20s", "--no-collector.filesystem")
QUICK = ("--probe.interval", "100ms", "--probe.slow-interval", "1s", "--no-collector.filesystem")
MIXED = """gpus 2 preset=h200
gpu 1 preset=rtx4090
load gpu=0 constant 0.9
process pid=4300001 gpu=0 type=compute memory=10GiB sm=40
process pid=4300002 gpu=0 type=compute memory=1GiB
at 0s xid gpu=0 code=43
"""

Document = dict[str, Any]


@pytest.fixture(scope="module")
def serve(simulator: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """One exporter of two cards, which stand still, for all tests that only ask."""
    scenario = tmp_path_factory.mktemp("live") / "scenario.conf"
    scenario.write_text(MIXED)
    serve = Serve(SLOW, simulator, scenario, {})
    try:
        serve.wait_ready()
        yield serve
    finally:
        serve.close()


def snapshot(serve: Serve) -> Document:
    answer = serve.get("/api/v1/snapshot")
    assert answer.status == 200
    document: Document = json.loads(answer.body)
    return document


class Events:
    """A page that is open, and what comes."""

    def __init__(self, serve: Serve, encoding: str = "") -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", serve.port, timeout=30)
        self.connection.request("GET", "/api/v1/stream", headers={"Accept-Encoding": encoding})
        self.response = self.connection.getresponse()
        self._packed = self.response.headers["Content-Encoding"] == "gzip"
        self._unpack = zlib.decompressobj(31)
        self._text = b""

    def __enter__(self) -> "Events":
        return self

    def __exit__(self, *error: object) -> None:
        self.connection.close()

    def next(self) -> tuple[str, Document]:
        """The next event, and its name."""
        while b"\n\n" not in self._text:
            part = self.response.read1(65536)
            if not part:
                raise EOFError
            self._text += self._unpack.decompress(part) if self._packed else part
        event, self._text = self._text.split(b"\n\n", 1)
        name, data = event.split(b"\n")
        return name.decode().removeprefix("event: "), json.loads(data.removeprefix(b"data: "))


# The facts


def flat(document: Document) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """A snapshot as samples, by the rules of docs/api.md."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}

    def add(name: str, labels: Document, value: float) -> None:
        key = name, frozenset({"node": document["node"], **labels}.items())
        assert key not in found
        found[key] = value

    def metrics(facts: Document, labels: Document) -> None:
        for name, value in facts.items():
            if isinstance(value, list):
                for entry in value:
                    own = {k: v for k, v in entry.items() if k != "value"}
                    add(name, {**labels, **own}, entry.get("value", 1))
            elif isinstance(value, dict):
                for label, one in value.items():
                    add(name, {**labels, ONLY[name]: label} if label else labels, one)
            else:
                add(name, labels, value)

    metrics(document["metrics"], {})
    for gpu in document["gpus"]:
        labels = {"gpu": gpu["gpu"], "uuid": gpu["uuid"]}
        metrics(gpu["metrics"], labels)
        for kind, of in RECORDS.items():
            for record in gpu[kind]:
                who = {k: v for k, v in record.items() if not k.startswith("gpu_") or k in of}
                info = who if kind == "processes" else None
                who = {k: v for k, v in who.items() if k in of}
                for name, value in record.items():
                    if name not in who and (info is None or name not in info):
                        add(name, {**labels, **who}, value)
                if info is not None and "type" in info:
                    add("gpu_process_info", {**labels, **info}, 1)
    return found


RECORDS = {
    "processes": ("pid", "name", "user", "gpu_instance", "compute_instance"),
    "owners": ("user", "container", "namespace", "pod", "job_id"),
}


def only_labels() -> dict[str, str]:
    """By metric the one label that it has besides its GPU's."""
    from gpuglass.pipeline.exporter import METRICS

    found = {}
    for metric in METRICS:
        labels = [name for name in metric.labels if name not in ("gpu", "uuid")]
        if len(labels) == 1:
            found[metric.name] = labels[0]
    return found


ONLY = only_labels()
# What tells of the moment of asking.
MOVING = re.compile(
    r"age_seconds|gpuglass_process_|gpuglass_collector_|host_|gpuglass_probe_waiting"
)


def test_the_snapshot_is_the_page(serve: Serve) -> None:
    for _ in range(5):
        document, page = snapshot(serve), serve.page()
        told = {key: value for key, value in flat(document).items() if not MOVING.search(key[0])}
        written = {
            (s.name, frozenset((k, v) for k, v in s.labels.items() if v)): s.value
            for s in page.samples
            if not MOVING.search(s.name)
        }
        if told == written:
            break
        time.sleep(0.5)  # a reading came in between
    assert told == written
    names = {name for name, _ in flat(document)}
    assert names == {sample.name for sample in page.samples}
    assert len(told) > 200


def test_the_snapshot_tells_what_it_is(serve: Serve) -> None:
    document = snapshot(serve)
    assert document["schema"] == 1
    assert document["interval"] == 20
    assert abs(document["time"] - time.time()) < 60
    assert document["started"] < document["time"]
    assert [gpu["gpu"] for gpu in document["gpus"]] == ["0", "1"]
    assert document["gpus"][1]["metrics"]["gpu_info"][0]["name"] == "NVIDIA GeForce RTX 4090"
    reasons = {
        one["group"]: one.get("why") for one in document["gpus"][1]["metrics"]["gpu_capability"]
    }
    assert reasons["nvlink"] == "not_supported"


def test_processes_stand_together_with_their_owners(serve: Serve) -> None:
    card = snapshot(serve)["gpus"][0]
    first, second = sorted(card["processes"], key=lambda one: one["pid"])
    assert (first["pid"], first["type"]) == ("4300001", "compute")
    assert first["gpu_process_memory_used_bytes"] == 10 * 2**30
    assert first["gpu_process_sm_utilization_ratio"] == 0.4
    assert second["gpu_process_memory_used_bytes"] == 2**30
    (owner,) = card["owners"]
    assert (owner["user"], owner["gpu_owner_processes"]) == ("unattributed", 2)


def test_gzip_is_the_same_snapshot(serve: Serve) -> None:
    answer = serve.get("/api/v1/snapshot", Accept_Encoding="gzip")
    assert answer.headers["Content-Encoding"] == "gzip"
    packed, plain = json.loads(gzip.decompress(answer.body)), snapshot(serve)
    assert packed["gpus"][0]["uuid"] == plain["gpus"][0]["uuid"]
    assert len(answer.body) < len(json.dumps(plain)) / 4


def test_an_xid_is_explained(start: Start, scenario: Path) -> None:
    play(scenario, "gpus 1 preset=h200\nat 0s every 1s xid gpu=0 code=48\n")
    serve = start(*QUICK, "--path.kmsg", "/nonexistent")
    serve.wait(lambda: bool(snapshot(serve)["xids"]))
    document = snapshot(serve)
    assert document["gpus"][0]["metrics"]["gpu_xid_errors_total"]["48"] >= 1
    assert document["xids"]["48"]["action"] == "reset-gpu"
    assert document["xids"]["48"]["means"].endswith(".")


def test_a_lost_gpu_has_no_values(start: Start, scenario: Path) -> None:
    serve = start(*QUICK)
    serve.wait_ready()
    play(scenario, "gpus 2 preset=h200\nat 0s lost gpu=1\n")
    serve.wait(lambda: snapshot(serve)["gpus"][1]["metrics"]["gpu_up"] == 0)
    lost = snapshot(serve)["gpus"][1]
    assert set(lost["metrics"]) == {"gpu_info", "gpu_up", "gpu_data_age_seconds"}
    assert lost["processes"] == []


def test_without_a_driver_the_host_is_told(start: Start) -> None:
    serve = start(*QUICK, driver=None)
    serve.wait(lambda: "host_load1" in snapshot(serve)["metrics"])
    document = snapshot(serve)
    assert document["gpus"] == []
    failures = document["metrics"]["gpuglass_collector_failure_info"]
    assert {"collector": "nvml", "reason": "library_not_found"} in failures


# The stream


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_each_round_comes_and_the_last_minutes_first(start: Start, encoding: str) -> None:
    serve = start(*QUICK)
    serve.wait_ready()
    with Events(serve, encoding) as events:
        assert events.response.status == 200
        assert events.response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert events.response.headers["Content-Encoding"] == (encoding or None)
        name, history = events.next()
        assert name == "history"
        kept = history["gpus"][snapshot(serve)["gpus"][0]["uuid"]]
        assert kept["age"] and len(kept["age"]) == len(kept["gpu_power_watts"])
        times = []
        for _ in range(4):
            name, document = events.next()
            assert name == "snapshot"
            times.append(document["time"])
        assert times == sorted(times) and len(set(times)) == 4
        # However often the GPUs are read.
        assert times[3] - times[1] > 1.5


def test_the_history_of_a_page_that_opens_goes_back(start: Start) -> None:
    serve = start(*QUICK)
    serve.wait_ready()
    time.sleep(3)
    with Events(serve) as events:
        _, history = events.next()
    ages = next(iter(history["gpus"].values()))["age"]
    assert ages == sorted(ages, reverse=True)
    assert ages[0] > 2


def test_two_pages_get_the_same_round(start: Start) -> None:
    serve = start("--probe.interval", "2s", "--no-collector.filesystem")
    serve.wait_ready()
    with Events(serve) as one, Events(serve, "gzip") as other:
        for events in (one, other):
            events.next()
            events.next()
        first, second = one.next()[1], other.next()[1]
        assert first == second or one.next()[1] == second or other.next()[1] == first


def test_pages_over_the_limit_are_told_to_come_back(start: Start) -> None:
    serve = start("--web.max-pages", "2", *QUICK)
    with Events(serve) as first, Events(serve) as second:
        first.next()
        second.next()
        with Events(serve) as third:
            assert third.response.status == 503
            assert third.response.headers["Retry-After"] == "1"
        # They take no place from others.
        assert serve.get("/api/v1/snapshot").status == serve.get().status == 200
        first.connection.close()
        second.connection.close()

    def reopened() -> bool:
        with Events(serve) as later:
            return later.response.status == 200

    serve.wait(reopened)


def test_open_pages_keep_no_scraper_out(start: Start) -> None:
    serve = start("--web.max-requests", "1", *QUICK)
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(Events(serve)).next()
        for _ in range(5):
            assert serve.get().status == 200


def test_who_leaves_is_forgotten(start: Start) -> None:
    serve = start(*QUICK)
    process = psutil.Process(serve.process.pid)
    base = process.num_fds()
    for _ in range(20):
        with Events(serve) as events:
            events.next()
    serve.wait(lambda: process.num_fds() <= base + 1)


def test_a_reader_that_reads_nothing_is_dropped(start: Start, scenario: Path) -> None:
    play(scenario, "gpus 16 preset=h200\nprocess pid=5000000 gpu=* type=compute count=30\n")
    serve = start("--web.timeout", "2s", *QUICK)
    serve.wait_ready()
    process = psutil.Process(serve.process.pid)
    base, before = process.num_fds(), process.memory_info().rss
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", serve.port))
            client.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        serve.wait(lambda: process.num_fds() >= base + 10)
        with Events(serve) as events:
            for _ in range(4):
                events.next()
        serve.wait(lambda: process.num_fds() <= base + 1)
        assert process.memory_info().rss - before < 30 * 2**20


def test_who_talks_on_a_stream_is_dropped(start: Start) -> None:
    serve = start(*QUICK)
    with socket.create_connection(("127.0.0.1", serve.port), timeout=30) as client:
        client.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")

        def is_dropped() -> bool:
            try:
                client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                while client.recv(65536):
                    pass
            except OSError:
                return True
            return True

        serve.wait(is_dropped)


def test_the_end_of_the_exporter_is_the_end_of_the_stream(start: Start) -> None:
    serve = start(*QUICK)
    with Events(serve) as events:
        events.next()
        events.next()
        begin = time.monotonic()
        assert serve.stop() == 0
        with pytest.raises((EOFError, http.client.HTTPException, OSError)):
            for _ in range(100):
                events.next()
        assert time.monotonic() - begin < 20
    assert "Traceback" not in serve.log()


# The files


def test_the_page_may_load_nothing_from_elsewhere(serve: Serve) -> None:
    answer = serve.get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert "unsafe" not in policy and "*" not in policy and "http" not in policy
    assert not re.search(r"<script>|<style|\son\w+=|\sstyle=|https?://", answer.text)


def references(text: str) -> list[str]:
    return re.findall(r'(?:src|href)="(static/[^"]+)"', text)


def test_every_file_of_the_page_is_there(serve: Serve) -> None:
    found = references(serve.get("/").text)
    modules = [path.name for path in STATIC.glob("*.js")]
    for name in [*found, *(f"static/{name}" for name in modules)]:
        answer = serve.get(f"/{name}", Accept_Encoding="gzip")
        assert answer.status == 200, name
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        body = gzip.decompress(answer.body)
        assert body == (STATIC / name.removeprefix("static/")).read_bytes()
        for other in re.findall(rb'from "\./([^"]+)"', body):
            assert (STATIC / other.decode()).is_file()


def test_a_file_that_the_client_has_is_not_sent_again(serve: Serve) -> None:
    tag = serve.get("/static/style.css").headers["ETag"]
    again = serve.get("/static/style.css", If_None_Match=tag)
    assert (again.status, again.body) == (304, b"")
    assert serve.get("/static/style.css", If_None_Match='"x"').status == 200


@pytest.mark.parametrize(
    "path", ["", "index.html", "../app.py", "%2e%2e/app.py", "vendor", "vendor/", "nothing.js"]
)
def test_no_other_file_is_served(serve: Serve, path: str) -> None:
    assert serve.get(f"/static/{path}").status == 404


def test_what_is_of_others_is_as_it_came() -> None:
    lines = (STATIC / "vendor/SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in lines)}
    files = {path.name for path in (STATIC / "vendor").iterdir()} - {"SHA256SUMS"}
    assert set(sums) == files
    for name, expected in sums.items():
        body = (STATIC / "vendor" / name).read_bytes()
        assert hashlib.sha256(body).hexdigest() == expected, name
    assert "MIT License" in (STATIC / "vendor/uPlot.LICENSE").read_text()
