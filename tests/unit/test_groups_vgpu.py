"""Virtual GPUs, as their host and as a guest sees them."""

from pathlib import Path

import pytest
from tests.unit.driver import run
from tests.unit.generations import (
    L40S,
    SCENARIO,
    ask,
    given,
    labels,
)

VGPUS = """
vgpu gpu=3 type="NVIDIA L40S-12Q" size=12GiB memory=4GiB share=0.3 vm=one driver=550.1
vgpu gpu=3 type="NVIDIA L40S-8Q" size=8GiB memory=1GiB share=0.5 vm=two licensed=off
"""


def test_virtual_gpus(simulator: Path, scenario: Path) -> None:
    text = SCENARIO.replace("preset=l40s", "preset=l40s virtualization=host_vgpu encoder=1")
    values = ask(simulator, scenario, text + VGPUS + "load gpu=3 constant 0.5\n")[L40S]
    assert values["gpu_virtualization_mode"] == 3
    assert (values["gpu_vgpu_instances"], values["gpu_vgpu_host_mode"]) == (2, 1)
    infos = [name.split(" ", 2) for name in labels(values, "gpu_vgpu_info")]
    assert [rest for _, *rest in infos] == [
        ["one", "NVIDIA L40S-12Q 550.1"],
        ["two", "NVIDIA L40S-8Q "],
    ]
    first, second = (uuid for uuid, *_ in infos)
    for metric, one, two in (
        ("gpu_vgpu_memory_total_bytes", 12 << 30, 8 << 30),
        ("gpu_vgpu_memory_used_bytes", 4 << 30, 1 << 30),
        ("gpu_vgpu_licensed", 1, 0),
    ):
        assert labels(values, metric) == {first: one, second: two}
    assert values[f"gpu_vgpu_utilization_ratio {first} sm"] == 0.15
    assert values[f"gpu_vgpu_utilization_ratio {second} sm"] == 0.25
    assert values[f"gpu_vgpu_utilization_ratio {second} memory"] == 0.15
    assert values[f"gpu_vgpu_utilization_ratio {second} encoder"] == 0.25
    assert values[f"gpu_vgpu_utilization_ratio {second} decoder"] == 0


def test_a_virtual_gpu_tells_its_driver_once_there_is_one(simulator: Path, scenario: Path) -> None:
    head = "gpus 1 preset=l40s\ngpu 0 virtualization=host_vgpu\n"
    line = 'vgpu gpu=0 type="NVIDIA L40S-8Q" vm=one'
    code = f"""
        plan = Plan(Library(), Library().device(0))
        before = show(plan, "vgpu")
        play({f"{head}{line} driver=570.2"!r} + chr(10))
        tell(before=before, renewed=plan.renew(["vgpu"], str), after=show(plan, "vgpu"))
    """
    told = run(simulator, scenario, f"{head}{line}\n", code)
    assert told["renewed"]
    drivers = [
        [name.split(" ")[-1] for name in labels(told[when], "gpu_vgpu_info")]
        for when in ("before", "after")
    ]
    assert drivers == [[""], ["570.2"]]


@pytest.mark.parametrize(("missing", "mode"), [(None, 1), ("_v2", 1), ("", None)])
def test_how_virtual_gpus_take_turns(
    simulator: Path, scenario: Path, missing: str | None, mode: int | None
) -> None:
    """The newer call tells no mode; an older driver, or one to come, has one of them only."""
    text = "gpus 1 preset=l40s\ngpu 0 virtualization=host_vgpu vgpu-scheduler=equal_share\n"
    text += "gpu 0 vgpu-arr=off\n"
    if missing is not None:
        text += f"missing nvmlDeviceGetVgpuSchedulerState{missing}\n"
    (values,) = ask(simulator, scenario, text)
    assert values["gpu_vgpu_scheduler_policy"] == 2
    assert values.get("gpu_vgpu_scheduler_arr_mode") == mode


def test_the_licence_of_a_guest(simulator: Path, scenario: Path) -> None:
    text = "gpus 3 preset=l40s\ngpu 0,1 virtualization=vgpu\ngpu 1 licensed=on\n"
    values = ask(simulator, scenario, text)
    assert given(values, "gpu_license_active vgpu") == {0: 0, 1: 1}


def test_what_virtual_gpus_use_is_told_since_the_last_reading(
    simulator: Path, scenario: Path
) -> None:
    """With nothing newer the last reading still holds, but not for ever."""
    head = "gpus 1 preset=l40s\ngpu 0 virtualization=host_vgpu\n"
    rest = f'{head}load gpu=0 constant 0.5\nvgpu gpu=0 type="NVIDIA L40S-8Q"\n'
    code = f"""
        plan = Plan(Library(), Library().device(0))
        told = [show(plan, "vgpu") for _ in range(3)]
        play({rest!r} + "freeze 20\\n")
        tell(told=[*told, show(plan, "vgpu")])
    """
    told = run(simulator, scenario, f"{rest}freeze 10\n", code)["told"]
    shares = [labels(values, "gpu_vgpu_utilization_ratio") for values in told]
    assert [[v for name, v in share.items() if name.endswith(" sm")] for share in shares] == [
        [0.5],
        [],
        [],
        [0.5],
    ]


def test_virtual_gpus_come_and_go(simulator: Path, scenario: Path) -> None:
    text = "freeze 10\ngpus 1 preset=l40s\ngpu 0 virtualization=host_vgpu\n"
    line = 'vgpu gpu=0 type="NVIDIA L40S-8Q" size=8GiB from=20s\n'
    code = f"""
        plan = Plan(Library(), Library().device(0))
        before = [show(plan, "vgpu"), plan.renew(["vgpu"], str)]
        play({(text + line).replace("freeze 10", "freeze 30")!r})
        tell(before=before, renewed=plan.renew(["vgpu"], str), after=show(plan, "vgpu"))
    """
    told = run(simulator, scenario, text + line, code)
    none = {
        **{"gpu_vgpu_instances": 0, "gpu_vgpu_host_mode": 1},
        **{"gpu_vgpu_scheduler_policy": 1, "gpu_vgpu_scheduler_arr_mode": 0},
    }
    assert told["before"] == [none, False]
    assert told["renewed"]
    assert told["after"]["gpu_vgpu_instances"] == 1
    assert len(labels(told["after"], "gpu_vgpu_info")) == 1
