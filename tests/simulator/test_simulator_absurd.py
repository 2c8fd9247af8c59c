"""Answers that make no sense, and machines that change under a running client."""

import time
from typing import Any

import pynvml
import pytest
from tests.simulator.model import Constant, Gpu, energy_millijoules
from tests.simulator.presets import PRESETS
from tests.simulator.support import LOOKS_AGAIN_AFTER, Play, RunClient

NOT_AVAILABLE = 2**64 - 1
START_US = 1_763_700_000_000_000


def handle(index: int) -> Any:
    return pynvml.nvmlDeviceGetHandleByIndex(index)


def field(index: int, number: int) -> Any:
    return pynvml.nvmlDeviceGetFieldValues(handle(index), [number])[0]


def test_any_value_can_be_set_for_a_while(play: Play) -> None:
    text = """
        start 1763700000
        freeze {t}
        gpus 2
        load gpu=* constant 0.5
        process pid=7 gpu=0 memory=1GiB
        at 10s for 5s set utilization 137 gpu=0
        at 10s for 5s set memory-utilization 255 gpu=0
        at 10s for 5s set power 4294967295 gpu=0
        at 10s for 5s set temperature 4294967293 gpu=0
        at 10s for 5s set memory-temperature 500 gpu=0
        at 10s for 5s set memory-used 999999999999999 gpu=0
        at 10s for 5s set clock 0 gpu=0
        at 10s for 5s set process-memory na gpu=0
        at 10s for 5s set process-sm 4000 gpu=0
        at 10s for 5s set pcie-bytes na gpu=0
    """

    def seen(gpu: int) -> list[Any]:
        h = handle(gpu)
        rates = pynvml.nvmlDeviceGetUtilizationRates(h)
        memory = pynvml.nvmlDeviceGetMemoryInfo(h, version=pynvml.nvmlMemory_v2)
        processes = pynvml.nvmlDeviceGetComputeRunningProcesses(h)
        samples = pynvml.nvmlDeviceGetProcessUtilization(h, 0) if gpu == 0 else []
        _, ring = pynvml.nvmlDeviceGetSamples(h, pynvml.NVML_GPU_UTILIZATION_SAMPLES, 0)
        return [
            rates.gpu,
            ring[-1].sampleValue.uiVal,
            rates.memory,
            pynvml.nvmlDeviceGetPowerUsage(h),
            field(gpu, 186).value.uiVal,
            pynvml.nvmlDeviceGetTemperature(h, 0),
            pynvml.nvmlDeviceGetTemperatureV(h, 0),
            field(gpu, 82).value.uiVal,
            (memory.used, memory.free > 0),
            pynvml.nvmlDeviceGetClockInfo(h, 0),
            [p.usedGpuMemory for p in processes],
            [s.smUtil for s in samples],
            field(gpu, 197).value.ullVal,
        ]

    play(text.format(t=9.9))
    before = [seen(0), seen(1)]
    assert before[0][:5] == [50, 50, 30, 387_500, 387_500]
    play(text.format(t=10))
    assert seen(0) == [
        *[137, 137, 255, 4_294_967_295, 4_294_967_295, 4_294_967_293, -3, 500],
        (999_999_999_999_999, False),
        0,
        [None],
        [4000],
        NOT_AVAILABLE,
    ]
    assert seen(1)[0] == 50
    play(text.format(t=15))
    assert seen(0)[:5] == before[0][:5]


def test_energy_goes_back(play: Play) -> None:
    text = """
        freeze {t}
        gpus 1
        load gpu=0 constant 0.5
        at 10s for 5s set energy 0
        at 20s for 5s set energy-back 1000000
    """
    gpu = Gpu(PRESETS["h200"], Constant(0.5))
    for t, expected in (
        (9, energy_millijoules(gpu, 9)),
        (12, 0),
        (15, energy_millijoules(gpu, 15)),
        (22, energy_millijoules(gpu, 22) - 1_000_000),
    ):
        play(text.format(t=t))
        assert pynvml.nvmlDeviceGetTotalEnergyConsumption(handle(0)) == expected
        assert field(0, 83).value.ullVal == expected


def test_times_go_back(play: Play) -> None:
    text = """
        start 1763700000
        freeze {t}
        gpus 1
        process pid=7 gpu=0 sm=10
        at 20s for 5s set time-back 15
    """
    for t, now in ((19, 19), (20, 5)):
        play(text.format(t=t))
        assert field(0, 186).timestamp == START_US + now * 1_000_000
        _, ring = pynvml.nvmlDeviceGetSamples(handle(0), pynvml.NVML_TOTAL_POWER_SAMPLES, 0)
        assert ring[-1].timeStamp == START_US + now * 1_000_000
        (sample,) = pynvml.nvmlDeviceGetProcessUtilization(handle(0), 0)
        assert sample.timeStamp == START_US + now * 1_000_000


