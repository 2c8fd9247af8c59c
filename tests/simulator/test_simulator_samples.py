"""The driver's ring of recent readings, and lists of processes however long."""

import ctypes
from typing import Any

import pynvml
import pytest
from tests.simulator.model import (
    Gpu,
    Wave,
    Window,
    load,
    memory_clock_mhz,
    memory_utilization_percent,
    module_power_milliwatts,
    percent,
    power_milliwatts,
    sm_clock_mhz,
    utilization_percent,
)
from tests.simulator.presets import PRESETS
from tests.simulator.support import Play

START = 1_763_700_000
SCENARIO = """
    start 1763700000
    freeze {t}
    gpus 6 preset=h200
    gpu 1 preset=l40s encoder=0.2 decoder=0.4 jpeg=0.6 ofa=0.8
    gpu 2 preset=gh200
    gpu 3 preset=gtx1080
    gpu 4 preset=b200
    load gpu=* wave min=0.1 max=0.6 period=60
    at 19s for 200ms load gpu=* 1.0
"""
WAVE = Wave(0.1, 0.6, 60)
PEAK = (Window(19, 0.2, load=1.0),)
POWER, GPU, MEMORY, ENCODER, DECODER, SM_CLOCK, MEMORY_CLOCK, MODULE, JPEG, OFA = range(10)


def handle(index: int) -> Any:
    return pynvml.nvmlDeviceGetHandleByIndex(index)


def samples(gpu: int, kind: int, last_seen: int = 0) -> list[tuple[float, int]]:
    """Times in seconds of the scenario, and values."""
    value_type, found = pynvml.nvmlDeviceGetSamples(handle(gpu), kind, last_seen)
    assert value_type == pynvml.NVML_VALUE_TYPE_UNSIGNED_INT
    return [((s.timeStamp - START * 1_000_000) / 1e6, s.sampleValue.uiVal) for s in found]


@pytest.mark.parametrize("t", [20.5, 20.511, 21.59])
def test_every_kind_is_the_models_at_its_moments(play: Play, t: float) -> None:
    play(SCENARIO.format(t=t))
    h200, l40s, gh200 = (
        Gpu(PRESETS[name], WAVE, overrides=PEAK) for name in ("h200", "l40s", "gh200")
    )
    newest = int(t * 1e6 / 20_000)
    times = [(newest - 119 + i) * 20_000 / 1e6 for i in range(120)]

    def engine(factor: float) -> list[tuple[float, int]]:
        return [(at, percent(factor * load(l40s, at))) for at in times]

    assert samples(0, POWER) == [(at, power_milliwatts(h200, at)) for at in times]
    assert samples(0, GPU) == [(at, utilization_percent(h200, at)) for at in times]
    assert samples(0, MEMORY) == [(at, memory_utilization_percent(h200, at)) for at in times]
    assert samples(0, SM_CLOCK) == [(at, sm_clock_mhz(h200, at)) for at in times]
    assert samples(0, MEMORY_CLOCK) == [(at, memory_clock_mhz(h200, at)) for at in times]
    assert samples(2, MODULE) == [(at, module_power_milliwatts(gh200, at)) for at in times]
    assert samples(1, ENCODER) == engine(0.2)
    assert samples(1, DECODER) == engine(0.4)
    assert samples(1, JPEG) == engine(0.6)
    assert samples(1, OFA) == engine(0.8)


@pytest.mark.parametrize("kind", [POWER, GPU, MEMORY, SM_CLOCK])
def test_a_peak_of_200_ms_is_seen(play: Play, kind: int) -> None:
    play(SCENARIO.format(t=20.5))
    gpu = Gpu(PRESETS["h200"], WAVE, overrides=PEAK)
    peak = {POWER: 700_000, GPU: 100, MEMORY: 60, SM_CLOCK: sm_clock_mhz(gpu, 19.1)}[kind]
    assert [at for at, value in samples(0, kind) if value == peak] == [
        (19_000_000 + 20_000 * i) / 1e6 for i in range(10)
    ]


def test_only_what_is_new(play: Play) -> None:
    play(SCENARIO.format(t=20.5))
    seen = START * 1_000_000 + 20_430_000
    assert [at for at, _ in samples(0, GPU, seen)] == [20.44, 20.46, 20.48, 20.5]
    with pytest.raises(pynvml.NVMLError_NotFound):
        samples(0, GPU, START * 1_000_000 + 20_500_000)
    play(SCENARIO.format(t=20.55))
    assert [at for at, _ in samples(0, GPU, START * 1_000_000 + 20_500_000)] == [20.52, 20.54]


def test_a_question_without_a_list_is_answered_with_the_size(play: Play) -> None:
    play(SCENARIO.format(t=20.5))
    kind, count = ctypes.c_uint(), ctypes.c_uint()
    library = pynvml.nvmlLib
    arguments = (handle(0), ctypes.c_uint(GPU), ctypes.c_ulonglong(0), ctypes.byref(kind))
    assert library.nvmlDeviceGetSamples(*arguments, ctypes.byref(count), None) == 0
    assert count.value == 120


