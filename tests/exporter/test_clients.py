"""Clients that are many, slow, rude or broken: the others get their pages, and nothing is kept."""

import concurrent.futures
import contextlib
import http.client
import io
import re
import resource
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from tests.exporter.conftest import Start
from tests.exporter.process import Page, Serve, play

QUIET = (
    *("--no-collector.nvml", "--no-collector.filesystem"),
    *("--probe.interval", "60s", "--probe.slow-interval", "60s"),
)
# So many processes are on the GPUs that a page does not fit into the kernel's buffers.
MANY = "gpus 8 preset=h200\n" + "".join(
    f"process pid={5_000_000 + 1000 * gpu} gpu={gpu} type=compute memory=1MiB count=900\n"
    for gpu in range(8)
)
LARGE = ("--processes.most", "1000", "--probe.interval", "1s", "--no-collector.filesystem")
GET = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
MIB = 2**20


@pytest.fixture(scope="module")
def small() -> Iterator[Serve]:
    """An exporter with a small page and a short deadline."""
    serve = Serve((*QUIET, "--web.timeout", "2s"), None, Path("/nonexistent"), {})
    try:
        serve.wait_ready()
        yield serve
    finally:
        serve.close()


Large = Callable[..., Serve]


@pytest.fixture
def large(start: Start, scenario: Path) -> Large:
    """Starts an exporter with a page of two megabytes or more."""

    def start_large(*arguments: str) -> Serve:
        play(scenario, MANY)
        serve = start(*LARGE, *arguments)
        serve.wait_ready()
        assert len(serve.get().body) > 2 * MIB
        return serve

    return start_large


def connect(serve: Serve, buffer: int = 0) -> socket.socket:
    client = socket.socket()
    if buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.settimeout(20)
    client.connect(("127.0.0.1", serve.port))
    return client


def exchange(serve: Serve, data: bytes) -> bytes:
    """All that is answered to some bytes, until the other side hangs up."""
    with connect(serve) as client:
        client.sendall(data)
        return read_all(client)


def read_all(client: socket.socket) -> bytes:
    parts = []
    while part := client.recv(65536):
        parts.append(part)
    return b"".join(parts)


def is_dropped(client: socket.socket) -> bool:
    """Whether the other side has hung up; looks without reading."""
    poll = select.poll()
    poll.register(client, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
    return bool(poll.poll(0))


def files(serve: Serve) -> int:
    return psutil.Process(serve.process.pid).num_fds()


def rss(serve: Serve) -> int:
    return int(psutil.Process(serve.process.pid).memory_info().rss)


class Parsed(http.client.HTTPResponse):
    """One answer of several in a stream of bytes."""

    def __init__(self, stream: io.BytesIO) -> None:
        class Source:
            def makefile(self, mode: str) -> io.BytesIO:
                return stream

        super().__init__(Source())  # type: ignore[arg-type]
        self.begin()
        # The stream goes on after this answer.
        self._close_conn = lambda: None


def answers(data: bytes) -> list[tuple[int, bytes]]:
    stream = io.BytesIO(data)
    found = []
    while stream.tell() < len(data):
        response = Parsed(stream)
        found.append((response.status, response.read()))
    return found


# Many at once


def scrape(serve: Serve, begin: threading.Barrier, gzip: bool) -> tuple[int, str | None, int]:
    connection = http.client.HTTPConnection("127.0.0.1", serve.port, timeout=30)
    begin.wait()
    asked = time.monotonic()
    headers = {"Accept-Encoding": "gzip"} if gzip else {}
    try:
        connection.request("GET", "/metrics", headers=headers)
        response = connection.getresponse()
        body = response.read()  # raises if it is not whole
    except ConnectionError:
        # It has had a second, on a machine that is busy, and made way for the next.
        assert time.monotonic() - asked >= 1
        return 0, None, 0
    finally:
        connection.close()
    assert response.status in (200, 503)
    return response.status, response.headers["Retry-After"], len(body)


@pytest.mark.parametrize("gzip", [False, True])
def test_two_hundred_at_once_each_get_a_page_or_are_told_to_come_back(
    large: Large, gzip: bool
) -> None:
    serve = large()
    before, open_before = rss(serve), files(serve)
    begin = threading.Barrier(200)
    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        got = list(pool.map(lambda _: scrape(serve, begin, gzip), range(200)))
    pages = [answer for answer in got if answer[0] == 200]
    assert pages
    assert all(size > (10_000 if gzip else MIB) for _, _, size in pages)
    assert all(retry == "1" for status, retry, _ in got if status == 503)
    # What is under way at once is bounded, and so is what it takes.
    grown = rss(serve) - before
    print(f"200 at once: {len(pages)} pages, {grown / MIB:.1f} MiB")
    assert grown < 30 * MIB
    serve.wait(lambda: files(serve) <= open_before + 2)
    assert serve.get().status == 200


def test_who_comes_over_the_limit_is_told_to_come_back(large: Large) -> None:
    serve = large("--web.max-requests", "2")
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(connect(serve, 4096)).sendall(GET)
        answer = serve.get()
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert answer.text == "too many requests at once; try again\n"
        # Whether it lives is answered always.
        assert serve.get("/-/healthy").status == 200
        # Those two are slow: after a moment they make way.
        serve.wait(lambda: serve.get().status == 200)


# Slow ones


def test_who_does_not_read_stops_nobody_and_is_dropped(large: Large) -> None:
    serve = large("--web.timeout", "3s")
    base = files(serve)
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connect(serve, 4096)) for _ in range(20)]
        for client in slow:
            client.sendall(GET)
        begin = time.monotonic()
        while time.monotonic() < begin + 1.5:
            assert len(serve.get().body) > 2 * MIB
        serve.wait(lambda: all(map(is_dropped, slow)))
        assert 2 < time.monotonic() - begin < 15
        serve.wait(lambda: files(serve) <= base + 1)
    assert serve.get().status == 200


