"""What the tests of the simulator share besides fixtures."""

import subprocess
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = ROOT / "simulator" / "scenarios"

# The library looks at its file at most ten times a second.
LOOKS_AGAIN_AFTER = 0.12

Play = Callable[[str], None]
RunClient = Callable[..., "subprocess.CompletedProcess[str]"]
