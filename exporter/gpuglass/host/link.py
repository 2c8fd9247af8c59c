"""State and speed of network links."""

from collections.abc import Iterator
from pathlib import Path

from gpuglass.catalogue import host as metrics
from gpuglass.catalogue.model import Sample
from gpuglass.host.network import ignored
from gpuglass.host.registry import Paths, register

_MEGABIT_BYTES = 1_000_000 / 8
_UNKNOWN_SPEEDS = (-1, 0, 2**32 - 1)  # 2^32-1 is -1 on older kernels
_DOWN = ("down", "lowerlayerdown", "notpresent", "dormant", "testing")


@register
class LinkCollector:
    """State and speed from ``/sys/class/net``.

    Slow, because the kernel asks the driver for the speed under the lock of all network
    configuration, which can take long.
    """

    name = "link"
    slow = True

    def __init__(self, paths: Paths) -> None:
        self._net = paths.sysfs / "class/net"

    def read(self) -> list[Sample]:
        """Read whether each link is up, and its speed in bytes per second.

        What a device does not tell is left out.

        Raises:
            OSError: ``/sys/class/net`` cannot be listed.
        """
        samples: list[Sample] = []
        for device in sorted(self._net.iterdir()):
            name = device.name.encode(errors="surrogateescape").decode(errors="backslashreplace")
            if not ignored(name):
                samples.extend(_up(device, (name,)))
                samples.extend(_speed(device, (name,)))
        return samples


def _up(device: Path, labels: tuple[str, ...]) -> Iterator[Sample]:
    try:
        state = (device / "operstate").read_text().strip()
    except (OSError, ValueError):
        return
    if state == "up" or state in _DOWN:
        yield Sample(metrics.NETWORK_UP, labels, int(state == "up"))


def _speed(device: Path, labels: tuple[str, ...]) -> Iterator[Sample]:
    try:
        megabits = int((device / "speed").read_text())
    except (OSError, ValueError):  # the kernel refuses the read while the link is down
        return
    if megabits not in _UNKNOWN_SPEEDS:
        yield Sample(metrics.NETWORK_SPEED, labels, megabits * _MEGABIT_BYTES)