def test_who_reads_slowly_gets_all_of_it(large: Large) -> None:
    serve = large()
    with connect(serve, 65536) as client:
        client.sendall(LAST)
        received = bytearray()
        while part := client.recv(32768):
            received += part
            if len(received) < MIB // 2:
                time.sleep(0.05)
    ((status, body),) = answers(bytes(received))
    assert status == 200
    assert Page(body.decode()).values("gpu_up") == [1] * 8


@pytest.mark.parametrize("start_of_request", [b"", b"GET /metrics HTTP/1.1\r\nHost: x\r\n"])
def test_a_request_that_is_never_finished(small: Serve, start_of_request: bytes) -> None:
    base = files(small)
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connect(small)) for _ in range(50)]
        begin = time.monotonic()
        for client in slow:
            client.sendall(start_of_request)
        while not all(map(is_dropped, slow)):
            assert small.get().status == 200
            for client in slow:  # that a byte comes now and then does not help
                with contextlib.suppress(OSError):
                    client.sendall(b"a" if start_of_request else b"")
            assert time.monotonic() < begin + 15
            time.sleep(0.2)
        assert time.monotonic() > begin + 1.5
        small.wait(lambda: files(small) <= base + 1)


def test_a_second_request_that_is_never_finished(small: Serve) -> None:
    with connect(small) as client:
        client.sendall(GET)
        client.recv(100)
        time.sleep(3)  # between two requests it may be quiet for longer
        client.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while client.recv(65536):
                pass
        assert not is_dropped(client)
        client.sendall(b"GET /metrics HTTP/1.1\r\n")
        begin = time.monotonic()
        small.wait(lambda: is_dropped(client))
        assert time.monotonic() - begin < 10


def test_five_hundred_slow_clients_take_little_memory_and_go(large: Large) -> None:
    serve = large("--web.timeout", "5s")
    before, base = rss(serve), files(serve)
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connect(serve, 4096)) for _ in range(500)]
        for index, client in enumerate(slow):
            with contextlib.suppress(OSError):
                client.sendall((GET, b"GET /met", b"")[index % 3])
        serve.wait(lambda: serve.get().status == 200)
        grown = rss(serve) - before
        print(f"500 slow clients: {grown / MIB:.1f} MiB, {files(serve) - base} files")
        assert grown < 30 * MIB
        serve.wait(lambda: all(map(is_dropped, slow)))
    serve.wait(lambda: files(serve) <= base + 1)
    assert rss(serve) - before < 30 * MIB


