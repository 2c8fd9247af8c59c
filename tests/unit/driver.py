"""Python code that runs on the stand-in driver, in a process of its own.

A library stays loaded, and its missing functions stay missing, for as long as a process lives.
"""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

_HEAD = """
import json, os, threading, time
from pathlib import Path
from gpuglass.probe import frames, worker
from gpuglass.probe.events import Events
from gpuglass.probe.nvml import Library, NvmlError
from gpuglass.catalogue import groups
from gpuglass.probe.plan import Plan as AnyPlan
from gpuglass.probe.request import Request
from gpuglass.probe.whereabouts import Whereabouts

scenario = Path(os.environ["GPUGLASS_SIM_SCENARIO"])

def play(text):
    new = scenario.with_suffix(".new")
    new.write_text(text)
    new.replace(scenario)
    time.sleep(0.15)  # the library looks at its file ten times a second

def intervals(seconds=1.0, *names):
    return {
        name: interval
        for name, interval in groups.intervals(seconds, seconds, {}, {}).items()
        if not names or name in names
    }

stop = threading.Event()

def where(index):
    return Whereabouts(index, stop)

def asked(seconds=1.0, *names, **options):
    return Request(intervals(seconds, *names), **options)

def Plan(library, device, seconds=1.0, *names, **options):
    return AnyPlan(library, device, asked(seconds, *names, **options))

def show(plan, *names):
    values = {}
    for group, read in plan.read(names or plan.columns, lambda call: None).items():
        for column, value in zip(plan.columns[group], read, strict=True):
            key = column.metric + "".join(f" {label}" for label in column.labels)
            assert key not in values, key
            values[key] = value
    return values

def missing(plan):
    return {
        column.metric + "".join(f" {label}" for label in column.labels): reason
        for column, reason in plan.missing.items()
    }

def tell(**results):
    print(json.dumps(results))
"""


def run(simulator: Path, scenario: Path, text: str, code: str) -> dict[str, Any]:
    """Play a scenario to a program, which ends with `tell(...)`; return what it tells."""
    scenario.write_text(text)
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": str(simulator),
        "GPUGLASS_SIM_SCENARIO": str(scenario),
    }
    result = subprocess.run(
        [sys.executable, "-c", _HEAD + textwrap.dedent(code)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    told: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return told
