"""What a group of facts is: the calls that can give them, tried on each card."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from gpuglass.catalogue.bounds import possible
from gpuglass.catalogue.model import Metric
from gpuglass.probe.calls import Call, Field, FieldBatch, Make, supported_fields
from gpuglass.probe.frames import Column
from gpuglass.probe.nvml import GPU_GONE, PERMANENT, PROCESS_STALE, Handle, Library, NvmlError

# One fact: the calls that can give it, the best one first.
Fact = tuple[Make, ...]


def column(metric: Metric, *labels: str) -> Column:
    """A value of a metric, with its labels after ``gpu`` and ``uuid``."""
    return Column(metric.name, labels)


_TELLING = ("no_permission", "not_supported")


@dataclass
class Found:
    """What a card itself has to be asked for, such as how many fans there are.

    Attributes:
        facts: More facts to try.
        fields: More fields to try.
        missing: What is known not to be there, and why.
        refused: Why the card gives nothing, where it says so itself.
        outdated: Whether asking again would find something else; called before each reading.
    """

    facts: list[Fact] = field(default_factory=list)
    fields: list[Field] = field(default_factory=list)
    missing: dict[Column, str] = field(default_factory=dict)
    refused: str = ""
    outdated: Callable[[], bool] | None = None


class Card(NamedTuple):
    """A GPU that is asked.

    Attributes:
        library: NVML.
        device: The GPU.
        interval: Seconds between two readings of the group.
        each_nvlink: Whether to read each NVLink by itself, not the sum of all.
    """

    library: Library
    device: Handle
    interval: float
    each_nvlink: bool = False


@dataclass(frozen=True)
class Group:
    """The facts of a group, for any card.

    Attributes:
        facts: What functions give.
        fields: What ``nvmlDeviceGetFieldValues`` gives.
        instead: Functions for fields that a driver or card lacks.
        discover: Asks the card for more.
    """

    facts: Sequence[Fact] = ()
    fields: Sequence[Field] = ()
    instead: Mapping[Column, Make] = field(default_factory=dict)
    discover: Callable[[Card], Found] | None = None


class Section:
    """The part of a group that one card answers.

    What this card, driver or permission refuses for good is dropped when it is built.

    Attributes:
        failure: What the last reading failed with, if not one call succeeded.
        missing: For each column of a field that the card does not give, the reason.
        refused: Why nothing at all is given; empty where something is.
        columns: What ``read`` returns.

    Raises:
        NvmlError: The GPU is gone, or NVML has to be started again.
    """

    def __init__(self, group: Group, card: Card) -> None:
        self._card = card
        self._reasons: list[str] = []
        self.failure: NvmlError | None = None
        found = self._discover(group)
        if found.refused:
            self._reasons.append(found.refused)
        self._outdated = found.outdated
        self.missing = dict(found.missing)
        facts = [*group.facts, *found.facts]
        calls = [call for fact in facts if (call := self._first(fact))]
        self._calls = calls + self._batch([*group.fields, *found.fields], group.instead)
        self.columns = [column for call in self._calls for column in call.columns]
        self._ranges = [possible(column.metric) for column in self.columns]
        self.refused = "" if self.columns else self._why()

    def outdated(self) -> bool:
        """Whether a new section would hold something else."""
        return self._outdated is not None and self._outdated()

    def read(self, enter: Callable[[str], None]) -> list[float | None]:
        """Read the group.

        Args:
            enter: Told the name of each function before it is called.

        Returns:
            A value for each of ``columns``; ``None`` where the driver gave none this time, or one
            that cannot be true.

        Raises:
            NvmlError: The GPU is gone, or NVML has to be started again.
        """
        values: list[float | None] = []
        failures = []
        for call in self._calls:
            enter(call.symbol)
            try:
                values += call.read()
            except NvmlError as error:
                raise_if_fatal(error)
                failures.append(error)
                values += [None] * len(call.columns)
        none_succeeded = failures and len(failures) == len(self._calls)
        self.failure = failures[-1] if none_succeeded else None
        return [
            value if value is None or low <= value <= high else None
            for value, (low, high) in zip(values, self._ranges, strict=True)
        ]

    def _discover(self, group: Group) -> Found:
        if group.discover is None:
            return Found()
        try:
            return group.discover(self._card)
        except NvmlError as error:
            raise_if_fatal(error)
            self._reasons.append(error.reason)
            return Found(outdated=None if error.code in PERMANENT else lambda: True)

    def _why(self) -> str:
        """The reason that says most: a call may only be there for drivers of another age."""
        reasons = [*self._reasons, *self.missing.values()]
        telling = [why for why in _TELLING if why in reasons]
        return [*telling, *reasons, "not_supported"][0]

    def _first(self, fact: Fact) -> Call | None:
        for make in fact:
            call = None
            try:
                call = make(self._card.library, self._card.device)
                call.read()
            except NvmlError as error:
                raise_if_fatal(error)
                if call is None or error.code in PERMANENT:
                    self._reasons.append(error.reason)
                    continue
            return call
        return None

    def _batch(self, fields: list[Field], instead: Mapping[Column, Make]) -> list[Call]:
        if not fields:
            return []
        library, device = self._card.library, self._card.device
        missing: dict[Column, str]
        try:
            fields, missing = supported_fields(library, device, fields)
        except NvmlError as error:
            raise_if_fatal(error)
            if error.code in PERMANENT:
                fields, missing = [], {field.column: error.reason for field in fields}
            else:
                missing = {}
        others = [
            call
            for lacking, make in instead.items()
            if lacking in missing and (call := self._first((make,)))
        ]
        self.missing |= missing
        for call in others:
            for given in call.columns:
                self.missing.pop(given, None)
        return [*others, FieldBatch(library, device, fields)] if fields else others


def raise_if_fatal(error: NvmlError) -> None:
    """Pass on an error after which nothing more can be read of the GPU.

    Raises:
        NvmlError: The GPU is gone, or NVML has to be started again.
    """
    if error.code in GPU_GONE or error.code in PROCESS_STALE:
        raise error
