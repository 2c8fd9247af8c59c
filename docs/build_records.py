"""Builds the recording rules and their page from the catalogue's records: `make docs`."""

import re
import textwrap
from collections.abc import Iterable
from pathlib import Path

from docs import writer

from gpuglass.catalogue.records import SUBJECTS
from gpuglass.catalogue.records.model import DELAY, INTERVAL, Record, Subject

ROOT = Path(__file__).resolve().parents[1]
RULES = ROOT / "victoriametrics/rules/records"
PAGE = ROOT / "docs/recorded-series.md"

_HEAD = """\
# Recorded series

Built from the catalogue (`exporter/gpuglass/catalogue/records/`) by `make docs`; do not edit.

What vmalert records once a minute; [recording-rules.md](recording-rules.md) says how to ask it. A
series of a GPU also has what the targets file adds. *Kept* says what the long-term tiers keep.
"""


def rules(subject: Subject) -> str:
    """The text of a file of rules."""
    return f"""\
# {subject.about}
#
# Built from exporter/gpuglass/catalogue/records/{subject.name}.py by `make docs`; do not edit.

groups:
  - name: records_{subject.name}
    interval: {INTERVAL}
    eval_delay: {DELAY}
    rules:
""" + "\n".join(map(_rule, subject.records))


def _rule(record: Record) -> str:
    comment = textwrap.fill(
        f"{record.help}.", 100, initial_indent=" " * 6 + "# ", subsequent_indent=" " * 6 + "# "
    )
    expr = textwrap.indent(record.expr, " " * 10)
    return f"{comment}\n      - record: {record.name}\n        expr: |-\n{expr}\n"


def page() -> str:
    """The text of docs/recorded-series.md."""
    return _HEAD + "".join(map(_section, SUBJECTS))


def _section(subject: Subject) -> str:
    return (
        f"\n## {subject.name.capitalize()}\n\n{subject.about}\n\n"
        "| series | labels | what it is | kept |\n|---|---|---|---|\n"
        + "".join(map(_row, subject.records))
    )


def _row(record: Record) -> str:
    labels = ", ".join(f"`{label}`" for label in record.labels)
    cells = (f"`{record.name}`", labels, record.help, record.rollup.value)
    return f"| {' | '.join(re.sub('[|]', chr(92) + '|', cell) for cell in cells)} |\n"


def files() -> Iterable[tuple[Path, str]]:
    """Every file that is built, with its text."""
    for subject in SUBJECTS:
        yield RULES / f"{subject.name}.yml", rules(subject)
    yield PAGE, page()


if __name__ == "__main__":
    writer.main(__doc__, dict(files()), there=RULES.glob("*.yml"))
