"""What a part works with: the library, the GPUs, and somebody to tell what it finds."""

import functools
import json
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tests.hardware.pace import Asked

from gpuglass.probe.nvml import Handle, Library, NvmlError
from gpuglass.probe.whereabouts import NO_GPU, StoppedError, Whereabouts

# What a step finds: what JSON can hold.
Json = Any
# A part is a number of steps; what a step returns is told under its name.
Step = tuple[str, Callable[[], Json]]
Steps = Iterator[Step]

PRIVATE = "$private"


def private(kind: str, text: str) -> Json:
    """A text that must not be written down: whoever writes puts another one in its place."""
    return {PRIVATE: [kind, text]} if text else ""


class Card(NamedTuple):
    """A GPU."""

    number: int
    name: str
    handle: Handle

    @property
    def label(self) -> str:
        """What it is called in results: NVML's index of it."""
        return f"gpu{self.number}"


class Job:
    """What a part is asked, and what it needs for it.

    Args:
        asked: What it is asked.
        pipe: File descriptor for what it tells.
        stop: Set when it has to end.
    """

    def __init__(self, asked: Asked, pipe: int, stop: threading.Event) -> None:
        self.asked, self.pace = asked, asked.pace
        self.where = Whereabouts(NO_GPU, stop)
        self._pipe, self._stop = pipe, stop

    @functools.cached_property
    def library(self) -> Library:
        """NVML, started.

        Raises:
            NvmlError: It does not start.
        """
        return Library(enter=self.where.enter)

    @functools.cached_property
    def cards(self) -> list[Card]:
        """All GPUs that can be had.

        Raises:
            NvmlError: They cannot be counted.
        """
        cards = []
        for index in range(self.library.number("nvmlDeviceGetCount_v2")):
            try:
                handle = self.library.device(index)
                cards.append(Card(index, self.library.text("nvmlDeviceGetName", handle), handle))
            except NvmlError as error:
                self.tell(error.reason, f"gpu{index}")
        return cards

    @property
    def kinds(self) -> list[Card]:
        """The first GPU of each model: the others answer alike."""
        return list({card.name: card for card in reversed(self.cards)}.values())[::-1]

    def tell(self, value: Json, *path: str) -> None:
        """Tell what was found, at once.

        Args:
            value: What.
            path: Where it belongs in the part's results.

        Raises:
            StoppedError: The process has to end.
        """
        self._send("tell", list(path), value)

    def file(self, name: str, text: str) -> None:
        """Tell a text that is a file of its own.

        Raises:
            StoppedError: The process has to end.
        """
        self._send("file", name, text)

    def begin(self, step: str) -> None:
        """Tell which step comes next.

        Raises:
            StoppedError: The process has to end.
        """
        self._send("step", step)

    def sleep(self, seconds: float) -> None:
        """Wait.

        Raises:
            StoppedError: The process has to end.
        """
        self.where.leave()
        if self._stop.wait(seconds):
            raise StoppedError

    def _send(self, *line: Json) -> None:
        self.where.leave()
        if self._stop.is_set():
            raise StoppedError
        data = json.dumps(line).encode() + b"\n"
        while data:
            data = data[os.write(self._pipe, data) :]
