"""Reads the processes of the stand-in driver's first GPU."""

import textwrap
from pathlib import Path
from typing import Any

from tests.unit.driver import run

HEAD = "freeze 100.25\ngpus 1 preset=h200\nload gpu=0 constant 0.5\n"
READ = """
from gpuglass.probe.processes import Processes
library = Library()
reader = Processes(library, library.device(0))
def rows():
    values = reader.read(lambda call: None)
    listed = reader.listed or []
    assert len(values) == 5 * len(listed)
    use = [values[n : n + 5] for n in range(0, len(values), 5)]
    return [[*one[:4], memory, others] for one, (memory, *others) in zip(listed, use)]
"""
TWO = """
process pid=11 gpu=0 type=compute memory=10GiB sm=40 mem=30 enc=20 dec=10
process pid=12 gpu=0 type=graphics memory=1GiB sm=0
"""


def tell(simulator: Path, scenario: Path, text: str, code: str) -> dict[str, Any]:
    """What code tells that has ``READ`` before it."""
    return run(simulator, scenario, HEAD + text, READ + textwrap.dedent(code))
