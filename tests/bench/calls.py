"""``python -m tests.bench.calls``: how many NVML calls a reading of each group of facts makes.

Of the first GPU of whatever driver there is; printed as JSON.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.stage import ROOT

from gpuglass.catalogue.groups import GROUPS
from gpuglass.probe.nvml import Library
from gpuglass.probe.plan import Plan
from gpuglass.probe.request import Request

# The first readings make a difference: what is asked once only, and what needs a reading before.
_READINGS = 3
# The performance monitor is not asked again sooner.
_PAUSE = 0.2


class _Counting(Library):
    """An NVML that counts what it is asked."""

    calls = 0

    def function(self, symbol: str) -> Any:
        """The C function, counted when it is called."""
        function: Callable[..., Any] = super().function(symbol)

        def counted(*arguments: Any) -> Any:
            _Counting.calls += 1
            return function(*arguments)

        return counted


def run(driver: Path, scenario: Path) -> dict[str, int]:
    """Count in another process, which has the stand-in driver.

    Returns:
        Calls a reading of one GPU, by group.
    """
    environment = {"LD_LIBRARY_PATH": str(driver), "GPUGLASS_SIM_SCENARIO": str(scenario)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.calls"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        env=os.environ | environment,
    )
    calls: dict[str, int] = json.loads(done.stdout)
    return calls


def _count() -> dict[str, int]:
    library = _Counting()
    device = library.device(0)
    names = [group.name for group in GROUPS]
    plan = Plan(library, device, Request(dict.fromkeys(names, 1.0)))
    calls = {}
    for _ in range(_READINGS):
        for name in names:
            before = _Counting.calls
            plan.read([name], lambda symbol: None)
            calls[name] = _Counting.calls - before
        time.sleep(_PAUSE)
    return calls


if __name__ == "__main__":
    print(json.dumps(_count()))
