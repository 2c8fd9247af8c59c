"""Writes what is on the page as JSON: docs/api.md describes it."""

from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import compress, count
from operator import ne
from typing import Any, NamedTuple

import msgspec

from gpuglass.catalogue import device, processes
from gpuglass.catalogue.model import Metric, Series, Type
from gpuglass.catalogue.xids import XID_ERRORS
from gpuglass.pipeline.page import Block, Values

# Changes when what a program reads today would be gone or mean something else; not for additions.
SCHEMA = 1

Document = dict[str, Any]
# Where a value is: in whose facts, under which name, and rounded to how many decimal places.
_Slot = tuple[Document, str, int | None]

_encoder = msgspec.json.Encoder()

# Whose facts stand together: in which list, and the labels that tell one from the other.
_PROCESS = processes.PROCESS_MEMORY.labels[2:]
_OWNER = processes.OWNER_MEMORY.labels[2:]
_LISTS = {
    **{m: ("processes", _PROCESS) for m in processes.METRICS if m.labels[2:7] == _PROCESS},
    **{m: ("owners", _OWNER) for m in processes.METRICS if m.labels[2:] == _OWNER},
}


class _Place(NamedTuple):
    """Where a series stands.

    Attributes:
        gpu: The UUID of the GPU that it is of; empty if it is the node's.
        record: Of whom else: the list, and the labels that make one entry of it.
        name: Of the metric.
        labels: Those that are left, without empty ones.
        key: Whether the only label is the key of the value.
        info: Whether there are labels alone, and no value.
        digits: Decimal places; ``None`` for all.
    """

    gpu: str
    record: tuple[str, tuple[str, ...]] | None
    name: str
    labels: dict[str, str]
    key: str | None
    info: bool
    digits: int | None


def encode(document: Document) -> bytes:
    """A document as JSON."""
    return _encoder.encode(document)


class Snapshot:
    """The same facts as the page's, arranged by GPU.

    What stands where is worked out once, and again only when something comes or goes; else the new
    values are put in the places of the old ones.
    """

    def __init__(self) -> None:
        self._known: list[tuple[Series, ...]] = []
        self._values: list[Values] = []
        self._sheet = _Sheet({})

    def document(self, blocks: Sequence[Block]) -> Document:
        """Arrange facts.

        Args:
            blocks: All that is to be published.

        Returns:
            ``metrics`` of the node, ``gpus``, and ``xids``: what those mean that were seen. It is
            changed by the next call.
        """
        known, values = [block.series for block in blocks], [block.values for block in blocks]
        if known != self._known or not self._sheet.update(values, self._values):
            all = [one for series in known for one in series]
            self._sheet = _Sheet({s.labels[1]: s.labels[0] for s in all if s.metric is device.UP})
            for series, of_block in zip(known, values, strict=True):
                self._sheet.add(series, of_block)
        self._known, self._values = known, values
        return self._sheet.document()


class _Sheet:
    """One arrangement of series.

    Args:
        indexes: Each GPU's index by its UUID, in the order of the document.
    """

    def __init__(self, indexes: Mapping[str, str]) -> None:
        self._metrics: Document = {}
        self._gpus: dict[str, Document] = {
            uuid: {"gpu": index, "uuid": uuid, "metrics": {}, "processes": [], "owners": []}
            for uuid, index in indexes.items()
        }
        self._records: dict[tuple[str, tuple[str, tuple[str, ...]]], Document] = {}
        self._slots: list[list[_Slot | None]] = []

    def add(self, series: Iterable[Series], values: Values) -> None:
        """Write the values of a block."""
        self._slots.append(
            [
                self._write(_place(one, self._gpus), value) if value is not None else None
                for one, value in zip(series, values, strict=True)
            ]
        )

    def update(self, values: list[Values], old: list[Values]) -> bool:
        """Replace what has changed; whether each of them has had a value, and has one now."""
        for slots, new, before in zip(self._slots, values, old, strict=True):
            if new is before:
                continue
            for i in compress(count(), map(ne, new, before)):
                slot, value = slots[i], new[i]
                if slot is None or value is None:
                    return False
                facts, name, digits = slot
                facts[name] = value if digits is None else round(value, digits)
        return True

    def document(self) -> Document:
        gpus = list(self._gpus.values())
        numbers = {xid for gpu in gpus for xid in gpu["metrics"].get(XID_ERRORS.name, ())}
        return {"metrics": self._metrics, "gpus": gpus, "xids": _explained(numbers)}

    def _write(self, place: _Place, value: float) -> _Slot | None:
        facts, name = self._facts(place), place.name
        if place.info:
            if place.record:
                facts.update(place.labels)
            else:
                facts.setdefault(name, []).append(place.labels)
            return None
        if not place.record:
            if place.key is not None:
                facts, name = facts.setdefault(name, {}), place.key
            elif place.labels:
                entry: Document = dict(place.labels)
                facts.setdefault(name, []).append(entry)
                facts, name = entry, "value"
        facts[name] = value if place.digits is None else round(value, place.digits)
        return facts, name, place.digits

    def _facts(self, place: _Place) -> Document:
        if not place.gpu:
            return self._metrics
        gpu = self._gpus[place.gpu]
        if not place.record:
            facts: Document = gpu["metrics"]
            return facts
        record = self._records.get((place.gpu, place.record))
        if record is None:
            kind, labels = place.record
            names = _PROCESS if kind == "processes" else _OWNER
            record = {name: label for name, label in zip(names, labels, strict=True) if label}
            self._records[place.gpu, place.record] = record
            gpu[kind].append(record)
        return record


def _place(series: Series, listed: Container[str]) -> _Place:
    metric, labels = series
    if metric.labels[:2] != ("gpu", "uuid") or labels[1] not in listed:
        return _of(metric, "", None, metric.labels, labels)
    if metric in _LISTS:
        kind, names = _LISTS[metric]
        end = 2 + len(names)
        record = kind, labels[2:end]
        return _of(metric, labels[1], record, metric.labels[end:], labels[end:])
    return _of(metric, labels[1], None, metric.labels[2:], labels[2:])


def _of(
    metric: Metric,
    gpu: str,
    record: tuple[str, tuple[str, ...]] | None,
    names: tuple[str, ...],
    labels: tuple[str, ...],
) -> _Place:
    info = metric.type is Type.INFO
    told = {name: label for name, label in zip(names, labels, strict=True) if label}
    key = labels[0] if len(names) == 1 and not info else None
    return _Place(gpu, record, metric.name, told, key, info, metric.digits)


def _explained(numbers: set[str]) -> Document:
    if not numbers:
        return {}
    # Most nodes never see one: the table is read by those that do.
    from gpuglass.catalogue.xid_table import XIDS

    return {
        number: {
            "name": xid.name,
            "means": xid.means,
            "severity": xid.cls.severity.value,
            "action": xid.cls.action,
        }
        for number in sorted(numbers, key=int)
        if (xid := XIDS.get(int(number)))
    }
