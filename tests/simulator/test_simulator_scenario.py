"""Scenario files: what is accepted, and what is said about the rest."""

import subprocess
from pathlib import Path

import pytest
from tests.simulator.support import SCENARIOS

KINDS = (
    "lost, hang, segfault, error, init, gpu-count, throttle, load, nvlink-down, pcie-link, "
    "recovery, xid, ecc, remap, bank-remap, pcie-replay, counter, retire, fabric, repair, "
    "mig-mode, mig-pending, set, driver, permute, reset-counters"
)
REASONS = (
    "applications_clocks, sw_power_cap, hw_slowdown, sync_boost, sw_thermal, hw_thermal, "
    "hw_power_brake, display_clock"
)

BAD = [
    (
        "gpu-s 8",
        'unknown statement "gpu-s" (known: driver, start, freeze, gpus, gpu, load, process, '
        "latency, missing, pcie-counter-bits, mig, vgpu, root, confidential, sample-clock, "
        "at)",
    ),
    (
        "gpus 8 preset=h300",
        'unknown preset "h300" (known: a100, b200, gh200, gtx1080, h200, l40s, rtx4090, v100)',
    ),
    ("gpus", "expected: gpus COUNT [preset=NAME]"),
    ("gpus many", '"many" is not a whole number'),
    ("gpus -1", '"-1" is not a whole number'),
    ("gpus 33", "more than 32 GPUs"),
    ("gpus 8 card=h200", 'unknown key "card" (known: preset)'),
    ("gpus 8 h200", 'expected key=value, not "h200"'),
    ("driver 1 cuda=13", '"13" is not a version such as 13.0'),
    ("start yesterday", '"yesterday" is not a number'),
    ("start 1 2", 'unexpected "2"'),
    ("freeze 5x", '"5x" is not a duration (units: us, ms, s, m, h, d)'),
    ("gpu 8 serial=1", "GPU 8 is out of range (there are 8)"),
    ("gpu 0-8 persistence=on", "GPU 8 is out of range (there are 8)"),
    ("gpu one serial=1", '"one" is not a GPU (a number, a range such as 0-3, or *)'),
    ("gpu 3-1 persistence=on", '"3-1" is not a GPU (a number, a range such as 0-3, or *)'),
    ("gpu 0-1 uuid=GPU-1", "uuid cannot be the same for several GPUs"),
    ("gpu 0 persistence=yes", '"yes" is neither on nor off'),
    ("gpu 0 pci=3b", '"3b" is not a bus id such as 0000:3b:00.0'),
    ("gpu 0 power-limit=100W", "power-limit of h200 must be between 200 W and 700 W"),
    ("gpu 0 power-limit=5kW", '"5kW" is not a power (units: W, mW)'),
    ("gpu 0 memory-base=5GB", '"5GB" is not a size (units: B, KiB, MiB, GiB)'),
    ("gpu 0 preset=rtx4090 ecc=on", "rtx4090 has no ECC"),
    ('gpu 0 name="open', "a quote is not closed"),
    ("gpu 0 preset=l40s mig=on", "l40s has no MIG"),
    ("mig gpu=0", "mig needs gpu= and profile="),
    ("mig gpu=0 profile=1g.10gb", 'h200 has no profile "1g.10gb" (such as 1g.18gb)'),
    ("gpu 1 preset=rtx4090\nmig gpu=1 profile=1g.18gb", "rtx4090 has no MIG"),
    ("mig gpu=0 profile=1g.18gb count=8", "GPU 0 has no room for another 1g.18gb"),
    (
        "mig gpu=0 profile=3g.71gb count=2\nmig gpu=0 profile=1g.18gb",
        "GPU 0 has no room for another 1g.18gb",
    ),
    ("mig gpu=0 profile=1g.18gb from=5s until=5s", "until is not after from"),
    ("process pid=1 gpu=0 mig=7", '"7" is not a MIG device, 0 to 6'),
    ("process pid=1 gpu=0 count=20000", "more than 16384 processes"),
    ("sample-clock moon", '"moon" is neither unix nor boot'),
    (
        "gpu 0 compute-mode=shared",
        'unknown mode "shared" (known: default, exclusive_thread, prohibited, exclusive_process)',
    ),
    (
        "at 5s fabric health=bad",
        'unknown health "bad" (known: degraded_bandwidth, route_recovery, route_unhealthy, '
        "access_timeout)",
    ),
    ("vgpu gpu=0", "vgpu needs gpu= and type="),
    ("gpu 1 preset=rtx4090\nvgpu gpu=1 type=x", "rtx4090 has no vGPUs"),
    ("root", "expected: root on|off"),
    ("root maybe", '"maybe" is neither on nor off'),
    ("at 5s mig-mode", "mig-mode wants on or off"),
    ("load gpu=0", "expected: load gpu=GPUS idle|constant|wave|burst ..."),
    ("load 0 idle 1", 'expected gpu=, not "0"'),
    ("load gpu=0 steady 1", 'unknown load "steady" (known: idle, constant, wave, burst)'),
    ("load gpu=0 constant 1.5", '"1.5" is not between 0 and 1'),
    ("load gpu=0 wave min=0.9 max=0.1", "min is larger than max"),
    ("load gpu=0 wave period=0", "period must be longer than 0"),
    ("load gpu=0 wave duty=0.5", 'unknown key "duty" (known: min, max, period, phase)'),
    ("process gpu=0 memory=1GiB", "a process needs pid= and gpu="),
    ("process pid=1 gpu=0 type=cuda", 'unknown type "cuda" (known: compute, graphics, mps)'),
    ("process pid=1 gpu=0 sm=101", '"101" is not between 0 and 100'),
    ("latency nvmlDeviceGetNothing=1ms", 'unknown NVML function "nvmlDeviceGetNothing"'),
    ("latency default", 'expected FUNCTION=DURATION, not "default"'),
    ("missing nvmlNothing", 'unknown NVML function "nvmlNothing"'),
    ("pcie-counter-bits 65", "pcie-counter-bits must be between 8 and 64"),
    ("at", 'expected a duration after "at"'),
    ("at 5s", "expected what happens (such as lost, hang, xid, throttle)"),
    ("at soon lost", '"soon" is not a duration (units: us, ms, s, m, h, d)'),
    ("at 5s for 0s lost", '"for" wants more than 0'),
    ("at 5s explode", f'unknown event "explode" (known: {KINDS})'),
    ("at 5s hang gpu=1", "hang needs call="),
    ("at 5s error call=*", "error needs code="),
    ("at 5s hang call=nvmlDeviceGetPowr", 'unknown NVML function "nvmlDeviceGetPowr"'),
    (
        "at 5s error call=* code=broken",
        'unknown NVML error "broken" (such as gpu_is_lost, timeout, unknown)',
    ),
    ("at 5s init", "init wants an error name"),
    ("at 5s init timeout gpu=1", 'unexpected "gpu=1"'),
    ("at 5s lost now", 'unexpected "now"'),
    ("at 5s for 1s xid gpu=0 code=79", 'xid happens at a moment: it takes no "for"'),
    ("at 5s xid gpu=0", "xid needs code="),
    ("at 5s every 5s lost", '"every" needs "for"'),
    ("at 5s for 6s every 5s lost", '"for" is longer than "every"'),
    ("at 5s throttle reason=heat", f'unknown reason "heat" (known: {REASONS})'),
    (
        "at 5s ecc location=l3",
        'unknown location "l3" (known: dram, sram, l1, l2, cbu, registers)',
    ),
    ("at 5s counter field=83 count=1", "field 83 does not count errors"),
    ("at 5s counter field=176", "counter needs count="),
    ("at 5s for 1s retire gpu=0", 'retire happens at a moment: it takes no "for"'),
    ("at 5s xid code=1 count=0", "count must be more than 0"),
    ("at 5s set utilization", "set wants what and a value"),
    ("at 5s set utilization many", '"many" is neither a whole number nor na'),
    (
        "at 5s set mood 1",
        'unknown value "mood" (known: utilization, memory-utilization, power, energy, '
        "energy-back, temperature, memory-temperature, memory-used, process-memory, process-sm, "
        "clock, fan, pcie-bytes, time-back)",
    ),
    ("at 5s driver", "driver wants a version"),
    ("at 5s permute 1,1", '"1,1" does not name each GPU once'),
    ("at 5s permute 1,2", '"1,2" does not name the first 2 GPUs'),
    ("at 5s permute 0,8", "GPU 8 is out of range (there are 8)"),
    ("at 5s load 2", '"2" is not between 0 and 1'),
    ("at 5s gpu-count 9", "gpu-count 9 is more than the 8 GPUs there are"),
    ("load gpu=0 idle\ngpus 4", "gpus must come before the lines that name a GPU"),
]


