"""CPU time by mode, the number of CPUs, and the boot time that stands in the same file."""

import os
from collections.abc import Iterator

from gpuglass.catalogue import host as metrics
from gpuglass.catalogue.model import Sample
from gpuglass.host.registry import Paths, register

_MODES = (
    "user",
    "nice",
    "system",
    "idle",
    "iowait",
    "irq",
    "softirq",
    "steal",
    "guest",
    "guest_nice",
)
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
# What the kernel takes back is less than this for each CPU.
_JITTER_TICKS = 5 * _TICKS_PER_SECOND


@register
class CpuCollector:
    """CPU time from ``/proc/stat``.

    The kernel counts the time of guests in ``user`` and ``guest``, and in ``nice`` and
    ``guest_nice``. Here every moment is in one mode only: the modes add up to the CPUs' time.

    The boot time is read here because ``/proc/stat`` is dear on large machines: it is read once.
    """

    name = "cpu"
    slow = False

    def __init__(self, paths: Paths) -> None:
        self._stat = paths.procfs / "stat"
        self._last: dict[str, int] = {}

    def read(self) -> list[Sample]:
        """Read CPU seconds, the number of CPUs and the boot time.

        Raises:
            OSError: ``/proc/stat`` cannot be read.
            ValueError: Its first line is not the sum over all CPUs.
        """
        content = self._stat.read_bytes()
        cpus = content.count(b"\ncpu")
        ticks = _modes(content.partition(b"\n")[0], str(self._stat))
        self._hold(ticks, _JITTER_TICKS * cpus)
        samples = [
            Sample(metrics.CPU_SECONDS, (mode,), value / _TICKS_PER_SECOND)
            for mode, value in ticks.items()
        ]
        if cpus:
            samples.append(Sample(metrics.CPUS, (), cpus))
        samples.extend(_boot_time(content))
        return samples

    def _hold(self, ticks: dict[str, int], jitter: int) -> None:
        """Hold what went back a little: ``rate()`` would take it for a restart from zero.

        The kernel takes back iowait and idle time when a CPU wakes elsewhere, and a tick of a
        guest can be in ``user`` some moments before it is in ``guest``.
        """
        for mode, last in self._last.items():
            if mode in ticks and 0 < last - ticks[mode] < jitter:
                ticks[mode] = last
        self._last = ticks


def _modes(line: bytes, path: str) -> dict[str, int]:
    fields = line.split()
    if len(fields) < 5 or fields[0] != b"cpu":
        raise ValueError(f"{path}: does not begin with the line of all CPUs")
    try:
        ticks = dict(zip(_MODES, map(int, fields[1:]), strict=False))
    except ValueError:
        raise ValueError(f"{path}: the line of all CPUs has something other than numbers") from None
    ticks["user"] -= ticks.get("guest", 0)
    ticks["nice"] -= ticks.get("guest_nice", 0)
    return ticks


def _boot_time(content: bytes) -> Iterator[Sample]:
    _, found, rest = content.partition(b"\nbtime ")
    value = rest.partition(b"\n")[0]
    if found and value.isdigit():
        yield Sample(metrics.BOOT_TIME, (), int(value))
