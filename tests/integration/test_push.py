"""Workers that push: each as itself alone, through real vmagent and vmauth, and without gaps."""

import http.client
import json
import re
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from copy import copy
from itertools import pairwise
from pathlib import Path

import pytest
from tests.integration.push import Host, Worker, gpuglass
from tests.integration.stack import get, wait_for
from tests.ports import is_free

from gpuglass.push import credentials, queue

OUTAGE = 20.0
# A scrape that comes a little late makes a longer step, but not one of two intervals.
STEP = 1.9
SILENT = "gpuglass_keeper_worker_silent_seconds"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, components: Path) -> Iterator[Host]:
    host = Host(tmp_path_factory.mktemp("host"), components)
    try:
        host.start()
        yield host
    finally:
        host.stop()


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory, host: Host) -> Iterator[Worker]:
    """A worker that pushes."""
    worker = joined(tmp_path_factory.mktemp("pod"), host, "pod-1", "--label", "cluster=rented")
    try:
        worker.start()
        wait_for("it is up", lambda: host.stack.values('up{node="pod-1"}') == [1])
        yield worker
    finally:
        worker.stop()


def joined(folder: Path, host: Host, name: str, *arguments: str) -> Worker:
    worker = Worker(folder, host, name, host.add(name, *arguments))
    wait_for("vmauth lets it in", lambda: host.lets_in(name))
    done = worker.join()
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{host.url} takes what {name} pushes; this clock is ")
    return worker


def request(host: Host, path: str, token: str, method: str = "GET", body: bytes = b"") -> int:
    """Ask the door as a stranger would who trusts everybody; the status of the answer."""
    context = ssl._create_unverified_context()
    connection = http.client.HTTPSConnection("127.0.0.1", host.port, context=context, timeout=10)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    connection.request(method, path, body, {**headers, "Content-Encoding": "snappy"})
    with connection.getresponse() as answer:
        answer.read()
        return answer.status


def token_of(worker: Worker) -> str:
    return credentials.load(worker.directory).token


def stored(host: Host, name: str) -> list[dict[str, str]]:
    """The labels of each series of a name, whatever its samples' times."""
    host.stack.flush()
    return [dict(labels) for labels in host.stack.export(name)]


def test_what_a_worker_sends_is_its_own(host: Host, pod: Worker) -> None:
    ((up, value),) = host.stack.query('up{node="pod-1"}')
    assert value == 1
    assert up == {
        **{"__name__": "up", "node": "pod-1", "instance": "pod-1", "job": "gpu"},
        "cluster": "rented",
    }
    own = host.stack.query('gpuglass_build_info{node="pod-1"}')
    assert [labels["instance"] for labels, _ in own] == ["pod-1"]


@pytest.mark.skipif(not is_free(0, socket.AF_INET6, "::1"), reason="this machine has no IPv6")
def test_a_worker_pushes_to_an_ipv6_address(host: Host, tmp_path: Path) -> None:
    there = copy(host)
    there.url = f"https://[::1]:{host.port}"
    worker = joined(tmp_path, there, "pod-6")
    try:
        worker.start()
        wait_for("it is up", lambda: host.stack.values('up{node="pod-6"}') == [1])
    finally:
        worker.stop()
    assert host.manage("revoke", "pod-6").returncode == 0


@pytest.mark.parametrize("protocol", ["VMProto", "PromProto"])
def test_a_worker_cannot_write_as_another(host: Host, pod: Worker, protocol: str) -> None:
    forged = f"forged_{protocol}"
    # A vmagent of its own, which says whatever it is told to.
    pod.vmagent.stop()
    command = [a for a in pod.vmagent.command if "promscrape" not in a]
    before, pod.vmagent.command = pod.vmagent.command, [*command, f"-remoteWrite.force{protocol}"]
    labels = 'node="gpu01",instance="gpu01:9400",job="keeper",cluster="prod",gpu="0"'
    try:
        pod.vmagent.start()
        body = f"{forged}{{{labels}}} 1\n{forged} 2\n".encode()
        address = f"{pod.vmagent_url}/api/v1/import/prometheus?extra_label=node=gpu02"
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(address, body, timeout=10)
        known = {"Authorization": queue.login(pod.directory)}
        urllib.request.urlopen(urllib.request.Request(address, body, known), timeout=10).close()
        wait_for("both arrive", lambda: len(stored(host, forged)) >= 2)
    finally:
        pod.vmagent.stop()
        pod.vmagent.command = before
        pod.vmagent.start()
    mine = {"__name__": forged, "node": "pod-1", "instance": "pod-1", "job": "gpu"}
    expected = [{**mine, "cluster": "rented"}, {**mine, "cluster": "rented", "gpu": "0"}]
    assert sorted(stored(host, forged), key=len) == expected


