"""When setup takes a process that it ended for gone."""

import subprocess
from pathlib import Path

from tests.conftest import ROOT

SCRIPT = '. "$1/deploy/native/supervisor.sh"; gone "$2"'


def is_gone(pid: int) -> bool:
    command = ["bash", "-c", SCRIPT, "bash", str(ROOT), str(pid)]
    return subprocess.run(command, check=False).returncode == 0


def test_a_process_that_nobody_takes_note_of_is_gone() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        assert not is_gone(process.pid)
        process.kill()
        while "\nState:\tZ" not in Path(f"/proc/{process.pid}/status").read_text():
            pass
        assert is_gone(process.pid)
    assert is_gone(process.pid)