def test_more_clients_than_there_is_room_for(small: Serve) -> None:
    base, before = files(small), rss(small)
    with contextlib.ExitStack() as stack:
        idle = []
        for _ in range(1500):
            client = stack.enter_context(connect(small))
            client.setblocking(False)
            idle.append(client)
        assert files(small) < base + 700
        assert rss(small) - before < 30 * MIB
        # The quietest make way for who has something to ask.
        small.wait(lambda: small.get().status == 200)
        small.wait(lambda: files(small) <= base + 1)
    assert small.get().status == 200


# Broken ones


def test_clients_that_come_and_go_quickly_are_all_answered() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (280, hard))  # the fewest places
    try:
        serve = Serve(QUIET, None, Path("/nonexistent"), {})
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    try:
        assert [serve.get("/-/healthy").status for _ in range(300)] == [200] * 300
    finally:
        serve.close()


def test_who_has_nothing_more_to_say_gets_the_answer(small: Serve) -> None:
    for request in (GET, LAST, GET + GET):
        with connect(small) as client:
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
            got = answers(read_all(client))
        assert [status for status, _ in got] == [200] * request.count(b"GET")
        assert all(body.startswith(b"# HELP") for _, body in got)


def test_two_hundred_who_have_nothing_more_to_say(small: Serve) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(small)) for _ in range(200)]
        for client in clients:
            client.sendall(LAST)
            client.shutdown(socket.SHUT_WR)
        for client in clients:
            ((status, body),) = answers(read_all(client))
            assert status == 200 and body.startswith(b"# HELP")


def test_who_hangs_up_half_way_through_a_request(small: Serve) -> None:
    with connect(small) as client:
        client.sendall(b"GET /met")
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b""


def test_who_resets_the_connection(large: Large) -> None:
    serve = large()
    base = files(serve)
    for request in (b"", GET[:20], GET, GET * 20):
        for _ in range(20):
            client = connect(serve, 4096)
            client.sendall(request)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
    serve.wait(lambda: files(serve) <= base + 1)
    assert serve.get().status == 200
    assert serve.stop() == 0
    assert not re.search("level=(warn|error)|Traceback", serve.log())


def test_an_old_client(small: Serve) -> None:
    got = exchange(small, b"GET /metrics HTTP/1.0\r\n\r\n")
    ((status, body),) = answers(got)
    assert status == 200 and body.startswith(b"# HELP")


def test_requests_that_do_not_wait_for_their_answers(small: Serve) -> None:
    ready = b"GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n"
    got = answers(exchange(small, GET + ready * 40 + GET + LAST))
    assert [status for status, _ in got] == [200] * 43
    assert [body for _, body in got[1:41]] == [b"ready\n"] * 40


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"b" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 5_000 + b"\r\n",
        b"GET / HTTP/9\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nno header\r\n\r\n",
        b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ],
)
def test_what_is_no_request_is_answered_in_one_line(small: Serve, request_: bytes) -> None:
    ((status, body),) = answers(exchange(small, request_))
    assert 400 <= status < 500
    assert body.isascii()
    assert len(body) < 300
    assert len(body.decode().splitlines()) == 1


def test_a_body_that_nobody_wants(small: Serve) -> None:
    head = b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"
    with connect(small) as client:
        client.sendall(head)
        assert client.recv(20).startswith(b"HTTP/1.1 405")
        small.wait(lambda: is_dropped(client))


def test_clients_do_not_fill_the_log(start: Start) -> None:
    serve = start(*QUIET)
    serve.wait_ready()
    for nonsense in (b"\x00\xff\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nA" + b"b" * 20_000):
        exchange(serve, nonsense)
    assert serve.stop() == 0
    assert not re.search("level=(warn|error)|Traceback", serve.log())
