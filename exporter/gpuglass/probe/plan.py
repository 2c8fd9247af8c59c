"""What is read of one card: the sections of all groups."""

from collections.abc import Callable, Iterable, Mapping

from gpuglass.probe.frames import Column
from gpuglass.probe.group import Card, Section
from gpuglass.probe.groups import GROUPS
from gpuglass.probe.nvml import Handle, Library


class Plan:
    """The calls that this card answers, by group.

    Args:
        library: NVML.
        device: The GPU.
        intervals: Seconds between two readings of each group that is wanted.

    Attributes:
        columns: What ``read`` returns for each group.

    Raises:
        NvmlError: The GPU is gone, or NVML has to be started again.
    """

    def __init__(self, library: Library, device: Handle, intervals: Mapping[str, float]) -> None:
        self._cards = {
            name: Card(library, device, interval) for name, interval in intervals.items()
        }
        self._sections = {name: Section(GROUPS[name], card) for name, card in self._cards.items()}

    @property
    def columns(self) -> dict[str, list[Column]]:
        """What ``read`` returns, by group."""
        return {name: section.columns for name, section in self._sections.items()}

    @property
    def missing(self) -> dict[Column, str]:
        """For each column that the card does not give, the reason."""
        return {
            column: reason
            for section in self._sections.values()
            for column, reason in section.missing.items()
        }

    @property
    def refused(self) -> dict[str, str]:
        """For each group of which the card gives nothing, the reason."""
        return {name: s.refused for name, s in self._sections.items() if s.refused}

    def renew(self, groups: Iterable[str], enter: Callable[[str], None]) -> bool:
        """Plan those of the groups anew of which the card would tell something else by now.

        Returns:
            Whether there was one.

        Raises:
            NvmlError: The GPU is gone, or NVML has to be started again.
        """
        enter("plan")
        outdated = [name for name in groups if self._sections[name].outdated()]
        for name in outdated:
            self._sections[name] = Section(GROUPS[name], self._cards[name])
        return bool(outdated)

    def read(
        self, groups: Iterable[str], enter: Callable[[str], None]
    ) -> dict[str, list[float | None]]:
        """Read groups.

        Args:
            groups: Which.
            enter: Told the name of each function before it is called.

        Returns:
            By group a value for each of its ``columns``; ``None`` where the driver gave none this
            time.

        Raises:
            NvmlError: The GPU is gone, or NVML has to be started again.
        """
        return {name: self._sections[name].read(enter) for name in groups}
