"""What the driver's version decides: fields that only newer ones have."""

from typing import Any

import pynvml
import pytest
from tests.simulator.support import Play

EVENTS = """
gpus 4
gpu 0 preset=v100
gpu 1 preset=h200
gpu 2 preset=b200
gpu 3 preset=b200
at 1s remap gpu=1,2 corrected=5 inactive=2
at 1s bank-remap gpu=2 active=3 inactive=1 pending=1
"""
V100, H200, B200, WHOLE = range(4)


def fields(card: int, *numbers: int) -> list[int | None]:
    device = pynvml.nvmlDeviceGetHandleByIndex(card)
    values: Any = pynvml.nvmlDeviceGetFieldValues(device, list(numbers))
    assert {value.nvmlReturn for value in values} <= {0, pynvml.NVML_ERROR_NOT_SUPPORTED}
    return [None if value.nvmlReturn else int(value.value.uiVal) for value in values]


def test_replaced_memory(play: Play) -> None:
    play(f"driver 615.20 cuda=13.4\n{EVENTS}freeze 5\n")
    assert fields(V100, *range(301, 308)) == [None] * 7
    assert fields(H200, *range(301, 308)) == [2, 0, *[None] * 5]
    assert fields(B200, *range(301, 308)) == [2, 0, 3, 1, 12, 4, 1]
    assert fields(WHOLE, *range(301, 308)) == [0, 0, 0, 0, 16, 0, 0]


@pytest.mark.parametrize(
    ("version", "given"), [("580.95.05", False), ("610.57.04", True), ("615.20", True)]
)
def test_smoothing_by_a_state_of_charge(play: Play, version: str, given: bool) -> None:
    play(f"driver {version}\n{EVENTS}")
    assert fields(B200, 300) == [1 if given else None]
    assert fields(H200, 300) == [None]
    assert fields(WHOLE, 301) == [0 if version.startswith("615") else None]
