"""Memory, swap, and the kills for want of memory."""

import os

from gpuglass.catalogue import host as metrics
from gpuglass.catalogue.model import Sample
from gpuglass.host.registry import Paths, register

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_MEMINFO = {
    b"MemTotal:": metrics.MEMORY_TOTAL,
    b"MemAvailable:": metrics.MEMORY_AVAILABLE,
    b"MemFree:": metrics.MEMORY_FREE,
    b"Buffers:": metrics.MEMORY_BUFFERS,
    b"Cached:": metrics.MEMORY_CACHED,
    b"Shmem:": metrics.MEMORY_SHARED,
    b"SwapTotal:": metrics.SWAP_TOTAL,
    b"SwapFree:": metrics.SWAP_FREE,
}
_VMSTAT = {
    b"pswpin": (metrics.SWAP_IN, _PAGE_BYTES),
    b"pswpout": (metrics.SWAP_OUT, _PAGE_BYTES),
    b"oom_kill": (metrics.OOM_KILLS, 1),
}


@register
class MemoryCollector:
    """Memory from ``/proc/meminfo``; swapping and kills from ``/proc/vmstat``.

    A line that is missing or malformed leaves out its own metric, and so does ``/proc/vmstat``
    when it cannot be read.
    """

    name = "memory"
    slow = False

    def __init__(self, paths: Paths) -> None:
        self._meminfo = paths.procfs / "meminfo"
        self._vmstat = paths.procfs / "vmstat"

    def read(self) -> list[Sample]:
        """Read memory and swap in bytes, and the count of kills.

        Raises:
            OSError: ``/proc/meminfo`` cannot be read.
            ValueError: ``/proc/meminfo`` has none of the expected lines.
        """
        samples = _memory(self._meminfo.read_bytes())
        if not samples:
            raise ValueError(f"{self._meminfo}: no line of memory is readable")
        try:
            vmstat = self._vmstat.read_bytes()
        except OSError:
            return samples
        return samples + _events(vmstat)


def _memory(meminfo: bytes) -> list[Sample]:
    samples = []
    for line in meminfo.splitlines():
        fields = line.split()
        if len(fields) == 3 and fields[0] in _MEMINFO and fields[1].isdigit():
            samples.append(Sample(_MEMINFO[fields[0]], (), int(fields[1]) * 1024))
    return samples


def _events(vmstat: bytes) -> list[Sample]:
    samples = []
    for line in vmstat.splitlines():
        name, _, value = line.partition(b" ")
        if name in _VMSTAT and value.isdigit():
            metric, factor = _VMSTAT[name]
            samples.append(Sample(metric, (), int(value) * factor))
    return samples
