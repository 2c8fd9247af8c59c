"""Something that the keeper does over and over, and tells of on its page."""

import logging
from collections.abc import Iterable
from typing import Protocol

from prometheus_client.metrics_core import Metric

_log = logging.getLogger(__name__)


class Told(Protocol):
    """Something that the keeper tells of on its page."""

    def collect(self) -> Iterable[Metric]:
        """What there is to say of it; called by the thread of the page, at any time."""


class Duty(Told, Protocol):
    """One thing that the keeper sees to, in a thread of its own.

    Attributes:
        name: What it is called in logs and metrics.
        interval: Seconds from the end of one check to the beginning of the next.
    """

    name: str
    interval: float

    def check(self) -> None:
        """Do it once. What goes wrong is logged and counted, never raised."""


def attempt(duty: Duty) -> bool:
    """Do it once, also where a check raises what nobody foresaw: that is logged.

    Returns:
        Whether the check came to its end.
    """
    try:
        duty.check()
    except Exception:
        _log.exception("%s: a fault of the keeper; please report it", duty.name)
        return False
    return True
