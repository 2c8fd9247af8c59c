import subprocess
import sys

from tests.conftest import ROOT


def test_docs_say_what_the_catalogue_says() -> None:
    result = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "build_metrics.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
