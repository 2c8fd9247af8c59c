"""Writes what is on the page as JSON: docs/api.md describes it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from gpuglass.catalogue import device, processes
from gpuglass.catalogue.model import Metric, Series, Type
from gpuglass.catalogue.xids import XID_ERRORS
from gpuglass.pipeline.page import Block

# Changes when what a program reads today would be gone or mean something else; not for additions.
SCHEMA = 1

Document = dict[str, Any]

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
    """The same facts as the page's, arranged by GPU."""

    def __init__(self) -> None:
        self._known: list[tuple[Series, ...]] = []
        self._places: list[list[_Place]] = []
        self._indexes: dict[str, str] = {}

    def document(self, blocks: Sequence[Block]) -> Document:
        """Arrange facts.

        Args:
            blocks: All that is to be published.

        Returns:
            ``metrics`` of the node, ``gpus``, and ``xids``: what those mean that were seen.
        """
        known = [block.series for block in blocks]
        if known != self._known:
            all = [one for series in known for one in series]
            self._indexes = {s.labels[1]: s.labels[0] for s in all if s.metric is device.UP}
            self._places = [[_place(one, self._indexes) for one in series] for series in known]
            self._known = known
        writing = _Writing(self._indexes)
        for places, block in zip(self._places, blocks, strict=True):
            writing.write(places, block.values)
        return writing.document()


class _Writing:
    """A document while it is written."""

    def __init__(self, indexes: Mapping[str, str]) -> None:
        self._metrics: Document = {}
        self._gpus: dict[str, Document] = {
            uuid: {"gpu": index, "uuid": uuid, "metrics": {}, "processes": [], "owners": []}
            for uuid, index in indexes.items()
        }
        self._records: dict[tuple[str, tuple[str, tuple[str, ...]]], Document] = {}

    def write(self, places: Iterable[_Place], values: Iterable[float | None]) -> None:
        for place, value in zip(places, values, strict=True):
            if value is None:
                continue
            if place.digits is not None:
                value = round(value, place.digits)
            facts = self._facts(place)
            if place.record:
                if place.info:
                    facts.update(place.labels)
                else:
                    facts[place.name] = value
            elif place.info:
                facts.setdefault(place.name, []).append(place.labels)
            elif place.key is not None:
                facts.setdefault(place.name, {})[place.key] = value
            elif place.labels:
                facts.setdefault(place.name, []).append({**place.labels, "value": value})
            else:
                facts[place.name] = value

    def document(self) -> Document:
        gpus = list(self._gpus.values())
        numbers = {xid for gpu in gpus for xid in gpu["metrics"].get(XID_ERRORS.name, ())}
        return {"metrics": self._metrics, "gpus": gpus, "xids": _explained(numbers)}

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


def _place(series: Series, listed: Mapping[str, str]) -> _Place:
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
