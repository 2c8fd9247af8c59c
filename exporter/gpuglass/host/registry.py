"""What a collector of host facts is, and the list of all of them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from gpuglass.catalogue.model import Sample


@dataclass(frozen=True)
class Paths:
    """Where the machine's files are; a container mounts the host's elsewhere.

    Attributes:
        procfs: The machine's ``/proc``.
        sysfs: The machine's ``/sys``.
        rootfs: The machine's root directory.
    """

    procfs: Path = Path("/proc")
    sysfs: Path = Path("/sys")
    rootfs: Path = Path("/")


class Collector(Protocol):
    """One group of host facts.

    Attributes:
        name: What the flags ``--collector.NAME`` and ``--no-collector.NAME`` call it.
        slow: Whether a read may take seconds, so that it needs a thread of its own.
    """

    name: str
    slow: bool

    def __init__(self, paths: Paths) -> None: ...

    def read(self) -> list[Sample]:
        """Read the facts as they are now.

        A fact that the machine does not give has no sample.

        Returns:
            The samples, each series once.

        Raises:
            OSError: A file without which there is nothing to publish cannot be read.
            ValueError: Such a file is not what the kernel writes.
        """
        ...


_Class = TypeVar("_Class", bound=Collector)
_registered: dict[str, Callable[[Paths], Collector]] = {}


def register(collector: type[_Class]) -> type[_Class]:
    """Add a class of collectors to the list, under its ``name``.

    Raises:
        ValueError: Another collector has that name.
    """
    if collector.name in _registered:
        raise ValueError(f"two collectors are named {collector.name}")
    _registered[collector.name] = collector
    return collector


def names() -> tuple[str, ...]:
    """Return the names of all collectors, in the order of the page."""
    return tuple(_registered)


def collectors(paths: Paths) -> list[Collector]:
    """Build one collector of each kind; nothing is read yet.

    Args:
        paths: Where the machine's files are.

    Returns:
        The collectors, in the order of ``names()``.
    """
    return [build(paths) for build in _registered.values()]
