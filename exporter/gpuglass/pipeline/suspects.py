"""Which GPUs the next probe is started without, because their calls did not return."""


class Suspects:
    """GPUs by index, and when each is tried again: later each time.

    Args:
        first: Seconds until a GPU is tried again for the first time.
        longest: The most seconds between two tries.
    """

    def __init__(self, first: float, longest: float) -> None:
        self._first, self._longest = first, longest
        self._delays: dict[int, float] = {}
        self._retry_at: dict[int, float] = {}

    def accuse(self, index: int, now: float) -> None:
        """Leave a GPU out from now on."""
        delay = (
            min(2 * self._delays[index], self._longest) if index in self._delays else self._first
        )
        self._delays[index] = delay
        self._retry_at[index] = now + delay

    def skipped(self) -> tuple[int, ...]:
        """The GPUs to leave out."""
        return tuple(sorted(self._retry_at))

    def due(self, now: float) -> bool:
        """Whether one is to be tried again."""
        return any(moment <= now for moment in self._retry_at.values())

    def release(self, now: float) -> None:
        """Leave those out no longer that are due."""
        self._retry_at = {i: moment for i, moment in self._retry_at.items() if moment > now}

    def release_all(self) -> None:
        """Leave none out: their indexes may mean others now."""
        self._retry_at = {}

    def acquit(self, indexes: set[int]) -> None:
        """Take the news that these answer well: should one fail again, that is its first time."""
        for index in indexes & (self._delays.keys() - self._retry_at.keys()):
            del self._delays[index]