def test_kinds_that_a_card_lacks(play: Play) -> None:
    play(SCENARIO.format(t=20.5))
    has = {
        0: {POWER, GPU, MEMORY, DECODER, SM_CLOCK, MEMORY_CLOCK, JPEG, OFA},
        1: set(range(10)) - {MODULE},
        2: set(range(10)) - {ENCODER},
        3: {POWER, GPU, MEMORY, ENCODER, DECODER, SM_CLOCK, MEMORY_CLOCK},
    }
    for gpu, kinds in has.items():
        seen = set()
        for kind in range(10):
            try:
                samples(gpu, kind)
            except pynvml.NVMLError_NotSupported:
                continue
            seen.add(kind)
        assert seen == kinds
    with pytest.raises(pynvml.NVMLError_InvalidArgument):
        samples(0, 10)


def test_the_other_clock(play: Play) -> None:
    play(SCENARIO.format(t=20.5) + "    sample-clock boot\n")
    _, found = pynvml.nvmlDeviceGetSamples(handle(0), GPU, 20_450_000)
    assert [s.timeStamp for s in found] == [20_460_000, 20_480_000, 20_500_000]


THOUSANDS = """
    start 1763700000
    freeze 100.5
    gpus 2
    process pid=1000 count=5000 gpu=0 memory=8MiB sm=1
    process pid=7000 count=300 gpu=0 memory=1MiB type=graphics sm=2
    process pid=8000 count=200 gpu=0 memory=1MiB type=mps sm=0
"""


def test_thousands_of_processes(play: Play) -> None:
    play(THOUSANDS)
    h = handle(0)
    compute = pynvml.nvmlDeviceGetComputeRunningProcesses_v3(h)
    assert [p.pid for p in compute] == list(range(1000, 6000))
    assert {p.usedGpuMemory for p in compute} == {8 << 20}
    assert len(pynvml.nvmlDeviceGetGraphicsRunningProcesses_v3(h)) == 300
    assert len(pynvml.nvmlDeviceGetMPSComputeRunningProcesses_v3(h)) == 200
    used = pynvml.nvmlDeviceGetMemoryInfo(h, version=pynvml.nvmlMemory_v2).used
    assert used == (5000 * 8 + 500) << 20


@pytest.mark.parametrize("room", [0, 1, 4999, 5000, 6000])
def test_a_list_that_is_too_short(play: Play, room: int) -> None:
    play(THOUSANDS)
    count = ctypes.c_uint(room)
    infos = (pynvml.c_nvmlProcessInfo_v3_t * max(room, 1))()
    result = pynvml.nvmlLib.nvmlDeviceGetComputeRunningProcesses_v3(
        handle(0), ctypes.byref(count), infos
    )
    fits = room >= 5000
    assert (result, count.value) == (0 if fits else pynvml.NVML_ERROR_INSUFFICIENT_SIZE, 5000)


def test_samples_of_thousands_of_processes(play: Play) -> None:
    play(THOUSANDS)
    now = (START + 100) * 1_000_000
    library = pynvml.nvmlLib
    count = ctypes.c_uint()
    ask = (handle(0), None, ctypes.byref(count), ctypes.c_ulonglong(0))
    assert library.nvmlDeviceGetProcessUtilization(*ask) == pynvml.NVML_ERROR_INSUFFICIENT_SIZE
    assert count.value == 5300
    found = (pynvml.c_nvmlProcessUtilizationSample_t * 6000)()
    count.value = 100
    short = (handle(0), found, ctypes.byref(count), ctypes.c_ulonglong(0))
    result = library.nvmlDeviceGetProcessUtilization(*short)
    assert (result, count.value) == (pynvml.NVML_ERROR_INSUFFICIENT_SIZE, 5300)
    result = library.nvmlDeviceGetProcessUtilization(*short)
    assert (result, count.value) == (0, 5300)
    assert {(s.timeStamp, s.smUtil) for s in found[:5000]} == {(now, 1)}
    for gpu, last_seen in ((0, now), (1, 0)):
        with pytest.raises(pynvml.NVMLError_NotFound):
            pynvml.nvmlDeviceGetProcessUtilization(handle(gpu), last_seen)


def test_processes_and_all_their_engines(play: Play) -> None:
    play("start 1763700000\nfreeze 9.9\ngpus 1\nprocess pid=5 gpu=0 sm=3 mem=4 enc=5 dec=6\n")
    info = pynvml.c_nvmlProcessesUtilizationInfo_v1_t()
    info.version = pynvml.ProcessesUtilizationInfo_v1
    library = pynvml.nvmlLib
    ask = library.nvmlDeviceGetProcessesUtilizationInfo
    assert ask(handle(0), ctypes.byref(info)) == pynvml.NVML_ERROR_INSUFFICIENT_SIZE
    found = (pynvml.c_nvmlProcessUtilizationInfo_v1_t * info.processSamplesCount)()
    info.procUtilArray = found
    assert ask(handle(0), ctypes.byref(info)) == 0
    one = found[0]
    assert info.processSamplesCount == 1
    assert one.timeStamp == (START + 9) * 1_000_000
    assert [one.pid, one.smUtil, one.memUtil, one.encUtil, one.decUtil] == [5, 3, 4, 5, 6]
    info.lastSeenTimeStamp = one.timeStamp
    info.processSamplesCount = 1
    assert ask(handle(0), ctypes.byref(info)) == pynvml.NVML_ERROR_NOT_FOUND
