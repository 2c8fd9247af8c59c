"""Facts about the pushing itself, published beside the host's."""

import time
from collections.abc import Callable
from pathlib import Path

from gpuglass.catalogue import exporter as metrics
from gpuglass.catalogue.model import Sample
from gpuglass.push import credentials, queue
from gpuglass.push.contact import Contact, ContactError, make

_SECONDS = 60.0
_RETRY = 10.0


class PushCollector:
    """Asks the monitoring host once a minute, and vmagent beside us each time.

    Args:
        url: Where the host is.
        folder: What this worker was given.
        vmagent_url: Where vmagent tells of its queue.
        contact: Asks the host.
        clock: Gives seconds that only go forward.
    """

    name = "push"
    slow = True

    def __init__(
        self,
        url: str,
        folder: Path,
        vmagent_url: str,
        contact: Callable[[str, credentials.Credentials], Contact] = make,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url, self._folder, self._vmagent_url = url, folder, vmagent_url
        self._make, self._clock = contact, clock
        self._next = 0.0
        self._last: Contact | None = None
        self._error: OSError | None = None

    def read(self) -> list[Sample]:
        """Read the facts as they are now.

        Raises:
            OSError: The host does not take what is pushed, or it is not known with what.
        """
        if self._clock() >= self._next:
            self._ask()
        if self._error is not None:
            raise self._error
        samples = self._queue()
        if self._last is not None:
            samples.append(Sample(metrics.PUSH_CLOCK_OFFSET, (), self._last.offset))
        return samples

    def _ask(self) -> None:
        self._last = self._error = None
        try:
            self._last = self._make(self._url, credentials.load(self._folder))
        except credentials.CredentialsError as error:
            self._error = ContactError(f"{self._folder}: {error}")
        except OSError as error:
            self._error = error
        self._next = self._clock() + (_RETRY if self._error else _SECONDS)

    def _queue(self) -> list[Sample]:
        """What vmagent tells of what waits; nothing while it does not answer."""
        found = queue.ask(self._vmagent_url, self._folder)
        if found is None:
            return []
        values = ((metrics.PUSH_PENDING, found.pending), (metrics.PUSH_DROPPED, found.dropped))
        return [Sample(metric, (), value) for metric, value in values if value is not None]
