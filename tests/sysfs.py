"""Trees of files like those in which the kernel shows PCI devices."""

import shutil
from pathlib import Path


class Tree:
    """A /sys and a /proc with cards.

    Args:
        folder: Where they are made.
    """

    def __init__(self, folder: Path) -> None:
        self.sysfs, self.procfs = folder / "sys", folder / "proc"
        for path in (self.sysfs, self.procfs):
            path.mkdir()
        self._bus = self.sysfs / "bus/pci/devices"

    def card(
        self,
        address: str,
        control: str | None = "auto",
        status: str | None = "active",
        vendor: str = "0x10de",
        kind: str = "0x030000",
    ) -> None:
        """Put a card into its slot."""
        power = self._bus / address / "power"
        power.mkdir(parents=True)
        (power.parent / "vendor").write_text(f"{vendor}\n")
        (power.parent / "class").write_text(f"{kind}\n")
        if control:
            (power / "control").write_text(f"{control}\n")
        if status:
            self.set(address, status)

    def set(self, address: str, status: str) -> None:
        """Let a card sleep or wake, at once."""
        path = self._bus / address / "power/runtime_status"
        new = path.with_suffix(".new")
        new.write_text(f"{status}\n")
        new.replace(path)

    def remove(self, address: str) -> None:
        """Take a card out."""
        shutil.rmtree(self._bus / address)

    def driver_says(self, address: str, status: str) -> None:
        """What the driver tells of a card's sleep."""
        folder = self.procfs / "driver/nvidia/gpus" / address
        folder.mkdir(parents=True)
        (folder / "power").write_text(
            f"Runtime D3 status:          {status}\nVideo Memory:               Active\n"
        )
