"""The exporter's real page, recorded, and carried on for as many nodes as are wanted.

All nodes show what one node has said, each some seconds later than the one before. Counters go on
from where the recording ends; all else begins again.
"""

import re
import time
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

from tests.bench import client
from tests.bench.storage import node
from tests.bench.storage.node import Labels, Recording
from tests.bench.storage.programs import Size

# Where a node's own three digits stand, in its name and in the uuids of its GPUs.
_DIGITS = "@@@"
NAME = f"node-{_DIGITS}"
# Seconds by which the nodes that lag most behind do so.
_LAG = 30
_UUID = re.compile(r'(uuid="GPU-[0-9a-f-]{28})([0-9a-f]{8})"')
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_GROWS = ("_total", "_sum", "_count", "_bucket")


def digits(number: int) -> bytes:
    """What a node has for its own three digits."""
    return b"%03d" % number


def mark(number: int) -> dict[bytes, bytes]:
    """What stands for a node's name and the end of its uuids, and what is to stand there."""
    return {end + _DIGITS.encode(): end + digits(number) for end in (b"node-", b"fade0")}


class Page:
    """What a node says from one second to the next.

    Args:
        pages: Each as of a second later than the one before, at least two.
    """

    def __init__(self, pages: Sequence[str]) -> None:
        self._length = len(pages)
        found = [dict(map(_cut, _samples(page))) for page in pages]
        self._lines = [
            line if line.startswith("#") else _cut(line)[0] for line in pages[0].splitlines()
        ]
        self._values: dict[str, list[str]] = {
            name: [values.get(name, first) for values in found] for name, first in found[0].items()
        }
        self._growth = {
            name: _growth(values)
            for name, values in self._values.items()
            if name.partition("{")[0].endswith(_GROWS)
        }
        self._at = lru_cache(maxsize=2 * _LAG)(self._pieces)

    @property
    def samples(self) -> int:
        """How many a page has."""
        return len(self._values)

    def of(self, number: int, second: int) -> bytes:
        """The page of a node at a second, counted from any beginning.

        Args:
            number: The node's, from 0 to 999.
            second: From ``_LAG`` on.
        """
        return digits(number).join(self._at(second - number % _LAG))

    def value(self, name: str, second: int) -> str:
        """The value of a series at a second."""
        loops, place = divmod(second, self._length)
        text = self._values[name][place]
        if not loops or not self._growth.get(name):
            return text
        grown = Decimal(text) + loops * self._growth[name]
        return f"{grown:f}"

    def recording(self) -> Recording:
        """The pages as they are stored, of a node whose name and uuids have their marks yet."""
        series: dict[Labels, list[str]] = {}
        for name, values in self._values.items():
            metric, _, labels = name.partition("{")
            texts = {"__name__": metric, "job": "gpu", **dict(_LABEL.findall(labels))}
            series[tuple(sorted(texts.items()))] = values
        up = {"__name__": "up", "job": "gpu", "node": NAME}
        series[tuple(sorted(up.items()))] = ["1"] * self._length
        return Recording(1, Size(1, 1, 1), series, self._length, 0)

    def _pieces(self, second: int) -> list[bytes]:
        lines = (
            line if line.startswith("#") else f"{line} {self.value(line, second)}"
            for line in self._lines
        )
        return "".join(f"{line}\n" for line in lines).encode().split(_DIGITS.encode())


def record(folder: Path, seconds: int) -> list[str]:
    """Pages of the exporter with all on, of 8 busy GPUs, a second from one to the next."""
    pages = []
    with node.exporter(folder) as address:
        port = int(address.rpartition(":")[2])
        begin = time.monotonic()
        for second in range(seconds):
            time.sleep(max(0.0, begin + second - time.monotonic()))
            text = client.scrape(port, False).body.decode()
            text = text.replace(f'node="{node.NODE}"', f'node="{NAME}"')
            pages.append(_UUID.sub(lambda uuid: f'{uuid[1]}fade0{_DIGITS}"', text))
    return pages


def _samples(page: str) -> list[str]:
    return [line for line in page.splitlines() if not line.startswith("#")]


def _cut(line: str) -> tuple[str, str]:
    name, _, value = line.rpartition(" ")
    return name, value


def _growth(values: Sequence[str]) -> Decimal:
    """What a counter grows by from the beginning of the recording to its next one."""
    whole = Decimal(values[-1]) - Decimal(values[0])
    return max(Decimal(0), whole + whole / (len(values) - 1)).quantize(Decimal("0.001"))
