"""A VictoriaMetrics that runs somewhere, and what is put into it and taken out of it."""

import json
import urllib.parse
import urllib.request
from collections.abc import Iterable

from tests.integration.stack import Labels, Samples

_PATIENCE = 60.0
_PIECE = 1 << 24


class Remote:
    """One of them.

    Args:
        url: Where it answers.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def _call(self, path: str, arguments: dict[str, str], body: bytes | None = None) -> bytes:
        url = f"{self.url}{path}?{urllib.parse.urlencode(arguments)}"
        with urllib.request.urlopen(url, body, timeout=_PATIENCE) as answer:
            return bytes(answer.read())

    def series(self, selector: str) -> dict[Labels, Samples]:
        """Every number: by the labels of the series, (Unix time, value) in order of time."""
        found: dict[Labels, Samples] = {}
        # Selectors are long.
        body = urllib.parse.urlencode({"match[]": selector}).encode()
        for line in self._call("/api/v1/export", {}, body).splitlines():
            entry = json.loads(line)
            samples = found.setdefault(tuple(sorted(entry["metric"].items())), [])
            for time, value in zip(entry["timestamps"], entry["values"], strict=True):
                # Where a series ends there is a mark that is no number.
                if isinstance(value, (int, float)):
                    samples.append((time / 1000, value))
        return {labels: sorted(samples) for labels, samples in found.items()}

    def take(self, lines: Iterable[str]) -> None:
        """Store samples: lines of JSON as it exports them."""
        piece: list[str] = []
        size = 0
        for line in lines:
            piece.append(line)
            size += len(line)
            if size > _PIECE:
                self._call("/api/v1/import", {}, "\n".join(piece).encode())
                piece, size = [], 0
        if piece:
            self._call("/api/v1/import", {}, "\n".join(piece).encode())

    def take_page(self, page: str, at: int, job: str, instance: str) -> None:
        """Store a page as vmagent does that scraped it at a time."""
        arguments = {"extra_label": f"job={job}", "timestamp": f"{at}000"}
        url = f"{self.url}/api/v1/import/prometheus?{urllib.parse.urlencode(arguments)}"
        url += f"&extra_label=instance={instance}"
        urllib.request.urlopen(url, page.encode(), timeout=_PATIENCE).close()

    def take_all_of(self, other: "Remote") -> None:
        """Store all that another one holds."""
        native = other._call("/api/v1/export/native", {"match[]": '{__name__!=""}'})
        self._call("/api/v1/import/native", {}, native)
        self.flush()

    def flush(self) -> None:
        """Let queries see what was taken until now."""
        self._call("/internal/force_flush", {})
