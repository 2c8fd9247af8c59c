"""GPUs that are cut into instances."""

from collections.abc import Callable
from typing import Any

import pynvml
import pytest
from tests.simulator.model import (
    MIG_PROFILES,
    Gpu,
    Wave,
    gpm_mib_per_second,
    gpm_percent,
    mig_memory_total,
)
from tests.simulator.presets import PRESETS
from tests.simulator.support import Play

SCENARIO = """
    freeze {t}
    root {root}
    gpus 3 preset=h200
    gpu 1 preset=a100
    load gpu=* wave min=0.1 max=0.9 period=60
    mig gpu=0 profile=3g.71gb memory=1GiB
    mig gpu=0 profile=1g.18gb count=2 until=100s share=0.5
    mig gpu=0 profile=2g.35gb from=100s until=200s
    mig gpu=1 profile=1g.10gb count=7
    process pid=11 gpu=0 memory=10GiB mig=0
    process pid=12 gpu=0 memory=2GiB mig=1
    process pid=13 gpu=0 memory=3GiB mig=2
    process pid=14 gpu=0 memory=4GiB type=graphics mig=1
    at 10s ecc gpu=0 uncorrected=2 location=sram mig=0
    at 11s ecc gpu=0 uncorrected=3 location=sram mig=1
    at 300s mig-pending off gpu=0
    at 400s mig-mode off gpu=0
"""


def handle(index: int) -> Any:
    return pynvml.nvmlDeviceGetHandleByIndex(index)


def mig(gpu: int, index: int) -> Any:
    return pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle(gpu), index)


def instances(gpu: int) -> dict[int, tuple[str, int]]:
    """Profiles and GPU instances by index."""
    found = {}
    for index in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(handle(gpu))):
        try:
            device = mig(gpu, index)
        except pynvml.NVMLError_NotFound:
            continue
        name = pynvml.nvmlDeviceGetName(device)
        found[index] = (name.split()[-1], pynvml.nvmlDeviceGetGpuInstanceId(device))
        assert pynvml.nvmlDeviceGetComputeInstanceId(device) == 0
    return found


def start(play: Play, t: float, root: str = "on") -> None:
    play(SCENARIO.format(t=t, root=root))


def test_instances_come_and_go(play: Play) -> None:
    start(play, 50)
    assert instances(0) == {0: ("3g.71gb", 1), 1: ("1g.18gb", 7), 2: ("1g.18gb", 8)}
    assert instances(1) == {i: ("1g.10gb", 7 + i) for i in range(7)}
    assert instances(2) == {}
    start(play, 100)
    assert instances(0) == {0: ("3g.71gb", 1), 1: ("2g.35gb", 3)}
    start(play, 200)
    assert instances(0) == {0: ("3g.71gb", 1)}
    start(play, 400)
    assert instances(0) == {}


def test_a_hole_stays_where_an_instance_was(play: Play) -> None:
    text = "freeze {}\ngpus 1\nmig gpu=0 profile=1g.18gb until=10s\nmig gpu=0 profile=1g.18gb"
    play(text.format(9))
    assert instances(0) == {0: ("1g.18gb", 7), 1: ("1g.18gb", 8)}
    play(text.format(10))
    assert instances(0) == {1: ("1g.18gb", 8)}


def test_modes(play: Play) -> None:
    for t, modes in ((50, [1, 1]), (300, [1, 0]), (400, [0, 0])):
        start(play, t)
        assert pynvml.nvmlDeviceGetMigMode(handle(0)) == modes
        assert pynvml.nvmlDeviceGetMigMode(handle(2)) == [0, 0]
    play("gpus 1\ngpu 0 mig=on\n")
    assert pynvml.nvmlDeviceGetMigMode(handle(0)) == [1, 1]
    assert instances(0) == {}
    play("gpus 1 preset=l40s\n")
    assert pynvml.nvmlDeviceGetMaxMigDeviceCount(handle(0)) == 0
    with pytest.raises(pynvml.NVMLError_NotSupported):
        mig(0, 0)


