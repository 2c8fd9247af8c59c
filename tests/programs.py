"""The programs of others that tests and benchmarks run."""

import os
import subprocess
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_NAMES = (
    *("victoria-metrics", "vmagent", "vmalert", "vmalert-tool", "vmbackup", "vmrestore", "vmauth"),
    *("alertmanager", "amtool"),
)


def fetch(folder: Path) -> Path:
    """Put them into a folder, out of .cache once they were fetched; where in it they lie."""
    made = subprocess.run(
        ["bash", str(_ROOT / "deploy/native/components.sh"), str(folder), *_NAMES],
        env={"GPUGLASS_COMPONENTS_CACHE": str(_ROOT / ".cache/components"), **os.environ},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return folder / "bin"