def test_labels_of_the_address_do_not_count(host: Host, pod: Worker) -> None:
    # A series asked_{node="gpu01"} with one sample, as Prometheus's protocol has it, uncompressed.
    def text(field: int, content: bytes) -> bytes:
        return bytes([field << 3 | 2, len(content)]) + content

    def label(name: bytes, value: bytes) -> bytes:
        return text(1, text(1, name) + text(2, value))

    sample = text(2, b"\x09" + b"\0" * 7 + b"\x40" + b"\x10" + varint(int(time.time() * 1000)))
    labels = label(b"__name__", b"asked") + label(b"node", b"gpu01") + label(b"node", b"gpu03")
    message = text(1, labels + sample)
    body = varint(len(message)) + bytes([60 << 2, len(message) - 1]) + message
    path = "/api/v1/write?extra_label=node=gpu02&extra_label=instance=x&extra_filters={}"
    assert request(host, path, token_of(pod), "POST", body) == 204
    found = wait_for("it arrives", lambda: stored(host, "asked"))
    assert [(labels["node"], labels["instance"]) for labels in found] == [("pod-1", "pod-1")]


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


@pytest.mark.parametrize(
    "path",
    [
        *("/api/v1/query?query=up", "/api/v1/export?match[]=up", "/federate?match[]=up", "/"),
        *("/api/v1/import", "/api/v1/import/prometheus", "/write", "/api/v1/write/"),
        *("/api/v1/write/../query?query=up", "/api/v1/admin/tsdb/delete_series", "/vmui/"),
        *("/metrics", "/flags", "/-/reload", "/debug/pprof/heap", "/health"),
    ],
)
def test_there_is_one_route(host: Host, pod: Worker, path: str) -> None:
    assert request(host, path, token_of(pod)) == 400
    assert request(host, path, token_of(pod), "POST", b"x 1") == 400
    assert request(host, path, "") == 401


def test_a_wrong_token_is_told_in_one_line(host: Host, pod: Worker, tmp_path: Path) -> None:
    worker = Worker(tmp_path, host, "pod-1", pod.given)
    wrong = re.sub("token: '[^']+'", f"token: '{'x' * 43}'", pod.given)
    assert wrong != pod.given
    done = worker.join(wrong)
    assert done.returncode == 1
    assert done.stderr == (
        f"gpuglass: error: {host.url} does not know the token of pod-1: it is wrong or was "
        "revoked; on the monitoring host: gpuglass workers add pod-1\n"
    )
    assert not worker.directory.exists()


def test_a_host_of_another_installation_is_not_trusted(
    host: Host, pod: Worker, tmp_path: Path
) -> None:
    tls = tmp_path / "tls"
    settings = {"GPUGLASS_TLS_DIR": str(tls), "GPUGLASS_WORKERS_DIR": str(tmp_path / "workers")}
    other = gpuglass(
        "workers", "add", "pod-1", "--output=-", GPUGLASS_PUSH_URL=host.url, **settings
    )
    done = Worker(tmp_path, host, "pod-1", other.stdout).join()
    assert done.returncode == 1
    assert f"{host.url} is not the host that this worker was added on" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_host_whose_name_is_not_known_here(pod: Worker) -> None:
    url = "https://host.invalid:8427"
    done = gpuglass("push", "check", **{**pod.settings, "GPUGLASS_PUSH_URL": url})
    told = f"gpuglass: error: {url} cannot be reached: this machine does not know host.invalid ("
    assert done.stderr.startswith(told)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