def test_what_an_instance_is(play: Play) -> None:
    start(play, 50)
    device = mig(0, 0)
    assert pynvml.nvmlDeviceGetName(device) == "NVIDIA H200 MIG 3g.71gb"
    uuid = pynvml.nvmlDeviceGetUUID(device)
    assert uuid.startswith("MIG-")
    assert len({pynvml.nvmlDeviceGetUUID(mig(1, i)) for i in range(7)}) == 7
    assert pynvml.nvmlDeviceGetGpuInstanceId(pynvml.nvmlDeviceGetHandleByUUID(uuid)) == 1
    attributes = pynvml.nvmlDeviceGetAttributes_v2(device)
    assert attributes.multiprocessorCount == 60
    assert (attributes.gpuInstanceSliceCount, attributes.sharedDecoderCount) == (3, 3)
    total = mig_memory_total(PRESETS["h200"], MIG_PROFILES["h200"]["3g.71gb"])
    assert attributes.memorySizeMB << 20 == total
    is_mig = [pynvml.nvmlDeviceIsMigDeviceHandle(h).value for h in (handle(0), device)]
    assert is_mig == [0, 1]
    parent = pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(device)
    assert pynvml.nvmlDeviceGetIndex(parent) == 0
    with pytest.raises(pynvml.NVMLError_InvalidArgument):
        pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(handle(0))
    for call in (
        pynvml.nvmlDeviceGetGpuInstanceId,
        pynvml.nvmlDeviceGetComputeInstanceId,
        pynvml.nvmlDeviceGetAttributes_v2,
    ):
        with pytest.raises(pynvml.NVMLError_NotSupported):
            call(handle(0))


def test_memory_and_processes(play: Play) -> None:
    start(play, 50)
    profiles = MIG_PROFILES["h200"]
    for index, name, used in ((0, "3g.71gb", 11), (1, "1g.18gb", 6), (2, "1g.18gb", 3)):
        for version in (None, pynvml.nvmlMemory_v2):
            memory = pynvml.nvmlDeviceGetMemoryInfo(mig(0, index), version=version)
            assert memory.total == mig_memory_total(PRESETS["h200"], profiles[name])
            assert (memory.used, memory.free) == (used << 30, memory.total - (used << 30))
    whole = pynvml.nvmlDeviceGetMemoryInfo(handle(0), version=pynvml.nvmlMemory_v2)
    assert whole.used == 20 << 30

    def listed(device: Any) -> list[tuple[int, int, int]]:
        found = pynvml.nvmlDeviceGetComputeRunningProcesses(device)
        return [(p.pid, p.gpuInstanceId, p.computeInstanceId) for p in found]

    assert listed(mig(0, 0)) == [(11, 1, 0)]
    assert listed(mig(0, 1)) == [(12, 7, 0)]
    assert listed(handle(0)) == [(11, 1, 0), (12, 7, 0), (13, 8, 0)]
    assert [p.pid for p in pynvml.nvmlDeviceGetGraphicsRunningProcesses(mig(0, 1))] == [14]
    start(play, 150)
    assert listed(handle(0)) == [(11, 1, 0), (12, 3, 0)]


def test_the_whole_gpu_is_for_administrators(play: Play) -> None:
    start(play, 50, root="off")
    calls: list[Callable[[Any], Any]] = [
        pynvml.nvmlDeviceGetMemoryInfo,
        pynvml.nvmlDeviceGetComputeRunningProcesses,
    ]
    for call in calls:
        with pytest.raises(pynvml.NVMLError_NoPermission):
            call(handle(0))
        call(mig(0, 0))
        call(handle(2))


@pytest.mark.parametrize("t", [50, 400])
def test_what_a_gpu_in_pieces_cannot_say(play: Play, t: float) -> None:
    start(play, t)
    calls: list[Callable[[Any], Any]] = [
        pynvml.nvmlDeviceGetUtilizationRates,
        pynvml.nvmlDeviceGetDecoderUtilization,
        pynvml.nvmlDeviceGetJpgUtilization,
        pynvml.nvmlDeviceGetOfaUtilization,
        pynvml.nvmlDeviceGetDynamicPstatesInfo,
        pynvml.nvmlDeviceGetRemappedRows,
        pynvml.nvmlDeviceGetRowRemapperHistogram,
        lambda h: pynvml.nvmlDeviceGetProcessUtilization(h, 0),
        lambda h: pynvml.nvmlDeviceGetSamples(h, pynvml.NVML_GPU_UTILIZATION_SAMPLES, 0),
        lambda h: pynvml.nvmlDeviceGetMemoryErrorCounter(h, 1, 0, 7),
    ]
    for call in calls:
        try:
            call(handle(0))
        except pynvml.NVMLError_NotFound:
            answered = True  # no process has used the GPU
        except pynvml.NVMLError_NotSupported:
            answered = False
        else:
            answered = True
        assert answered == (t == 400)
    values = pynvml.nvmlDeviceGetFieldValues(handle(0), [142, 145, 186])
    lacks = 0 if t == 400 else pynvml.NVML_ERROR_NOT_SUPPORTED
    assert [value.nvmlReturn for value in values] == [lacks, lacks, 0]
    pynvml.nvmlDeviceGetSamples(handle(0), pynvml.NVML_TOTAL_POWER_SAMPLES, 0)


