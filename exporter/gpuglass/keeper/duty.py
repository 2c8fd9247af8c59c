"""Something that the keeper does over and over, and tells of on its page."""

import threading
from collections.abc import Iterable, Sequence
from typing import Protocol

from prometheus_client.metrics_core import Metric


class Told(Protocol):
    """Something that the keeper tells of on its page."""

    def collect(self) -> Iterable[Metric]:
        """What there is to say of it; called by the thread of the page, at any time."""


class Duty(Told, Protocol):
    """One thing that the keeper sees to, in a thread of its own.

    Attributes:
        name: What it is called in logs.
        interval: Seconds from the end of one check to the beginning of the next.
    """

    name: str
    interval: float

    def check(self) -> None:
        """Do it once. What goes wrong is logged and counted, never raised."""


def run(duties: Sequence[Duty], stop: threading.Event) -> None:
    """See to all duties until ``stop`` is set; each one's first check comes after its interval.

    A check under way is finished first.
    """
    threads = [threading.Thread(target=_see_to, args=(d, stop), name=d.name) for d in duties]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _see_to(duty: Duty, stop: threading.Event) -> None:
    while not stop.wait(duty.interval):
        duty.check()
