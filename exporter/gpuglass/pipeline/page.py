"""Writes the page that Prometheus reads.

Most values are the same from one scrape to the next, so a line, and its family's text, is written
again only when its value has changed. What stands where is worked out once, and again only when
series come or go.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import compress, count
from operator import ne

from prometheus_client.utils import floatToGoString

from gpuglass.catalogue.model import Metric, Series, Type

_go: Callable[[float], str] = floatToGoString

Values = Sequence[float | None]


@dataclass(eq=False)
class Block:
    """Series whose values are known together.

    Attributes:
        series: What the values are; replaced as a whole, never changed.
        values: A value for each series; ``None`` leaves it out.
    """

    series: tuple[Series, ...] = ()
    values: Values = ()


class Page:
    """The text of a set of blocks, in the order of the catalogue.

    Args:
        node: The label that every sample carries.
        metrics: The catalogue: families appear on the page in this order.
    """

    def __init__(self, node: str, metrics: Iterable[Metric]) -> None:
        self._node = _escape(node)
        self._rank = {metric: rank for rank, metric in enumerate(metrics)}
        self._known: list[tuple[Series, ...]] = []
        self._sheet = _Sheet([], [], self._node)

    def update(self, blocks: Sequence[Block]) -> None:
        """Write the lines of what has changed.

        Args:
            blocks: All that is to be published.
        """
        known = [block.series for block in blocks]
        if known != self._known:
            self._sheet = _Sheet(known, self._families(known), self._node)
        self._known = known
        self._sheet.update([block.values for block in blocks])

    def text(self, openmetrics: bool) -> bytes:
        """The page, as ``update`` left it.

        Args:
            openmetrics: Whether to write OpenMetrics 1.0 rather than Prometheus text 0.0.4.

        Returns:
            UTF-8 text.
        """
        return self._sheet.text(openmetrics)

    def _families(self, known: list[tuple[Series, ...]]) -> list[Metric]:
        present = {series.metric for block in known for series in block}
        return sorted(present, key=self._rank.__getitem__)


class _Sheet:
    """The lines of one arrangement of series, and the text of each family."""

    def __init__(self, blocks: list[tuple[Series, ...]], families: list[Metric], node: str) -> None:
        self._headers = [(_header(m, False), _header(m, True)) for m in families]
        self._texts = [b""] * len(families)
        self._stale: set[int] = set()
        self._lines: list[list[str]] = [[] for _ in families]
        self._slots: list[list[tuple[int, int]]] = []
        self._prefixes = [[_prefix(series, node) for series in block] for block in blocks]
        self._digits = [[series.metric.digits for series in block] for block in blocks]
        self._values: list[Values] = [[None] * len(block) for block in blocks]
        rank = {metric: f for f, metric in enumerate(families)}
        for block in blocks:
            slots = []
            for series in block:
                f = rank[series.metric]
                slots.append((f, len(self._lines[f])))
                self._lines[f].append("")
            self._slots.append(slots)

    def update(self, values: list[Values]) -> None:
        for b, (new, old) in enumerate(zip(values, self._values, strict=True)):
            if new is not old:
                self._update_block(b, new, old)
                self._values[b] = new
        for f in self._stale:
            lines = "".join(self._lines[f]).encode()
            self._texts[f] = self._headers[f][0] + lines if lines else b""
        self._stale.clear()

    def text(self, openmetrics: bool) -> bytes:
        if not openmetrics:
            return b"".join(self._texts)
        texts = [
            header + text[len(plain) :]
            for (plain, header), text in zip(self._headers, self._texts, strict=True)
            if text
        ]
        return b"".join(texts) + b"# EOF\n"

    def _update_block(self, b: int, new: Values, old: Values) -> None:
        slots, prefixes, digits = self._slots[b], self._prefixes[b], self._digits[b]
        for s in compress(count(), map(ne, new, old)):
            f, place = slots[s]
            self._stale.add(f)
            value = new[s]
            if value is None:
                self._lines[f][place] = ""
                continue
            places = digits[s]
            if places is not None:
                value = round(value, places)
            # What floatToGoString does with a number that needs no exponent, in half the time.
            text = repr(float(value)) if value < 1e6 else _go(value)
            self._lines[f][place] = f"{prefixes[s]}{text}\n"


def _header(metric: Metric, openmetrics: bool) -> bytes:
    help = metric.help.replace("\\", "\\\\").replace("\n", "\\n")
    if not openmetrics:
        type = "gauge" if metric.type is Type.INFO else metric.type.value
        return f"# HELP {metric.name} {help}\n# TYPE {metric.name} {type}\n".encode()
    unit = f"# UNIT {metric.family} {metric.unit}\n" if metric.unit else ""
    help = help.replace('"', '\\"')
    text = f"# HELP {metric.family} {help}\n# TYPE {metric.family} {metric.type.value}\n{unit}"
    return text.encode()


def _prefix(series: Series, node: str) -> str:
    labels = [("node", node)]
    labels += [
        (name, _escape(value))
        for name, value in zip(series.metric.labels, series.labels, strict=True)
    ]
    # To Prometheus an empty label is one that is not there: it only makes the page longer.
    text = ",".join(f'{name}="{value}"' for name, value in sorted(labels) if value)
    return f"{series.metric.name}{{{text}}} " if text else f"{series.metric.name} "


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