def test_a_storm_of_events(play: Play) -> None:
    text = "freeze {t}\ngpus 2\nat 5s xid code=31 count=10000 gpu=0\nat 5s xid code=79 gpu=0,1\n"
    play(text.format(t=1))
    events = pynvml.nvmlEventSetCreate()
    for gpu in range(2):
        pynvml.nvmlDeviceRegisterEvents(handle(gpu), pynvml.nvmlEventTypeXidCriticalError, events)
    play(text.format(t=6))
    for expected, times in (((0, 31), 10_000), ((0, 79), 1), ((1, 79), 1)):
        for _ in range(times):
            data = pynvml.nvmlEventSetWait_v2(events, 1000)
            assert (pynvml.nvmlDeviceGetIndex(data.device), data.eventData) == expected
    with pytest.raises(pynvml.NVMLError_Timeout):
        pynvml.nvmlEventSetWait_v2(events, 0)
    pynvml.nvmlEventSetFree(events)


def test_waiting_with_a_lost_gpu_comes_back_at_once_each_time(play: Play) -> None:
    play("gpus 1\n")
    events = pynvml.nvmlEventSetCreate()
    pynvml.nvmlDeviceRegisterEvents(handle(0), pynvml.nvmlEventTypeXidCriticalError, events)
    play("gpus 1\nat 0s lost gpu=0\n")
    begun = time.monotonic()
    for _ in range(100):
        with pytest.raises(pynvml.NVMLError_GpuIsLost):
            pynvml.nvmlEventSetWait_v2(events, 10_000)
    assert time.monotonic() - begun < 10
    pynvml.nvmlEventSetFree(events)


REPLACED = """
    driver 535.1
    freeze {t}
    gpus 1
    at 10s for 10s driver 580.2{code}
"""


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("", pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH),
        (" code=uninitialized", pynvml.NVML_ERROR_UNINITIALIZED),
    ],
)
def test_a_replaced_driver_is_not_for_clients_of_the_old_one(
    play: Play, run_client: RunClient, code: str, error: int
) -> None:
    play(REPLACED.format(t=9, code=code))
    h = handle(0)
    assert pynvml.nvmlSystemGetDriverVersion() == "535.1"
    show = """
        print(pynvml.nvmlSystemGetDriverVersion())
        print(pynvml.nvmlDeviceGetGspFirmwareVersion(h(0)).decode())
    """
    # Writes the scenario of after the change, which this process then sees as well.
    assert run_client(show, REPLACED.format(t=10, code=code)).stdout == "580.2\n" * 2
    time.sleep(LOOKS_AGAIN_AFTER)
    for call in (
        lambda: pynvml.nvmlDeviceGetPowerUsage(h),
        pynvml.nvmlSystemGetDriverVersion,
        pynvml.nvmlDeviceGetCount,
    ):
        with pytest.raises(pynvml.NVMLError) as caught:
            call()
        assert caught.value.value == error
    with pytest.raises(pynvml.NVMLError_LibRmVersionMismatch):
        pynvml.nvmlInit()
    play(REPLACED.format(t=20, code=code))
    assert pynvml.nvmlDeviceGetPowerUsage(h) == 75_000


def test_another_order_after_init(play: Play) -> None:
    text = "freeze {t}\ngpus 4\ngpu 1 preset=a100\nat 10s permute 1,2,0\n"
    play(text.format(t=9))
    uuids = [pynvml.nvmlDeviceGetUUID(handle(i)) for i in range(4)]
    a100 = handle(1)
    # Not for those who are there already.
    play(text.format(t=10))
    assert [pynvml.nvmlDeviceGetUUID(handle(i)) for i in range(4)] == uuids
    for _ in range(2):
        pynvml.nvmlShutdown()
    for _ in range(2):
        pynvml.nvmlInit()
    now = [pynvml.nvmlDeviceGetUUID(handle(i)) for i in range(4)]
    assert now == [uuids[1], uuids[2], uuids[0], uuids[3]]
    assert [pynvml.nvmlDeviceGetIndex(handle(i)) for i in range(4)] == [0, 1, 2, 3]
    assert pynvml.nvmlDeviceGetIndex(a100) == 0
    by_uuid = pynvml.nvmlDeviceGetHandleByUUID(uuids[0])
    assert pynvml.nvmlDeviceGetIndex(by_uuid) == 2


def test_gpus_are_added(play: Play) -> None:
    text = "freeze {t}\ngpus 4\nat 0s for 10s gpu-count 2\n"
    for t, count in ((9, 2), (10, 4)):
        play(text.format(t=t))
        assert pynvml.nvmlDeviceGetCount() == count
    assert pynvml.nvmlDeviceGetPowerUsage(handle(3)) == 75_000
