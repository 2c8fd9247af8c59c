"""The demo's processes are real, and end with it."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.conftest import ROOT

DEMO = ROOT / "deploy/demo.py"
SCENARIO = ROOT / "simulator/scenarios/demo.conf"
TELL = """
import json, os, time
wanted = ("GPUGLASS_SIM_SCENARIO", "GPUGLASS_PATH_KMSG")
print(json.dumps([os.getpid(), *map(os.environ.get, wanted)]), flush=True)
time.sleep(600)
"""


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def test_each_process_of_the_scenario_is_there_for_as_long_as_the_demo(tmp_path: Path) -> None:
    played = tmp_path / "played.conf"
    command = [sys.executable, str(DEMO), str(SCENARIO), str(played), sys.executable, "-c", TELL]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout
        pid, scenario, kernel_log = json.loads(demo.stdout.readline())
        assert (pid, scenario) == (demo.pid, str(played))
        assert not os.path.lexists(kernel_log)
        names = {
            int(line[1]): f"demo-{line[2]}"
            for line in re.finditer(r"^process pid=(\d+).* name=(\S+)", played.read_text(), re.M)
        }
        assert len(names) == SCENARIO.read_text().count("\nprocess ") >= 9
        wait_for(lambda: {pid: name_of(pid) for pid in names} == names)
        demo.kill()
    wait_for(lambda: not any(name_of(pid).startswith("demo-") for pid in names))


def test_only_pids_differ(tmp_path: Path) -> None:
    played = tmp_path / "played.conf"
    command = [sys.executable, str(DEMO), str(SCENARIO), str(played), "true"]
    subprocess.run(command, check=True, timeout=60)
    without = re.compile(r"pid=\d+")
    assert without.sub("", played.read_text()) == without.sub("", SCENARIO.read_text())


def test_a_demo_of_nothing_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, str(DEMO)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (1, "usage: demo.py SCENARIO PLAYED COMMAND...\n")