def test_a_revoked_worker_writes_nothing_and_says_so(host: Host, tmp_path: Path) -> None:
    worker = joined(tmp_path, host, "pod-2")
    try:
        worker.start()
        wait_for("it is up", lambda: host.stack.values('up{node="pod-2"}') == [1])
        assert (
            host.manage("revoke", "pod-2").stdout
            == "pod-2 is refused from now on, within seconds\n"
        )
        wait_for("vmauth refuses it", lambda: worker.check().returncode == 1)
        refused = f"{host.url} does not know the token of pod-2: it is wrong or was revoked"
        assert refused in worker.check().stderr
        worker.exporter.stop()
        worker.exporter.start()
        wait_for("it is in the log", lambda: refused in worker.exporter.log)
        failure = 'gpuglass_collector_failure_info{collector="push"'
        assert any(failure in line for line in get(f"http://{worker.address}/metrics").split("\n"))
        wait_for("vmagent was refused", lambda: " 401" in worker.vmagent.log)
        host.stack.flush()
        ((_, before),) = host.stack.export('up{node="pod-2"}').items()
        tries = worker.vmagent.log.count(" 401")
        wait_for("it tries on", lambda: worker.vmagent.log.count(" 401") > tries)
        host.stack.flush()
        ((_, after),) = host.stack.export('up{node="pod-2"}').items()
        assert after == before
    finally:
        worker.stop()
    assert worker.exporter.log.count(refused) == 1


def test_the_host_may_be_gone(host: Host, pod: Worker) -> None:
    since = time.time() - 2
    host.vmauth.kill()
    host.stack.victoriametrics.stop()
    time.sleep(OUTAGE)
    host.stack.victoriametrics.start()
    host.vmauth.start()
    until = time.time()

    def gap() -> float:
        host.stack.flush()
        ((_, samples),) = host.stack.export('up{node="pod-1"}').items()
        times = [at for at, _ in samples if since <= at <= until]
        return max(b - a for a, b in pairwise([since, *times, until]))

    wait_for("all is there", lambda: gap() <= STEP)


def test_a_restart_of_the_worker_leaves_no_more_than_its_own_gap(host: Host, pod: Worker) -> None:
    wait_for("it is up", lambda: host.stack.values('up{node="pod-1"}') == [1])
    stopping = time.time()
    pod.stop()
    stopped = time.time()
    time.sleep(3)
    pod.start()
    started = time.time()

    def edges() -> tuple[float, float] | None:
        host.stack.flush()
        ((_, samples),) = host.stack.export('up{node="pod-1"}').items()
        before = [at for at, value in samples if at < stopped and value == value]
        after = [at for at, value in samples if at > stopped and value == value]
        return (before[-1], after[0]) if before and after else None

    last, first = wait_for("it is back", edges)
    assert last >= stopping - STEP
    assert first <= started + STEP


def test_its_clock_and_its_queue_are_told(host: Host, pod: Worker) -> None:
    def page() -> str | None:
        told = get(f"http://{pod.address}/metrics")
        return told if "\ngpuglass_push_dropped_bytes_total{" in told else None

    text = wait_for("the host and vmagent were asked", page)
    value = re.search(r"^gpuglass_push_clock_offset_seconds\{\S+ (\S+)$", text, re.MULTILINE)
    # The same machine's.
    assert value
    assert abs(float(value[1])) < 5
    assert re.search(r"^gpuglass_push_pending_bytes\{\S+ \d", text, re.MULTILINE)
    dropped = re.findall(r"^gpuglass_push_dropped_bytes_total\{\S+ (\S+)$", text, re.MULTILINE)
    assert [float(each) for each in dropped] == [0]


def test_workers_are_listed(host: Host, pod: Worker) -> None:
    printed = host.manage("list", "--json")
    (worker,) = (w for w in json.loads(printed.stdout)["workers"] if w["node"] == "pod-1")
    assert worker["labels"] == {"cluster": "rented"}
    assert worker["ephemeral_seconds"] is None
    host.add("pod-9")
    # As the keeper says it: who has time yet to push for the first time counts as if it did.
    # The newest seconds are not shown yet.
    at = round((time.time() - 5) * 1000)
    host.stack.write(*(f'{SILENT}{{worker="{name}"}} 0 {at}' for name in ("pod-1", "pod-9")))
    told = host.manage("list").stdout
    assert token_of(pod) not in printed.stdout + told
    quiet = {line.split()[0]: line for line in told.splitlines()}
    assert re.match(r"pod-1 +0 s ", quiet["pod-1"])
    assert re.match(r"pod-9 +nothing yet ", quiet["pod-9"])
    assert host.manage("revoke", "pod-9").returncode == 0


def test_only_their_owner_may_read_the_tokens(host: Host, pod: Worker) -> None:
    files = [
        *(host.workers / "workers.yml", host.workers / "published/workers.yml.json"),
        *pod.directory.iterdir(),
    ]
    assert {oct(file.stat().st_mode & 0o777) for file in files} == {"0o600"}