def test_calls_for_whole_gpus_refuse_instances(play: Play) -> None:
    start(play, 50)
    for call in (pynvml.nvmlDeviceGetPowerUsage, pynvml.nvmlDeviceGetUtilizationRates):
        with pytest.raises(pynvml.NVMLError_NotSupported):
            call(mig(0, 0))


def test_memory_errors_of_an_instance(play: Play) -> None:
    start(play, 50)
    uncorrected, volatile, aggregate, dram, sram = 1, 0, 1, 2, 7
    count = pynvml.nvmlDeviceGetMemoryErrorCounter
    assert [count(mig(0, i), uncorrected, volatile, sram) for i in range(3)] == [2, 3, 0]
    assert count(handle(0), uncorrected, aggregate, sram) == 5
    for kind, counter, location in ((0, volatile, sram), (1, aggregate, sram), (1, volatile, dram)):
        with pytest.raises(pynvml.NVMLError_NotSupported):
            count(mig(0, 0), kind, counter, location)


def test_handles_die_with_their_instances(play: Play) -> None:
    start(play, 50)
    stays, goes = mig(0, 0), mig(0, 1)
    uuid = pynvml.nvmlDeviceGetUUID(goes)
    start(play, 150)
    assert pynvml.nvmlDeviceGetGpuInstanceId(stays) == 1
    with pytest.raises(pynvml.NVMLError_InvalidArgument):
        pynvml.nvmlDeviceGetMemoryInfo(goes)
    with pytest.raises(pynvml.NVMLError_NotFound):
        pynvml.nvmlDeviceGetHandleByUUID(uuid)
    # Its place has been taken by another.
    assert pynvml.nvmlDeviceGetUUID(mig(0, 1)) != uuid


def test_a_lost_gpu_takes_its_instances_along(play: Play) -> None:
    start(play, 50)
    device = mig(0, 0)
    play(SCENARIO.format(t=50, root="on") + "    at 0s lost gpu=0\n")
    with pytest.raises(pynvml.NVMLError_GpuIsLost):
        pynvml.nvmlDeviceGetName(device)


def test_the_performance_monitor_of_an_instance(play: Play) -> None:
    def sample(gpu: int, instance: int) -> Any:
        made = pynvml.nvmlGpmSampleAlloc()
        return pynvml.nvmlGpmMigSampleGet(handle(gpu), instance, made)

    start(play, 30)
    before = [sample(0, 1), sample(0, 7)]
    start(play, 45)
    after = [sample(0, 1), sample(0, 7)]
    gpu = Gpu(PRESETS["h200"], Wave(0.1, 0.9, 60))
    for first, second, share in zip(before, after, (1, 0.5), strict=True):
        get = pynvml.c_nvmlGpmMetricsGet_t()
        get.version, get.numMetrics, get.sample1, get.sample2 = 1, 3, first, second
        for place, metric in enumerate((2, 20, 60)):
            get.metrics[place].metricId = metric
        pynvml.nvmlGpmMetricsGet(get)
        assert get.metrics[0].value == pytest.approx(share * gpm_percent(gpu, 2, 30, 45))
        lacks = pynvml.NVML_ERROR_NOT_SUPPORTED
        assert [get.metrics[i].nvmlReturn for i in range(3)] == [0, 0, lacks]
        sent = share * gpm_mib_per_second(gpu, gpu.preset.pcie_tx_bytes, 30, 45)
        assert get.metrics[1].value == pytest.approx(sent)
    with pytest.raises(pynvml.NVMLError_InvalidArgument):
        sample(0, 3)
    for gpu_number in (1, 2):  # without the monitor, and in one piece
        with pytest.raises(pynvml.NVMLError_NotSupported):
            sample(gpu_number, 7)


def test_an_event_in_an_instance(play: Play) -> None:
    text = "gpus 1\nmig gpu=0 profile=1g.18gb count=2\nat 10s xid gpu=0 code=13 mig=1\nfreeze {}"
    play(text.format(5))
    events = pynvml.nvmlEventSetCreate()
    pynvml.nvmlDeviceRegisterEvents(handle(0), pynvml.nvmlEventTypeXidCriticalError, events)
    play(text.format(10))
    data = pynvml.nvmlEventSetWait_v2(events, 0)
    assert (data.eventData, data.gpuInstanceId, data.computeInstanceId) == (13, 8, 0)
    pynvml.nvmlEventSetFree(events)
