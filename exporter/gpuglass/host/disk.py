"""What each disk has read, written and been busy for."""

import re
from collections.abc import Iterable

from gpuglass.catalogue import host as metrics
from gpuglass.catalogue.model import Sample
from gpuglass.host.registry import Paths, register

_SECTOR_BYTES = 512  # of the file's unit, whatever the sectors of the device are
_MILLISECONDS = 1000
# Memory, images of files that lie on a real disk, and drives for removable media.
_NO_DISK = re.compile(r"(loop|z?ram|fd|sr)\d+")


@register
class DiskCollector:
    """Whole disks from ``/proc/diskstats``.

    Partitions are left out: their disk counts the same bytes. Device-mapper and RAID devices are
    in, and count what their disks count too. A device that never did anything is an empty slot (a
    card reader, an unused network block device) and is left out, since the kernel reads every real
    disk when it finds it. A malformed line leaves out its own device.
    """

    name = "disk"
    slow = False

    def __init__(self, paths: Paths) -> None:
        self._diskstats = paths.procfs / "diskstats"

    def read(self) -> list[Sample]:
        """Read the counters of each disk, in bytes and seconds; none on a machine without disks.

        Raises:
            OSError: ``/proc/diskstats`` cannot be read.
            ValueError: None of its lines is readable.
        """
        lines = self._diskstats.read_text(errors="backslashreplace").splitlines()
        counts = dict(_devices(lines))
        if lines and not counts:
            raise ValueError(f"{self._diskstats}: no line is readable")
        samples = []
        for device, values in counts.items():
            if any(values) and not _NO_DISK.fullmatch(device) and not _partition(device, counts):
                samples.extend(_samples(device, values))
        return samples


def _devices(lines: Iterable[str]) -> Iterable[tuple[str, list[int]]]:
    for line in lines:
        fields = line.split()
        try:
            if len(fields) >= 13:
                yield fields[2], [int(field) for field in fields[3:13]]
        except ValueError:
            continue


def _partition(device: str, devices: Iterable[str]) -> bool:
    """Tell a partition as the kernel names it: sda and sda1, nvme0n1 and nvme0n1p1.

    A device without its disk in the list (xvda1 of some virtual machines) is a disk itself.
    """
    disk = device.rstrip("0123456789")
    if disk == device:
        return False
    return disk in devices or (disk[-2:-1].isdigit() and disk[-1] == "p" and disk[:-1] in devices)


def _samples(device: str, values: list[int]) -> list[Sample]:
    reads, _, sectors_read, reading, writes, _, sectors_written, writing, _, busy = values
    labels = (device,)
    return [
        Sample(metrics.DISK_READ_BYTES, labels, sectors_read * _SECTOR_BYTES),
        Sample(metrics.DISK_WRITTEN_BYTES, labels, sectors_written * _SECTOR_BYTES),
        Sample(metrics.DISK_READS, labels, reads),
        Sample(metrics.DISK_WRITES, labels, writes),
        Sample(metrics.DISK_READ_SECONDS, labels, reading / _MILLISECONDS),
        Sample(metrics.DISK_WRITE_SECONDS, labels, writing / _MILLISECONDS),
        Sample(metrics.DISK_IO_SECONDS, labels, busy / _MILLISECONDS),
    ]
