"""The forms in which the newest facts are told, each made once, when it is first asked for."""

import time
from collections.abc import Iterable, Sequence

import gpuglass
from gpuglass.catalogue.model import Metric
from gpuglass.pipeline import compression, snapshot
from gpuglass.pipeline.page import Block, Page
from gpuglass.pipeline.snapshot import Document, Snapshot

_SNAPSHOT = "snapshot"
_Form = tuple[str | bool, bool]


class Forms:
    """The page and the snapshot, plain and compressed: all of the same facts.

    Args:
        node: Its name.
        metrics: The catalogue.
        interval: Seconds between two readings.
    """

    def __init__(self, node: str, metrics: Iterable[Metric], interval: float) -> None:
        self._page = Page(node, metrics)
        self._snapshot = Snapshot()
        self._head: Document = {
            "schema": snapshot.SCHEMA,
            "version": gpuglass.__version__,
            "node": node,
            "started": round(time.time(), 3),
            "interval": interval,
        }
        self._blocks: Sequence[Block] = ()
        self._written: Sequence[Block] | None = None
        self._made: dict[_Form, bytes] = {}

    def take(self, blocks: Sequence[Block]) -> None:
        """Take the newest facts."""
        self._blocks = blocks
        self._made.clear()

    def page(self, openmetrics: bool, gzip: bool) -> bytes:
        """The page for scrapers."""
        if self._written is not self._blocks:
            self._page.update(self._blocks)
            self._written = self._blocks
        return self._form(openmetrics, gzip)

    def snapshot(self, gzip: bool) -> bytes:
        """The facts as JSON."""
        return self._form(_SNAPSHOT, gzip)

    def history(self, gpus: Document) -> bytes:
        """What the GPUs did of late, by UUID, as JSON."""
        return self._encode({"gpus": gpus})

    def _form(self, kind: str | bool, gzip: bool) -> bytes:
        form = kind, gzip
        if form not in self._made:
            if gzip:
                self._made[form] = compression.gzip(self._form(kind, False))
            elif isinstance(kind, bool):
                self._made[form] = self._page.text(openmetrics=kind)
            else:
                self._made[form] = self._encode(self._snapshot.document(self._blocks))
        return self._made[form]

    def _encode(self, document: Document) -> bytes:
        return snapshot.encode({**self._head, "time": round(time.time(), 3), **document})
