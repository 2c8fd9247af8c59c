"""What other parts than the GPU draw and may draw: the scopes of the power fields."""

from typing import Any

import pynvml
import pytest
from tests.simulator.model import Gpu, Wave, memory_power_milliwatts, module_limit_milliwatts
from tests.simulator.presets import PRESETS
from tests.simulator.support import Play

A100, H200, GH200, B200 = range(4)
CARDS = ("a100", "h200", "gh200", "b200")
WAVE = Wave(0.2, 0.9, 90)
SCENARIO = (
    "freeze {t}\ngpus 4\n"
    + "".join(f"gpu {index} preset={name}\n" for index, name in enumerate(CARDS))
    + "gpu 2 power-limit=600W\nload gpu=* wave min=0.2 max=0.9 period=90s\n"
)
GPU, MODULE, MEMORY, BASE = range(4)


def field(card: int, number: int, scope: int) -> int | None:
    device = pynvml.nvmlDeviceGetHandleByIndex(card)
    value: Any = pynvml.nvmlDeviceGetFieldValues(device, [(number, scope)])[0]
    assert value.nvmlReturn in (0, pynvml.NVML_ERROR_NOT_SUPPORTED)
    return None if value.nvmlReturn else int(value.value.uiVal)


@pytest.mark.parametrize("t", [0.5, 100.125])
def test_memory(play: Play, t: float) -> None:
    play(SCENARIO.format(t=t))
    for card in (H200, GH200, B200):
        limit = 600_000 if card == GH200 else None
        gpu = Gpu(PRESETS[CARDS[card]], WAVE, power_limit=limit)
        assert field(card, 185, MEMORY) == memory_power_milliwatts(gpu, t)
    # There only is a mean, and not of every card.
    assert field(A100, 185, MEMORY) is None
    assert {field(card, 186, MEMORY) for card in range(4)} == {None}


def test_limits_of_a_module(play: Play) -> None:
    play(SCENARIO.format(t=5))
    preset = PRESETS["gh200"]
    limits = {
        187: preset.power_min,
        188: preset.power_max,
        189: preset.power_default,
        190: 600_000,
        192: 600_000,
    }
    for number, limit in limits.items():
        assert field(GH200, number, GPU) == limit
        assert field(GH200, number, MODULE) == module_limit_milliwatts(preset, limit)
        assert {field(H200, number, scope) for scope in (MODULE, MEMORY, BASE)} == {None}
