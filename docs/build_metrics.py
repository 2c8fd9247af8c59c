"""Builds docs/metrics.md from the catalogue and docs/peers.yml: `make docs`."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from docs import writer

from gpuglass.catalogue import exporter, gpu, host, keeper, rollups
from gpuglass.catalogue.model import Metric

PAGE = Path(__file__).with_name("metrics.md")
PEERS = Path(__file__).with_name("peers.yml")

_HEAD = """\
# Metrics

Built from the catalogue (`exporter/gpuglass/catalogue/`) by `make docs`; do not edit.

Every sample carries `node`, the machine's name. A series that a card, driver or permission does
not give is absent: never 0, never NaN. Units are base units; a ratio goes from 0 to 1. *Kept* says
what the long-term tiers keep of a metric.
"""

_COMPARISON = """
## What other exporters publish of GPUs

Names in parentheses are published only where somebody asks for them. What NVML gives and nobody
needs is in [not-published.md](not-published.md).
"""

_SECTIONS = {
    "GPUs (`gpu_*`)": gpu.METRICS,
    "The host (`host_*`)": host.METRICS,
    "The exporter itself (`gpuglass_*`)": exporter.METRICS,
    "The keeper (`gpuglass_keeper_*`)": keeper.METRICS,
    "The rollups (`gpuglass_keeper_rollup_*` of the keeper, `gpuglass_rollup_*` in the tiers)": (
        rollups.METRICS
    ),
}


def page() -> str:
    """The text of docs/metrics.md."""
    parts = [_HEAD]
    for title, metrics in _SECTIONS.items():
        parts.append(f"\n## {title}\n\n{''.join(_table(metrics))}")
    parts += [_COMPARISON, *_comparison(yaml.safe_load(PEERS.read_text("utf-8")))]
    return "".join(parts)


def _table(metrics: Iterable[Metric]) -> Iterable[str]:
    yield "| metric | type | labels | what it is | source | kept |\n|---|---|---|---|---|---|\n"
    for metric in metrics:
        assert metric.rollup is not None
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        cells = (
            f"`{metric.name}`",
            metric.type.value,
            labels,
            metric.help,
            metric.source,
            metric.rollup.value,
        )
        yield f"| {' | '.join(re.sub('[|]', chr(92) + '|', cell) for cell in cells)} |\n"


def _comparison(peers: dict[str, Any]) -> Iterable[str]:
    exporters = peers["exporters"]
    for topic, rows in peers["topics"].items():
        yield f"\n### {topic}\n\n| fact | gpuglass | {' | '.join(exporters.values())} |\n"
        yield f"|{'---|' * (len(exporters) + 2)}\n"
        for row in rows:
            ours = row.get("ours", [])
            names = [ours] if isinstance(ours, str) else ours
            own = ", ".join(f"`{name}`" for name in names) or f"*{row['why']}*"
            theirs = [str(row.get(key, "")).replace("*", chr(92) + "*") for key in exporters]
            yield f"| {' | '.join([row['fact'], own, *theirs])} |\n"


if __name__ == "__main__":
    writer.main(__doc__, {PAGE: page()}, "the catalogue and peers.yml")
