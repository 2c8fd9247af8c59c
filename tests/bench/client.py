"""The scraper: ``python -m tests.bench.client PORT COUNT SEED LEAST MOST``.

A process of its own, so that it shares no interpreter with what it measures. Scrapes plain and
gzip by turns, each on a new connection, and prints the result as JSON.
"""

import gc
import gzip
import json
import random
import socket
import statistics
import subprocess
import sys
import time
from typing import NamedTuple

from tests.bench.stage import ROOT

_WARM_UP = 5


class Answer(NamedTuple):
    """A scrape: the body as it came, and milliseconds from before connect to its last byte."""

    body: bytes
    milliseconds: float


class Scrape(NamedTuple):
    """What is kept of a scrape: its time, and whether it met a page not seen before."""

    milliseconds: float
    fresh: bool


class Scrapes(NamedTuple):
    """The scrapes of a turn."""

    plain: list[Scrape]
    gzip: list[Scrape]

    def fresh(self) -> float:
        """The share that met a page not seen before."""
        return statistics.mean(scrape.fresh for scrape in self.plain + self.gzip)


def scrape(port: int, compressed: bool) -> Answer:
    """Ask for the page once.

    Raises:
        OSError: There is no connection, or it ends early.
        ValueError: The answer is not the page in the encoding that was asked for.
    """
    encoding = b"Accept-Encoding: gzip\r\n" if compressed else b""
    request = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n" + encoding + b"\r\n"
    begin = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        head, colon, body = b"", b"", b""
        while not colon:
            head, colon, body = (head + _receive(connection)).partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        parts, missing = [body], int(headers["content-length"]) - len(body)
        while missing > 0:
            parts.append(_receive(connection))
            missing -= len(parts[-1])
        end = time.perf_counter()
    if " 200 " not in status or (headers.get("content-encoding") == "gzip") != compressed:
        raise ValueError(f"not the page: {head!r}")
    return Answer(b"".join(parts), 1000 * (end - begin))


def _receive(connection: socket.socket) -> bytes:
    data = connection.recv(1 << 18)
    if not data:
        raise ConnectionError("the server hung up early")
    return data


def run(port: int, count: int, seed: int, pause: tuple[float, float] = (0.05, 0.15)) -> Scrapes:
    """Scrape from another process, ``count`` times plain and as often gzip.

    Args:
        port: Where.
        count: How often.
        seed: Decides on the length of the pauses.
        pause: The least and the most seconds between two.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.client", *map(str, (port, count, seed, *pause))],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    plain, compressed = json.loads(done.stdout)
    return Scrapes([Scrape(*one) for one in plain], [Scrape(*one) for one in compressed])


def _scrapes(port: int, count: int, seed: int, *pause: float) -> Scrapes:
    choose = random.Random(seed)
    kept: dict[bool, list[Scrape]] = {False: [], True: []}
    last = b""
    gc.disable()
    for number in range(-2 * _WARM_UP, 2 * count):
        compressed = number % 2 == 1
        time.sleep(choose.uniform(*pause))
        answer = scrape(port, compressed)
        page = gzip.decompress(answer.body) if compressed else answer.body
        if number >= 0:
            kept[compressed].append(Scrape(answer.milliseconds, page != last))
        last = page
    return Scrapes(kept[False], kept[True])


if __name__ == "__main__":
    print(json.dumps(_scrapes(*map(int, sys.argv[1:4]), *map(float, sys.argv[4:]))))
