"""The clocks of a card, as several groups read them."""

import pynvml

from gpuglass.probe import calls
from gpuglass.probe.calls import Make
from gpuglass.probe.frames import Column
from gpuglass.probe.group import Fact

DOMAINS = {
    "graphics": pynvml.NVML_CLOCK_GRAPHICS,
    "sm": pynvml.NVML_CLOCK_SM,
    "memory": pynvml.NVML_CLOCK_MEM,
    "video": pynvml.NVML_CLOCK_VIDEO,
}


def clock(symbol: str, column: Column, *arguments: int) -> Make:
    """A function that gives a clock, in MHz.

    Args:
        symbol: The function's name.
        column: What clock it is.
        arguments: What the function takes: the clock's domain first.
    """
    return calls.numbers(symbol, [column], *arguments, multiply=1_000_000)


def application_clock(column: Column, older: str, domain: int, which: int) -> Fact:
    """A clock that somebody may have set for applications.

    Args:
        column: What clock it is.
        older: The function of drivers that cannot be asked for any clock of a domain.
        domain: ``NVML_CLOCK_...``.
        which: ``NVML_CLOCK_ID_...``.
    """
    return clock("nvmlDeviceGetClock", column, domain, which), clock(older, column, domain)
