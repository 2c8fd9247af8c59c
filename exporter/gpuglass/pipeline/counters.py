"""Counters that only grow, whatever happens to the probe, the driver or the schedule."""


class Counter:
    """One published counter, fed by a counter of the driver or by samples of a rate.

    Attributes:
        total: The value to publish.
    """

    def __init__(self) -> None:
        self.total = 0.0
        self._offset = 0.0
        self._driver: float | None = None
        self._time: float | None = None

    def follow(self, value: float, wraps: int = 0) -> None:
        """Take the value of the driver's counter.

        The first one is published as it is, so that a restart of the exporter alone is no reset.
        When it falls, because the driver was loaded anew, what was counted before stays.

        Args:
            value: What the driver shows.
            wraps: The value at which the driver's counter starts again from 0; 0 if it never does.
        """
        if self._driver is None:
            self._offset = self.total - value if self.total else 0.0
        elif value < self._driver:
            self._offset += max(wraps, self._driver)
        self._driver = value
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
