"""What all reports are made of: figures and tables in Markdown, and what machine it was."""

import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

_PACKAGES = ("gpuglass", "aiohttp", "prometheus-client", "psutil", "nvidia-ml-py", "click")

Rows = list[tuple[str, ...]]


class Spread(NamedTuple):
    """The median of some values, and the least and the greatest."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """The spread of values, of which there is at least one."""
        ordered = sorted(values)
        return cls(statistics.median(ordered), ordered[0], ordered[-1])

    def show(self, form: str = "{:.2f}") -> str:
        """As a cell of a table."""
        low, high = form.format(self.least), form.format(self.most)
        return f"{form.format(self.median)} [{low} - {high}]"


def p99(values: Sequence[float]) -> float:
    """What one in a hundred values is above."""
    return statistics.quantiles(values, n=100, method="inclusive")[98]


def table(head: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> str:
    """A table.

    Args:
        head: The names of the columns.
        rows: The cells.
        texts: How many of the columns, from the left, are words; the others are figures.
    """
    rule = ["---"] * texts + ["---:"] * (len(head) - texts)
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, rule, *rows))


def yes(met: bool) -> str:
    """Whether a goal is met, as a cell of a table."""
    return "yes" if met else "**no**"


def written_by(command: str) -> str:
    """Where a report comes from."""
    return f"Written by `{command}`; do not edit.\n\n{_machine()}\n"


def _machine() -> str:
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    packages = ", ".join(f"{name} {metadata.version(name)}" for name in _PACKAGES)
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return (
        f"Machine: {_cpu()}, {os.cpu_count()} cores, {pages / 2**30:.0f} GiB; {system}, "
        f"Linux {platform.release()}; Python {platform.python_version()}; {packages}."
    )


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()
