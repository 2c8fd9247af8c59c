"""Builds docs/metrics.md from the catalogue: `make docs`."""

import argparse
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from gpuglass.catalogue import exporter, gpu, host, keeper
from gpuglass.catalogue.model import Metric

PAGE = Path(__file__).with_name("metrics.md")

_HEAD = """\
# Metrics

Built from the catalogue (`exporter/gpuglass/catalogue/`) by `make docs`; do not edit.

Every sample carries `node`, the machine's name. A series that a card, driver or permission does
not give is absent: never 0, never NaN. Units are base units; a ratio goes from 0 to 1. *Kept* says
what the long-term tiers keep of a metric.
"""

_SECTIONS = {
    "GPUs (`gpu_*`)": gpu.METRICS,
    "The host (`host_*`)": host.METRICS,
    "The exporter itself (`gpuglass_*`)": exporter.METRICS,
    "The keeper (`gpuglass_keeper_*`)": keeper.METRICS,
}


def page() -> str:
    """The text of docs/metrics.md."""
    parts = [_HEAD]
    for title, metrics in _SECTIONS.items():
        parts.append(f"\n## {title}\n\n{''.join(_table(metrics))}")
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


def main() -> None:
    """Write the page, or with --check only say whether it is up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if it differs")
    if not parser.parse_args().check:
        PAGE.write_text(page(), "utf-8")
    elif PAGE.read_text("utf-8") != page():
        sys.exit(f"{PAGE.name} is not what the catalogue says; run make docs")


if __name__ == "__main__":
    main()
