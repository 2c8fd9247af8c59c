"""MIG instances, on the stand-in driver: they come and go, and the rest goes on."""

from pathlib import Path
from typing import Any

import pytest
from tests.simulator import model
from tests.simulator.model import MIG_PROFILES, Gpu, Wave
from tests.simulator.presets import PRESETS
from tests.unit.driver import run

GIB = 1 << 30
HEAD = "freeze 100\ngpus 1 preset=h200\nload gpu=0 wave min=0.1 max=0.9 period=7s phase=0.25\n"
GPU = Gpu(PRESETS["h200"], Wave(0.1, 0.9, 7, 0.25))
THREE = f"""{HEAD}\
mig gpu=0 profile=3g.71gb memory=20GiB share=0.5
mig gpu=0 profile=1g.18gb count=2 memory=2GiB share=0.1 until=150
mig gpu=0 profile=2g.35gb share=0.2 from=150
"""
READ = """
plan = Plan(Library(), Library().device(0))
def at(moment, text=None):
    text = text or scenario.read_text()
    head, rest = text.split("\\n", 1)
    play(f"freeze {moment}\\n{rest}")
    outdated = plan.renew(plan.columns, str)
    return {"outdated": outdated, "values": show(plan), "refused": plan.refused.get("mig", "")}
def infos():
    return [c.labels for c in plan.columns["mig"] if c.metric == "gpu_mig_info"]
"""


def of_mig(values: dict[str, Any]) -> dict[str, Any]:
    of_the_gpu = ("gpu_mig_mode", "gpu_mig_mode_pending")
    return {n: v for n, v in values.items() if n.startswith("gpu_mig_") and n not in of_the_gpu}


def instances(values: dict[str, Any]) -> set[str]:
    """Number and profile of each GPU instance."""
    used = (name.split() for name in values if name.startswith("gpu_mig_memory_used_bytes "))
    return {f"{gpu_instance} {profile}" for _, gpu_instance, _, profile in used}


def test_what_an_instance_is(simulator: Path, scenario: Path) -> None:
    told = run(simulator, scenario, THREE, READ + "tell(**at(100), infos=infos())")
    values = told["values"]
    assert instances(values) == {"1 3g.71gb", "7 1g.18gb", "8 1g.18gb"}
    for labels, used in (("1 0 3g.71gb", 20 * GIB), ("7 0 1g.18gb", 2 * GIB)):
        total = model.mig_memory_total(PRESETS["h200"], MIG_PROFILES["h200"][labels[4:]])
        assert values[f"gpu_mig_memory_total_bytes {labels}"] == total
        assert values[f"gpu_mig_memory_used_bytes {labels}"] == used
        assert values[f"gpu_mig_memory_free_bytes {labels}"] == total - used
        assert values[f"gpu_mig_ecc_errors_total {labels} uncorrected sram"] == 0
    found = {tuple(info[:3]): info[3:] for info in told["infos"]}
    uuid, *numbers = found["1", "0", "3g.71gb"]
    assert uuid.startswith("MIG-")
    assert numbers == ["3", "3", "60"]
    assert len({info[3] for info in told["infos"]}) == 3


def test_activity_is_the_instances(simulator: Path, scenario: Path) -> None:
    code = READ + "tell(seed=show(plan), values=at(107.5)['values'])"
    told = run(simulator, scenario, THREE, code)
    assert told["seed"]["gpu_mig_sm_active_ratio 1 3g.71gb"] is None
    for labels, share in (("1 3g.71gb", 0.5), ("7 1g.18gb", 0.1), ("8 1g.18gb", 0.1)):
        for name, metric in (
            *(("graphics_active_ratio", 1), ("sm_active_ratio", 2), ("sm_occupancy_ratio", 3)),
            *(("pipe_active_ratio {} tensor", 5), ("dram_active_ratio", 10)),
            *(("pipe_active_ratio {} fp64", 11), ("pipe_active_ratio {} fp32", 12)),
        ):
            key = "gpu_mig_" + (name if "{}" in name else f"{name} {{}}").format(labels)
            value = share * model.gpm_percent(GPU, metric, 100, 107.5) / 100
            assert told["values"][key] == pytest.approx(value), key
        for way, rate in (
            ("transmit", GPU.preset.pcie_tx_bytes),
            ("receive", GPU.preset.pcie_rx_bytes),
        ):
            sent = share * model.gpm_mib_per_second(GPU, rate, 100, 107.5) * model.MIB
            key = f"gpu_mig_pcie_bytes_per_second {labels} {way}"
            assert told["values"][key] == pytest.approx(sent), key


