"""What a stream of numbers came to: its integral, and mean and peak of its recent past."""

from collections import deque


class Track:
    """Sums whole numbers over time, exactly, whatever the number of years.

    Times are whole microseconds, ``now`` of a clock that never goes back.

    Args:
        window: How much of the past ``mean`` and ``peak`` look at.

    Attributes:
        integral: Each number times the time that it stood for, summed.
    """

    def __init__(self, window: int) -> None:
        self.integral = 0
        self._window = window
        self._sums: deque[tuple[int, int, int]] = deque()
        self._peaks: deque[tuple[int, int]] = deque()
        self._area = 0
        self._length = 0

    def take(self, now: int, area: int, length: int, peak: int) -> None:
        """Take the next numbers.

        Args:
            now: The present.
            area: Each of them times the time that it stood for, summed.
            length: The time that they stood for.
            peak: The highest of them.
        """
        self.integral += area
        self._area += area
        self._length += length
        self._sums.append((now, area, length))
        # Only what no later number has reached can still become the peak.
        while self._peaks and self._peaks[-1][1] <= peak:
            self._peaks.pop()
        self._peaks.append((now, peak))

    def forget(self, now: int) -> None:
        """Let go of what is older than the window."""
        oldest = now - self._window
        while self._sums and self._sums[0][0] <= oldest:
            _, area, length = self._sums.popleft()
            self._area -= area
            self._length -= length
        while self._peaks and self._peaks[0][0] <= oldest:
            self._peaks.popleft()

    @property
    def mean(self) -> float | None:
        """The mean over the window; ``None`` where nothing stood for any time."""
        return self._area / self._length if self._length else None

    @property
    def peak(self) -> int | None:
        """The highest number in the window; ``None`` where there is none."""
        return self._peaks[0][1] if self._peaks else None
