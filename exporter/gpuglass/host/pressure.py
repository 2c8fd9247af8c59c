"""Pressure stall information: time lost for want of CPU, I/O, memory, or to interrupts."""

import re

from gpuglass.catalogue import host as metrics
from gpuglass.catalogue.model import Metric, Sample
from gpuglass.host.registry import Paths, register

_TOTAL = re.compile(rb"^(some|full) .*\btotal=(\d+)$", re.MULTILINE)
_MICROSECONDS = 1_000_000
# The kernel also writes "full" for the CPU, as a 0 without meaning: while nobody runs, nobody waits
# for a CPU. For interrupts it has no "some".
_METRICS: dict[str, dict[bytes, Metric]] = {
    "cpu": {b"some": metrics.PRESSURE_CPU_WAITING},
    "io": {b"some": metrics.PRESSURE_IO_WAITING, b"full": metrics.PRESSURE_IO_STALLED},
    "memory": {
        b"some": metrics.PRESSURE_MEMORY_WAITING,
        b"full": metrics.PRESSURE_MEMORY_STALLED,
    },
    "irq": {b"full": metrics.PRESSURE_IRQ_STALLED},
}


@register
class PressureCollector:
    """Totals from ``/proc/pressure``, where the kernel has it and it is switched on."""

    name = "pressure"
    slow = False

    def __init__(self, paths: Paths) -> None:
        self._files = [
            (paths.procfs / "pressure" / resource, wanted) for resource, wanted in _METRICS.items()
        ]

    def read(self) -> list[Sample]:
        """Read the stall times in seconds; none from a kernel without them.

        Raises:
            ValueError: A file has none of the expected lines.
        """
        samples: list[Sample] = []
        for path, wanted in self._files:
            try:
                content = path.read_bytes()
            except OSError:  # also "not supported", where it is compiled in but switched off
                continue
            totals = dict(_TOTAL.findall(content))
            if not totals:
                raise ValueError(f"{path}: no total is readable")
            samples.extend(
                Sample(metric, (), int(totals[kind]) / _MICROSECONDS)
                for kind, metric in wanted.items()
                if kind in totals
            )
        return samples
