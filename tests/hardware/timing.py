"""What calls cost."""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from tests.hardware.job import Job, Json

from gpuglass.probe.nvml import NvmlError


def summary(nanoseconds: Sequence[int]) -> Json:
    """The cost of a call: the first one, and then the others; in microseconds."""
    first, *others = [round(time / 1000, 2) for time in nanoseconds]
    if not others:
        return {"first_us": first}
    others.sort()
    return {
        "first_us": first,
        "calls": len(others),
        "min_us": others[0],
        "median_us": round(statistics.median(others), 2),
        "p99_us": others[math.ceil(0.99 * len(others)) - 1],
    }


def measure(
    job: Job,
    symbol: str,
    *arguments: Any,
    prepare: Callable[[], None] = lambda: None,
    budget: float | None = None,
) -> tuple[int, Json]:
    """Call a function, again and again.

    Args:
        job: The part's.
        symbol: The function's name.
        arguments: All that it takes.
        prepare: Called before each call, for parameters that the function overwrites.
        budget: Seconds after which it is repeated no more, instead of the pace's.

    Returns:
        What it answered at last, and what it costs.

    Raises:
        NvmlError: The library does not have it.
        StoppedError: The process has to end.
    """
    function = job.library.function(symbol)
    spent: list[int] = []
    end = time.monotonic() + (budget or job.pace.budget)
    while not spent or (len(spent) <= job.pace.calls and time.monotonic() < end):
        prepare()
        job.where.enter(symbol)
        begin = time.perf_counter_ns()
        code = function(*arguments)
        spent.append(time.perf_counter_ns() - begin)
    job.where.leave()
    return code, summary(spent)


def reason(code: int) -> str:
    """NVML's name of an answer in lower case; empty for success."""
    return NvmlError(code).reason if code else ""
