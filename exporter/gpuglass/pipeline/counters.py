"""Counters that only grow, whatever happens to the probe, the driver or the schedule."""

import math


class Counter:
    """One published counter, fed by a counter of the driver or by samples of a rate.

    Attributes:
        total: The value to publish.
        followed_at: When the driver's counter was taken last, in seconds of a monotonic clock.
    """

    def __init__(self) -> None:
        self.total = 0.0
        self.followed_at = 0.0
        self._offset = 0.0
        self._driver: float | None = None
        self._time: float | None = None

    def follow(self, value: float, wraps: int = 0, most: float = math.inf) -> None:
        """Take the value of the driver's counter.

        The first one is published as it is, so that a restart of the exporter alone is no reset.
        When it falls, because the driver was loaded anew, what was counted before stays. A step
        that cannot be is not counted: the counter goes on from the new value as if it had not been.

        Args:
            value: What the driver shows.
            wraps: The value at which the driver's counter starts again from 0; 0 if it never does.
            most: The most that it can have grown by since it was followed last.
        """
        before, self._driver = self._driver, value
        if before is None:
            self._offset = self.total - value if self.total else 0.0
        elif value < before:
            start = max(wraps, before)
            grown = value + start - before
            self._offset = self._offset + start if grown <= most else self.total - value
        elif value - before > most:
            self._offset = self.total - value
        # Lower by rounding, or where samples of the rate have counted too much in between.
        self.total = max(self.total, self._offset + value)

    def forget(self) -> None:
        """Take the driver's next value as a new start, from which ``total`` grows on."""
        self._driver = None

    def integrate(self, rate: float | None, time: float, longest: float) -> None:
        """Take a sample of the rate, which stands for the time since the last sample.

        Args:
            rate: The rate, in this counter's unit a second; ``None`` if there was no sample.
            time: When it was taken, in seconds of a monotonic clock.
            longest: A gap longer than this many seconds is not counted: nobody saw it.
        """
        if rate is None:
            self._time = None
            return
        if self._time is not None and 0 < time - self._time <= longest:
            self.total += rate * (time - self._time)
        self._time = time


class Highest:
    """The highest value that was seen.

    Attributes:
        value: That one; ``None`` before the first.
    """

    def __init__(self) -> None:
        self.value: float | None = None

    def take(self, value: float | None) -> None:
        """Take a value; ``None`` if there was none."""
        if value is not None and (self.value is None or value > self.value):
            self.value = value
