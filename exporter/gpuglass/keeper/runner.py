"""All duties go on, each in a thread of its own, whatever happens in one."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence

from prometheus_client.metrics_core import Metric as Family

from gpuglass.catalogue import keeper as metrics
from gpuglass.keeper.duty import Duty, attempt
from gpuglass.keeper.metrics import counter, gauge

_PAUSE = 60.0


class Runner:
    """Sees to duties.

    Args:
        duties: Which; no two of one name.
        pause: Seconds to wait at least after a check that did not come to its end.
        clock: Gives Unix time in seconds.
    """

    def __init__(
        self,
        duties: Sequence[Duty],
        pause: float = _PAUSE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._duties, self._pause, self._clock = duties, pause, clock
        # From the beginning, so that a duty that never comes to the end of a check is seen.
        self._last_check = {duty.name: clock() for duty in duties}
        self._failures = {duty.name: 0 for duty in duties}

    def run(self, stop: threading.Event) -> None:
        """See to all until ``stop`` is set; each one's first check comes after its interval.

        A check under way is finished first.
        """
        threads = [
            threading.Thread(target=self._see_to, args=(duty, stop), name=duty.name)
            for duty in self._duties
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def collect(self) -> Iterable[Family]:
        """When each duty was last seen to."""
        last_check, failures = gauge(metrics.DUTY_LAST_CHECK), counter(metrics.DUTY_FAILURES)
        for name in self._last_check:
            last_check.add_metric([name], round(self._last_check[name]))
            failures.add_metric([name], self._failures[name])
        yield from (last_check, failures)

    def _see_to(self, duty: Duty, stop: threading.Event) -> None:
        pause = 0.0
        while not stop.wait(max(duty.interval, pause)):
            if attempt(duty):
                pause, self._last_check[duty.name] = 0.0, self._clock()
            else:
                pause = self._pause
                self._failures[duty.name] += 1
