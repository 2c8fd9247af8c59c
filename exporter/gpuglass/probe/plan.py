"""What is read of one card: the sections of all groups."""

from collections.abc import Callable, Iterable

from gpuglass.catalogue import processes as metrics
from gpuglass.catalogue.groups import CORE, MIG, PROCESSES
from gpuglass.probe.frames import Column
from gpuglass.probe.group import Card, Section
from gpuglass.probe.group import column as column_of
from gpuglass.probe.groups import GROUPS
from gpuglass.probe.nvml import Handle, Library
from gpuglass.probe.processes import Processes
from gpuglass.probe.request import Request


class Plan:
    """The calls that this card answers, by group.

    Args:
        library: NVML.
        device: The GPU.
        asked: What to read.

    Attributes:
        processes: Reads who is on the GPU, if that is wanted: rows of no fixed number, which
            are told apart from the values of the other groups.

    Raises:
        NvmlError: The GPU is gone, or NVML has to be started again.
    """

    def __init__(self, library: Library, device: Handle, asked: Request) -> None:
        self._cards = {
            name: Card(library, device, interval, asked.each_nvlink)
            for name, interval in asked.intervals.items()
        }
        self._sections = {
            name: Section(GROUPS[name], card)
            for name, card in self._cards.items()
            if name != PROCESSES
        }
        self.processes = Processes(library, device) if PROCESSES in asked.intervals else None

    @property
    def columns(self) -> dict[str, list[Column]]:
        """What ``read`` returns, by group."""
        columns = {name: section.columns for name, section in self._sections.items()}
        return columns | ({PROCESSES: []} if self.processes else {})

    @property
    def missing(self) -> dict[Column, str]:
        """For each column that the card does not give, the reason."""
        missing = {
            column: reason
            for section in self._sections.values()
            for column, reason in section.missing.items()
        }
        if self.processes and self.processes.without_use:
            missing[column_of(metrics.PROCESS_SM)] = self.processes.without_use
        return missing

    @property
    def refused(self) -> dict[str, str]:
        """For each group of which the card gives nothing, the reason."""
        refused = {name: s.refused for name, s in self._sections.items() if s.refused}
        if self.processes and self.processes.refused:
            refused[PROCESSES] = self.processes.refused
        return refused

    def renew(self, groups: Iterable[str], enter: Callable[[str], None]) -> bool:
        """Plan those of the groups anew of which the card would tell something else by now.

        Returns:
            Whether there was one.

        Raises:
            NvmlError: The GPU is gone, or NVML has to be started again.
        """
        enter("plan")
        outdated = [
            name for name in groups if name in self._sections and self._sections[name].outdated()
        ]
        for name in outdated:
            self._sections[name] = Section(GROUPS[name], self._cards[name])
        # Processes are asked of the MIG instances: where those are others, so are the questions.
        reader = self.processes if PROCESSES in groups else None
        if reader and (MIG in outdated or reader.outdated()):
            card = self._cards[PROCESSES]
            self.processes = Processes(card.library, card.device)
            outdated.append(PROCESSES)
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
            NvmlError: The GPU is gone, answers nothing, or NVML has to be started again.
        """
        values = {}
        for name in groups:
            if section := self._sections.get(name):
                values[name] = section.read(enter)
                if name == CORE and section.failure:
                    raise section.failure
        if self.processes and PROCESSES in groups:
            values[PROCESSES] = self.processes.read(enter)
        return values
