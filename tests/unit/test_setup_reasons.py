"""What setup says of a failure that it has in its log."""

import subprocess
from pathlib import Path

import pytest
from tests.conftest import ROOT

SCRIPT = '. "$1/deploy/native/install.sh"; install_log=$2 offline=no; reason_in_log'
NO_CHOICE = "ERROR: No matching distribution found for supervisor==4.3.0 (from versions: none)\n"


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (f"SSLError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate')\n{NO_CHOICE}", "PIP_CERT"),
        (f"NewConnectionError('Connection refused')\n{NO_CHOICE}", "network cannot be reached"),
        ("fine\nERROR: it is Tuesday\n", "ERROR: it is Tuesday"),
        ("OSError: [Errno 28] No space left on device\n", "the disk is full"),
    ],
)
def test_the_likeliest_reason(tmp_path: Path, log: str, reason: str) -> None:
    file = tmp_path / "log"
    file.write_text(f"## one command\nNo space left on device\n## the next one\n{log}")
    command = ["bash", "-c", SCRIPT, "bash", str(ROOT), str(file)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert reason in said and said.count("\n") == 1