def test_errors_of_an_instance(simulator: Path, scenario: Path) -> None:
    fault = "at 101s ecc uncorrected=2 location=sram mig=1\n"
    values = run(simulator, scenario, THREE + fault, READ + "tell(**at(102))")["values"]
    assert values["gpu_mig_ecc_errors_total 7 0 1g.18gb uncorrected sram"] == 2
    assert values["gpu_mig_ecc_errors_total 8 0 1g.18gb uncorrected sram"] == 0


def test_instances_come_and_go_and_nothing_else_is_planned_anew(
    simulator: Path, scenario: Path
) -> None:
    code = f"""{READ}
text = scenario.read_text()
first = at(140)
sections = dict(plan._sections)
# The handles of two of them die, and are read once more.
play(text.replace("freeze 100", "freeze 159"))
dead = show(plan)
again = at(160, text)
renewed = [name for name, section in plan._sections.items() if section is not sections[name]]
tell(first=first, dead=dead, again=again, after=at(161), renewed=renewed)
"""
    told = run(simulator, scenario, THREE, code)
    first, dead, again, after = (told[step] for step in ("first", "dead", "again", "after"))
    assert dead["gpu_mig_memory_used_bytes 7 0 1g.18gb"] is None
    assert dead["gpu_mig_memory_used_bytes 1 0 3g.71gb"] == 20 * GIB
    assert (first["outdated"], again["outdated"], after["outdated"]) == (False, True, False)
    assert told["renewed"] == ["mig"]
    assert instances(first["values"]) == {"1 3g.71gb", "7 1g.18gb", "8 1g.18gb"}
    assert instances(again["values"]) == {"1 3g.71gb", "3 2g.35gb"}
    assert set(of_mig(again["values"])) == set(of_mig(after["values"]))
    assert again["values"]["gpu_power_watts"] is not None
    value = 0.2 * model.gpm_percent(GPU, 2, 160, 161) / 100
    assert after["values"]["gpu_mig_sm_active_ratio 3 2g.35gb"] == pytest.approx(value)


def test_dead_handles_are_no_misfortune(simulator: Path, scenario: Path) -> None:
    """Whatever a driver answers to them."""
    code = f"""{READ}
text = scenario.read_text()
found = {{}}
for code in ("uninitialized", "gpu_is_lost", "invalid_argument", "unknown"):
    calls = ("MemoryInfo_v2", "MemoryErrorCounter")
    faults = "".join(f"at 0s error call=nvmlDeviceGet{{call}} code={{code}}\\n" for call in calls)
    faults += f"at 0s error call=nvmlGpmMigSampleGet code={{code}}\\n"
    play(text + faults)
    found[code] = list(plan.read(["mig"], str)["mig"])
tell(found=found, columns=plan.columns["mig"])
"""
    told = run(simulator, scenario, THREE, code)
    for values in told["found"].values():
        for column, value in zip(told["columns"], values, strict=True):
            assert value == (1 if column[0] == "gpu_mig_info" else None)


