"""What the tests of owners share."""

from pathlib import Path

import pytest
from tests.unit.owners.machine import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)
