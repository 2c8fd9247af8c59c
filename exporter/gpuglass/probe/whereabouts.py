"""Where each thread is in the driver, so that a call that does not return can be named."""

import threading
import time

# In the place of a GPU's index: a call that is not of one GPU.
NO_GPU = -1


class StoppedError(Exception):
    """The process ends: no more calls."""


class Whereabouts:
    """Where one thread is: it tells before each call, and others look.

    Args:
        index: NVML's index of the GPU that the thread reads.
        stop: Set when the process ends.
    """

    def __init__(self, index: int, stop: threading.Event) -> None:
        self.index = index
        self._stop = stop
        self._call: tuple[str, float] | None = None

    def enter(self, call: str) -> None:
        """Tell which function is called next.

        Raises:
            StoppedError: It must not be: NVML may be shut down at any moment.
        """
        # First this, then the look: whoever sets the flag and then looks here misses no call.
        self._call = call, time.monotonic()
        if self._stop.is_set():
            self._call = None
            raise StoppedError

    def leave(self) -> None:
        """Tell that no function is called for now."""
        self._call = None

    def waiting(self) -> tuple[str, float] | None:
        """The function that the thread is in and for how many seconds, if it is in one."""
        call = self._call
        return (call[0], round(time.monotonic() - call[1], 3)) if call else None