def check(simulator: Path, path: Path) -> "subprocess.CompletedProcess[str]":
    command = [str(simulator / "check-scenario"), str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("text", "message"), BAD, ids=[text for text, _ in BAD])
def test_bad_lines(simulator: Path, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.conf"
    path.write_text(f"# a comment\n\n{text} # and another\ngpus 1\n")
    result = check(simulator, path)
    line = 3 + text.count("\n")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == f"{path}:{line}: {message}\n"


def test_a_long_line(simulator: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.conf"
    path.write_text("gpus 1\n" + "#" * 2000 + "\n")
    assert check(simulator, path).stderr == f"{path}:2: line is longer than 1022 characters\n"


def test_no_file(simulator: Path, tmp_path: Path) -> None:
    path = tmp_path / "none.conf"
    result = check(simulator, path)
    assert (result.returncode, result.stderr) == (2, f"{path}: No such file or directory\n")


def test_one_gpu_is_one(simulator: Path, tmp_path: Path) -> None:
    path = tmp_path / "one.conf"
    path.write_text("gpus 1")
    result = check(simulator, path)
    assert (result.returncode, result.stdout) == (0, f"{path}: ok, 1 GPU\n")


@pytest.mark.parametrize(
    ("name", "gpus"),
    [("demo.conf", 8), ("eight-h200.conf", 8), ("mixed-cards.conf", 4), ("generations.conf", 8)],
)
def test_the_scenarios_that_come_along(simulator: Path, name: str, gpus: int) -> None:
    path = SCENARIOS / name
    result = check(simulator, path)
    assert (result.returncode, result.stdout) == (0, f"{path}: ok, {gpus} GPUs\n")


def test_every_function_can_be_named(simulator: Path, tmp_path: Path) -> None:
    library = str(simulator / "libnvidia-ml.so.1")
    listed = subprocess.run(
        ["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True
    )
    names = [line.split()[2] for line in listed.stdout.splitlines()]
    assert len(names) > 150
    assert all(name.startswith("nvml") for name in names)
    path = tmp_path / "names.conf"
    for first in range(0, len(names), 20):
        path.write_text("missing " + " ".join(names[first : first + 20]))
        assert check(simulator, path).stderr == ""
