"""What each network device has received and sent."""

import re
from collections.abc import Iterable
from pathlib import Path

from gpuglass.catalogue import host as metrics
from gpuglass.catalogue.model import Sample
from gpuglass.host.registry import Paths, register

# lo carries what never leaves the machine. The others are the host's ends of one container's or
# virtual machine's link (Docker and most; Calico; Cilium; libvirt; OpenStack): they come and go
# with it, so their number has no bound, and what they carry to the outside a real device counts.
_IGNORED = re.compile(r"lo|veth.*|cali.*|lxc(?!br).*|vnet\d+|tap[0-9a-f]{8}-[0-9a-f]{2}")

# Column in /proc/net/dev, after the name.
_COLUMNS = (
    (0, metrics.NETWORK_RECEIVE_BYTES),
    (1, metrics.NETWORK_RECEIVE_PACKETS),
    (2, metrics.NETWORK_RECEIVE_ERRORS),
    (3, metrics.NETWORK_RECEIVE_DROPS),
    (8, metrics.NETWORK_TRANSMIT_BYTES),
    (9, metrics.NETWORK_TRANSMIT_PACKETS),
    (10, metrics.NETWORK_TRANSMIT_ERRORS),
    (11, metrics.NETWORK_TRANSMIT_DROPS),
)
_COLUMN_COUNT = 16


def ignored(device: str) -> bool:
    """Tell whether a network device is none to publish: loopback, or a container's link."""
    return _IGNORED.fullmatch(device) is not None


@register
class NetworkCollector:
    """Counters of network devices from ``/proc/net/dev``.

    That file shows the network of the process that reads it. Where the machine's ``/proc`` is
    mounted elsewhere, the exporter is in a container, and process 1 has the machine's network; if
    that may not be read, the exporter's own is published. A malformed line leaves out its own
    device.
    """

    name = "network"
    slow = False

    def __init__(self, paths: Paths) -> None:
        self._own = paths.procfs / "net/dev"
        self._files = [self._own]
        if paths.procfs != Path("/proc"):
            self._files.insert(0, paths.procfs / "1/net/dev")

    def read(self) -> list[Sample]:
        """Read bytes, packets, errors and drops of each device.

        Raises:
            OSError: ``/proc/net/dev`` cannot be read.
            ValueError: None of its lines is readable.
        """
        counts = dict(_devices(self._text().splitlines()))
        if not counts:
            raise ValueError(f"{self._own}: no line is readable")
        return [
            Sample(metric, (device,), values[column])
            for device, values in counts.items()
            if not ignored(device)
            for column, metric in _COLUMNS
        ]

    def _text(self) -> str:
        for path in self._files[:-1]:
            try:
                return path.read_text(errors="backslashreplace")
            except OSError:
                continue
        return self._files[-1].read_text(errors="backslashreplace")


def _devices(lines: Iterable[str]) -> Iterable[tuple[str, list[int]]]:
    for line in lines:
        name, _, rest = line.rpartition(":")
        fields = rest.split()
        try:
            if name and len(fields) >= _COLUMN_COUNT:
                yield name.strip(), [int(field) for field in fields]
        except ValueError:
            continue
