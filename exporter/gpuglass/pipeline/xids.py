"""The XIDs of all GPUs, from one source."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from gpuglass.catalogue import exporter, xids
from gpuglass.catalogue.model import Series
from gpuglass.pipeline.page import Block

_log = logging.getLogger(__name__)

# There are some 180 XIDs; a GPU that shows this many different ones shows no more.
_MOST_CODES = 64
KERNEL_LOG, EVENTS, NOWHERE = "kernel_log", "nvml_events", "none"


@dataclass
class _Seen:
    count: int = 0
    last: float = 0.0


class Xids:
    """Counts XIDs by GPU and number.

    Attributes:
        source: Where they come from; empty if nobody asked for them.
        why: Why they come from nowhere better, in one word.
    """

    def __init__(self) -> None:
        self.source, self.why = "", ""
        self._seen: dict[tuple[str, int], _Seen] = {}
        # Which GPU is at each PCI address, without the function.
        self._places: dict[str, str] = {}
        self._shape: tuple[object, ...] = ()
        self._series: tuple[Series, ...] = ()

    def told_by_kernel(self) -> None:
        """Take the news that the kernel log is read."""
        self.source, self.why = KERNEL_LOG, ""

    def hidden_by_kernel(self, why: str) -> None:
        """Take the news that the kernel log cannot be read."""
        self.source, self.why = NOWHERE, f"kernel_log_{why}"

    def told_by_nvml(self, failure: str) -> None:
        """Take the news that NVML tells of XIDs, or why it does not."""
        if failure:
            self.source, self.why = NOWHERE, f"nvml_{failure}"
        else:
            self.source = EVENTS

    def add(self, gpu: str, xid: int, count: int, time: float) -> None:
        """Count an XID.

        Args:
            gpu: The GPU's UUID, or its PCI address without the function.
            xid: The number.
            count: How often it came.
            time: When it came last, in Unix seconds; earlier than the one before if the clock was
                set back.
        """
        gpu = self._places.get(gpu, gpu)
        key = gpu, xid
        if key not in self._seen:
            if sum(1 for other, _ in self._seen if other == gpu) >= _MOST_CODES:
                return
            _log.warning("XID %d on GPU %s", xid, gpu)
            self._seen[key] = _Seen()
        seen = self._seen[key]
        seen.count += count
        seen.last = time

    def place(self, uuid: str, address: str) -> None:
        """Take the news which GPU is at a PCI address: what is known of the address is its.

        What comes from there later is another's, if another card takes its place.
        """
        place = address.rpartition(".")[0]
        self._places[place] = uuid
        for gpu, xid in [key for key in self._seen if key[0] == place]:
            seen = self._seen.pop((gpu, xid))
            self.add(uuid, xid, seen.count, seen.last)

    def block(self, indexes: Mapping[str, str | None]) -> Block:
        """The page's part.

        Args:
            indexes: The index of each GPU by its UUID; ``None`` if it is not on the page.
        """
        if not self.source:
            return Block()
        shown = {
            key: seen for key, seen in self._seen.items() if indexes.get(key[0], "") is not None
        }
        labels = [(indexes.get(gpu) or "", gpu, str(xid)) for gpu, xid in shown]
        shape = (self.source, self.why, *labels)
        if shape != self._shape:
            self._shape = shape
            self._series = (
                Series(exporter.XID_SOURCE, (self.source, self.why)),
                *(Series(m, one) for one in labels for m in (xids.XID_ERRORS, xids.XID_LAST)),
            )
        values: list[float | None] = [1.0]
        for seen in shown.values():
            values += [float(seen.count), seen.last]
        return Block(self._series, values)
