"""The machine's NVIDIA cards on the PCI bus, and whether they sleep.

What is read here are the kernel's own notes, which wake no card.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

_NVIDIA = "0x10de"
# A VGA or a 3D controller; the card's audio and USB functions are no GPUs.
_CLASSES = ("0x0300", "0x0302")
_ASLEEP = ("suspended", "suspending")
_AWAKE = ("active", "resuming")
_LIST_SECONDS = 30.0
# What the driver says of a card that it never lets sleep, though the kernel would let it.
_NEVER = ("Not supported", "Disabled")


class Card(NamedTuple):
    """A card.

    Attributes:
        address: Its PCI address, such as ``0000:01:00.0``.
        may_sleep: Whether it is put to sleep when nobody uses it, as a laptop's is.
        asleep: Whether it sleeps, or is about to.
    """

    address: str
    may_sleep: bool
    asleep: bool


class Cards:
    """The cards.

    Args:
        procfs: The machine's ``/proc``.
        sysfs: The machine's ``/sys``.
        clock: Seconds of a monotonic clock.
    """

    def __init__(
        self, procfs: Path, sysfs: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._driver = procfs / "driver/nvidia/gpus"
        self._bus = sysfs / "bus/pci/devices"
        self._clock = clock
        self._listed_at: float | None = None
        self._known: dict[str, bool] = {}
        self._never: dict[str, bool] = {}

    def read(self) -> list[Card]:
        """Read how they are now; none where the machine does not tell."""
        now = self._clock()
        if self._listed_at is None or now - self._listed_at >= _LIST_SECONDS:
            self._listed_at = now
            self._list()
        return [self._card(address) for address, is_gpu in self._known.items() if is_gpu]

    def _list(self) -> None:
        try:
            names = sorted(path.name for path in self._bus.iterdir())
        except OSError:
            names = []
        self._known = {
            name: self._known[name] if name in self._known else self._is_gpu(name) for name in names
        }
        self._never = {}

    def _is_gpu(self, name: str) -> bool:
        device = self._bus / name
        return _word(device / "vendor") == _NVIDIA and _word(device / "class")[:6] in _CLASSES

    def _card(self, address: str) -> Card:
        power = self._bus / address / "power"
        status = _word(power / "runtime_status")
        asleep = status in _ASLEEP
        may_sleep = _word(power / "control") == "auto" and status in (*_ASLEEP, *_AWAKE)
        if may_sleep and not asleep:
            may_sleep = not self._never_sleeps(address)
        return Card(address, may_sleep, asleep)

    def _never_sleeps(self, address: str) -> bool:
        """Whether the driver keeps a card awake; asked while it is, so that this cannot wake it."""
        if address not in self._never:
            # "Runtime D3 status:          Enabled (fine-grained)" is the first line.
            line = _word(self._driver / address / "power").partition("\n")[0]
            name, _, status = line.partition(":")
            never = name == "Runtime D3 status" and status.strip().startswith(_NEVER)
            self._never[address] = never
        return self._never[address]


def _word(path: Path) -> str:
    try:
        return path.read_text(errors="backslashreplace").strip()
    except OSError:
        return ""
