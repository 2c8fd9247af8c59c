"""One card of each generation on the stand-in driver, and what is read of it."""

from pathlib import Path

from tests.simulator.model import Gpu, Wave
from tests.simulator.presets import PRESETS
from tests.unit.driver import run

CARDS = ("gtx1080", "v100", "a100", "l40s", "rtx4090", "h200", "gh200", "b200")
GTX1080, V100, A100, L40S, RTX4090, H200, GH200, B200 = range(8)
DATA_CENTRE = {V100, A100, L40S, H200, GH200, B200}
REMAP = DATA_CENTRE - {V100}
NVLINK4 = {V100, A100, H200}
NVLINK = NVLINK4 | {B200}
HOPPER = {H200, GH200, B200}
TURING = {A100, L40S, RTX4090, *HOPPER}
ALL = set(range(8))
T = 100.5
WAVE = Wave(0.2, 0.9, 90)
GPUS = [Gpu(PRESETS[name], WAVE) for name in CARDS]
SCENARIO = (
    f"freeze {T}\ngpus 8\n"
    + "".join(f"gpu {index} preset={name}\n" for index, name in enumerate(CARDS))
    + "load gpu=* wave min=0.2 max=0.9 period=90s\n"
)
ASK = """
cards = []
for index in range(Library().number("nvmlDeviceGetCount_v2")):
    plan = Plan(Library(), Library().device(index), 1.0)
    values = show(plan)
    cards.append([values, plan.refused, list(plan.columns)])
tell(cards=cards)
"""


Values = dict[str, float | None]


def ask(simulator: Path, scenario: Path, text: str, each: bool = False) -> list[Values]:
    """The values of every card."""
    code = ASK.replace("1.0)", "1.0, each_nvlink=True)") if each else ASK
    return [values for values, *_ in run(simulator, scenario, text, code)["cards"]]


def refusals(simulator: Path, scenario: Path, text: str) -> list[dict[str, str]]:
    """By card the groups that it has nothing of, and why."""
    return [refused for _, refused, _ in run(simulator, scenario, text, ASK)["cards"]]


def given(cards: list[Values], name: str) -> dict[int, float]:
    """By card the value of a series, where there is one."""
    return {
        index: value
        for index, values in enumerate(cards)
        if (value := values.get(name)) is not None
    }


def labels(values: Values, metric: str) -> dict[str, float]:
    """What the card has of a metric, by labels."""
    return {
        name.partition(" ")[2]: value
        for name, value in values.items()
        if name.split(" ")[0] == metric and value is not None
    }


def flat(value: float, cards: set[int]) -> dict[int, float]:
    return dict.fromkeys(cards, value)