def test_an_instance_that_is_made_anew_is_not_compared_with_its_predecessor(
    simulator: Path, scenario: Path
) -> None:
    text = HEAD + "mig gpu=0 profile=1g.18gb until=110\nmig gpu=0 profile=1g.18gb from=110\n"
    code = READ + "tell(steps=[at(moment) for moment in (101, 105, 112, 114)], infos=infos())"
    steps = run(simulator, scenario, text, code)["steps"]
    name = "gpu_mig_sm_active_ratio 7 1g.18gb"
    assert [step["outdated"] for step in steps] == [False, False, True, False]
    assert [step["values"][name] is None for step in steps] == [False, False, True, False]
    for step, times in ((steps[1], (101, 105)), (steps[3], (112, 114))):
        value = model.gpm_percent(GPU, 2, *times) / 100
        assert step["values"][name] == pytest.approx(value)


def test_the_mode_is_switched_while_it_runs(simulator: Path, scenario: Path) -> None:
    off = "at 110s for 10s mig-mode off\n"
    code = READ + "tell(steps=[at(moment) for moment in (101, 112, 114, 121)])"
    steps = run(simulator, scenario, THREE + off, code)["steps"]
    assert [step["refused"] for step in steps] == ["", "mig_off", "mig_off", ""]
    assert [step["outdated"] for step in steps] == [False, True, False, True]
    assert of_mig(steps[1]["values"]) == {}
    assert instances(steps[3]["values"]) == instances(steps[0]["values"])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("gpus 1 preset=h200\n", "mig_off"),
        ("gpus 1 preset=a100\n", "mig_off"),
        ("gpus 1 preset=l40s\n", "not_supported"),
        ("gpus 1 preset=rtx4090\n", "not_supported"),
        ("gpus 1 preset=h200\ngpu 0 mig=on\n", "no_mig_instances"),
        ("gpus 1 preset=h200\nmissing nvmlDeviceGetMigMode\n", "function_not_found"),
        (
            f"{THREE}at 0s error call=nvmlDeviceGetMigDeviceHandleByIndex code=no_permission\n",
            "no_permission",
        ),
    ],
)
def test_why_there_is_nothing(simulator: Path, scenario: Path, text: str, why: str) -> None:
    told = run(simulator, scenario, text, READ + "tell(values=show(plan), refused=plan.refused)")
    assert (of_mig(told["values"]), told["refused"]["mig"]) == ({}, why)


def test_a_card_without_mig_is_not_asked_again(simulator: Path, scenario: Path) -> None:
    code = """
plan = Plan(Library(), Library().device(0))
section = plan._sections["mig"]
tell(asked=section._outdated is not None, calls=len(section._calls))
"""
    assert run(simulator, scenario, "gpus 1 preset=l40s\n", code) == {"asked": False, "calls": 0}


def test_an_ampere_card_has_instances_but_no_monitor(simulator: Path, scenario: Path) -> None:
    text = "freeze 100\ngpus 1 preset=a100\nmig gpu=0 profile=1g.10gb count=7 memory=1GiB\n"
    told = run(simulator, scenario, text, READ + "tell(**at(101))")
    values = of_mig(told["values"])
    assert len(instances(values)) == 7
    assert {name.split()[0] for name in values} == {
        *("gpu_mig_info", "gpu_mig_ecc_errors_total"),
        *(f"gpu_mig_memory_{what}_bytes" for what in ("total", "used", "free", "reserved")),
    }


def test_an_older_driver(simulator: Path, scenario: Path) -> None:
    missing = "missing nvmlDeviceGetMemoryInfo_v2 nvmlDeviceGetAttributes_v2 nvmlGpmMigSampleGet\n"
    told = run(simulator, scenario, THREE + missing, READ + "tell(**at(101), infos=infos())")
    values = of_mig(told["values"])
    assert {name.split()[0] for name in values} == {
        *("gpu_mig_info", "gpu_mig_ecc_errors_total"),
        *(f"gpu_mig_memory_{what}_bytes" for what in ("total", "used", "free")),
    }
    assert {tuple(info[4:]) for info in told["infos"]} == {("", "", "")}
