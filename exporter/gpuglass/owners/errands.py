"""Calls that may never come back, each with a deadline."""

import threading
from collections.abc import Callable, Hashable
from typing import TypeVar

_Result = TypeVar("_Result")


class Errands:
    """Makes calls in threads of their own, and leaves behind those that hang.

    A thread that hangs in the kernel or in a name service cannot be ended. So their number is
    bounded, and what hangs is not tried a second time while it does.

    Args:
        most: How many calls may hang; with more of them no call is made.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._under_way: dict[Hashable, threading.Thread] = {}

    def run(self, key: Hashable, call: Callable[[], _Result], seconds: float) -> _Result:
        """Make a call, and wait for it for at most so many seconds.

        Args:
            key: What is asked; the same key is asked once at a time.
            call: What to do; it may end after the deadline, and then nobody takes its result.
            seconds: How long to wait.

        Returns:
            What the call returned.

        Raises:
            TimeoutError: The call hangs, or an earlier one does.
            Exception: What the call raised.
        """
        self._under_way = {old: hung for old, hung in self._under_way.items() if hung.is_alive()}
        if key in self._under_way or len(self._under_way) >= self._most:
            raise TimeoutError("an earlier call hangs")
        results: list[_Result] = []
        problems: list[Exception] = []

        def work() -> None:
            try:
                results.append(call())
            except Exception as problem:
                problems.append(problem)

        thread = threading.Thread(target=work, daemon=True, name="gpuglass-errand")
        try:
            thread.start()
        except RuntimeError:  # no more threads
            raise TimeoutError("no thread can be started") from None
        thread.join(seconds)
        if problems:
            raise problems[0]
        if not results:
            self._under_way[key] = thread
            raise TimeoutError(f"no answer within {seconds:g} s")
        return results[0]
