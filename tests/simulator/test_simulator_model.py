"""The library's answers are those of model.py, and its counters those of its gauges."""

import math

import pynvml
import pytest
from tests.simulator.model import (
    HW_SLOWDOWN,
    HW_THERMAL,
    MIB,
    SW_POWER_CAP,
    SW_THERMAL,
    Burst,
    Constant,
    Gpu,
    Wave,
    Window,
    energy_joules,
    energy_millijoules,
    fan_percent,
    load,
    memory_clock_mhz,
    memory_temperature,
    memory_used_bytes,
    memory_utilization_percent,
    nvlink_kib,
    pcie_bytes,
    power_average_milliwatts,
    power_milliwatts,
    power_usage_milliwatts,
    power_watts,
    reason_nanoseconds,
    reasons,
    sm_clock_mhz,
    temperature,
    utilization_percent,
    video_clock_mhz,
)
from tests.simulator.presets import PRESETS
from tests.simulator.support import Play

THERMAL = HW_THERMAL | HW_SLOWDOWN

# A machine with everything that changes a value, and the same as the model sees it.
SCENARIO = """
    start 1763700000
    freeze {t}
    pcie-counter-bits {bits}
    gpus 5 preset=h200
    gpu 0 memory-base=3GiB memory-load=16GiB
    gpu 1 preset=a100 power-limit=300W
    gpu 2 preset=l40s
    gpu 3 preset=rtx4090 memory-base=100GiB
    process pid=77 gpu=0 memory=10GiB
    load gpu=0 wave min=0.1 max=0.9 period=60 phase=0.25
    load gpu=1 burst min=0.05 max=0.95 period=20 phase=0.4 duty=0.3
    load gpu=2 constant 0.4
    load gpu=3 idle
    load gpu=4 wave min=0.5 max=1 period=7m
    at 20s for 15s every 100s load gpu=0 1.0
    at 25s for 2s every 50s load gpu=0,3 0.25
    at 1m load gpu=2 0.7
    at 10s for 15s every 40s throttle gpu=0 reason=hw_thermal
    at 12s for 1s every 2s throttle gpu=1 reason=sw_power_cap
    at 0s throttle gpu=2 reason=sw_thermal
    at 90s every 1000s reset-counters gpu=0,4
"""
SHORT = Window(25, 2, 50, load=0.25)
GPUS = [
    Gpu(
        PRESETS["h200"],
        Wave(0.1, 0.9, 60, 0.25),
        memory_base=3 << 30,
        memory_load=16 << 30,
        process_memory=10 << 30,
        overrides=(Window(20, 15, 100, load=1.0), SHORT),
        throttles=(Window(10, 15, 40, reasons=THERMAL),),
        resets=(Window(90, every=1000),),
    ),
    Gpu(
        PRESETS["a100"],
        Burst(0.05, 0.95, 20, 0.4, 0.3),
        power_limit=300_000,
        throttles=(Window(12, 1, 2, reasons=SW_POWER_CAP),),
    ),
    Gpu(
        PRESETS["l40s"],
        Constant(0.4),
        overrides=(Window(60, load=0.7),),
        throttles=(Window(0, reasons=SW_THERMAL),),
    ),
    Gpu(PRESETS["rtx4090"], memory_base=100 << 30, overrides=(SHORT,)),
    Gpu(PRESETS["h200"], Wave(0.5, 1, 420), resets=(Window(90, every=1000),)),
]
TIMES = [0, 0.5, 1, 12.25, 26.125, 33.3, 89.999, 90, 91.7, 120, 1234.5, 86400.25, 200_000.125]


def field(handle: object, number: int, scope: int = 0) -> int:
    value = pynvml.nvmlDeviceGetFieldValues(handle, [(number, scope)])[0]
    assert value.nvmlReturn == 0
    return int(value.value.ullVal if value.valueType == 3 else value.value.uiVal)


@pytest.mark.parametrize("t", TIMES)
def test_every_reading_is_the_models(play: Play, t: float) -> None:
    play(SCENARIO.format(t=t, bits=64))
    for index, gpu in enumerate(GPUS):
        h = pynvml.nvmlDeviceGetHandleByIndex(index)
        rates = pynvml.nvmlDeviceGetUtilizationRates(h)
        memory = pynvml.nvmlDeviceGetMemoryInfo(h, version=pynvml.nvmlMemory_v2)
        answers = {
            "gpu": rates.gpu,
            "memory": rates.memory,
            "power": pynvml.nvmlDeviceGetPowerUsage(h),
            "instant": field(h, 186),
            "energy": pynvml.nvmlDeviceGetTotalEnergyConsumption(h),
            "energy field": field(h, 83),
            "temperature": pynvml.nvmlDeviceGetTemperature(h, 0),
            "temperature v": pynvml.nvmlDeviceGetTemperatureV(h, 0),
            "graphics": pynvml.nvmlDeviceGetClockInfo(h, 0),
            "sm": pynvml.nvmlDeviceGetClockInfo(h, 1),
            "mem": pynvml.nvmlDeviceGetClockInfo(h, 2),
            "video": pynvml.nvmlDeviceGetClockInfo(h, 3),
            "reasons": pynvml.nvmlDeviceGetCurrentClocksEventReasons(h),
            "hw thermal": field(h, 270),
            "sw thermal": field(h, 269),
            "power cap": field(h, 74),
            "used": memory.used,
            "tx": field(h, 197),
            "rx": field(h, 198),
        }
        assert answers == {
            "gpu": utilization_percent(gpu, t),
            "memory": memory_utilization_percent(gpu, t),
            "power": power_usage_milliwatts(gpu, t),
            "instant": power_milliwatts(gpu, t),
            "energy": energy_millijoules(gpu, t),
            "energy field": energy_millijoules(gpu, t),
            "temperature": temperature(gpu, t),
            "temperature v": temperature(gpu, t),
            "graphics": sm_clock_mhz(gpu, t),
            "sm": sm_clock_mhz(gpu, t),
            "mem": memory_clock_mhz(gpu, t),
            "video": video_clock_mhz(gpu, t),
            "reasons": reasons(gpu, t),
            "hw thermal": reason_nanoseconds(gpu, t, HW_THERMAL),
            "sw thermal": reason_nanoseconds(gpu, t, SW_THERMAL),
            "power cap": reason_nanoseconds(gpu, t, SW_POWER_CAP),
            "used": memory_used_bytes(gpu, t),
            "tx": pcie_bytes(gpu, t, gpu.preset.pcie_tx_bytes),
            "rx": pcie_bytes(gpu, t, gpu.preset.pcie_rx_bytes),
        }, f"GPU {index}"


@pytest.mark.parametrize("t", [12.25, 1234.5])
def test_readings_of_some_cards_are_the_models(play: Play, t: float) -> None:
    play(SCENARIO.format(t=t, bits=64))
    h200, a100, l40s, rtx4090 = (pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(4))
    everything = 0xFFFFFFFF
    assert field(h200, 82) == memory_temperature(GPUS[0], t)
    assert field(a100, 82) == memory_temperature(GPUS[1], t)
    assert field(h200, 185) == power_average_milliwatts(GPUS[0], t)
    assert field(h200, 138, 5) == nvlink_kib(GPUS[0], t)
    assert field(h200, 139, everything) == 18 * nvlink_kib(GPUS[0], t)
    assert field(a100, 140, everything) == 12 * nvlink_kib(GPUS[1], t, raw=True)
    assert pynvml.nvmlDeviceGetFanSpeed_v2(rtx4090, 1) == fan_percent(GPUS[3], t)
    info = pynvml.nvmlDeviceGetMemoryInfo(l40s)
    assert (info.total, info.used) == (46068 * MIB, 488 * MIB)


def test_an_edge_belongs_to_the_window_that_it_begins() -> None:
    for every in (0.007, 0.1, 0.3, 1.1):
        window = Window(0.1, every / 2, every)
        for number in range(1000):
            start = window.at + number * every
            assert (window.number(start), window.last_start(start)) == (number, start)
            assert window.next_start(start) > start


def test_power_follows_load_between_idle_and_limit() -> None:
    h200 = PRESETS["h200"]
    assert power_watts(h200, 0) == 75
    assert power_watts(h200, 0.5) == 387.5
    assert power_watts(h200, 1) == 700


@pytest.mark.parametrize("index", range(len(GPUS)))
def test_energy_is_the_integral_of_power(index: int) -> None:
    gpu = GPUS[index]
    start, seconds, steps = 91.0, 400, 400_000
    # The middle of each step; the jumps of load lie on the edges of steps.
    total = math.fsum(
        gpu.preset.power_idle
        + (gpu.limit - gpu.preset.power_idle) * load(gpu, start + (i + 0.5) * seconds / steps)
        for i in range(steps)
    )
    by_hand = total * seconds / steps / 1000
    by_counter = energy_joules(gpu, start + seconds) - energy_joules(gpu, start)
    assert by_counter == pytest.approx(by_hand, rel=1e-6)


def test_counters_never_go_back_and_agree_with_power(play: Play) -> None:
    play("gpus 1\nload gpu=0 wave min=0.2 max=0.9 period=3s\nat 1s for 1s every 2s load 0.5\n")
    h = pynvml.nvmlDeviceGetHandleByIndex(0)
    before = [0] * 4
    for _ in range(2000):
        now = [field(h, 83), field(h, 197), field(h, 198), field(h, 138, 0xFFFFFFFF)]
        assert all(new >= old for new, old in zip(now, before, strict=True))
        before = now


def test_reset_counters_start_again(play: Play) -> None:
    text = """
        freeze {t}
        gpus 1
        load gpu=0 constant 0.5
        at 1s throttle gpu=0 reason=sw_power_cap
        at 5s ecc gpu=0 corrected=3 uncorrected=4
        at 10s reset-counters gpu=0
        at 12s ecc gpu=0 corrected=2 uncorrected=1
    """
    play(text.format(t=9))
    h = pynvml.nvmlDeviceGetHandleByIndex(0)
    assert field(h, 83) == 9 * 387_500
    assert field(h, 74) == 8_000_000_000
    assert [field(h, number) for number in (3, 4, 5, 6)] == [3, 4, 3, 4]
    play(text.format(t=14))
    assert field(h, 83) == 4 * 387_500
    assert field(h, 74) == 4_000_000_000
    assert field(h, 197) == 4 * 2_500_000_000
    assert [field(h, number) for number in (3, 4, 5, 6)] == [2, 1, 5, 5]


def test_pcie_counters_wrap(play: Play) -> None:
    play(SCENARIO.format(t=33.3, bits=32))
    h = pynvml.nvmlDeviceGetHandleByIndex(2)
    whole = pcie_bytes(GPUS[2], 33.3, GPUS[2].preset.pcie_tx_bytes)
    assert whole > 1 << 32
    assert field(h, 197) == whole % (1 << 32)


def test_samples_are_the_power_at_their_moments(play: Play) -> None:
    t = 1234.5
    play(SCENARIO.format(t=t, bits=64))
    h = pynvml.nvmlDeviceGetHandleByIndex(0)
    kind, samples = pynvml.nvmlDeviceGetSamples(h, pynvml.NVML_TOTAL_POWER_SAMPLES, 0)
    assert kind == pynvml.NVML_VALUE_TYPE_UNSIGNED_INT
    assert len(samples) == 120
    moments = [s.timeStamp - 1_763_700_000_000_000 for s in samples]
    assert moments == [int(t * 1e6) - (119 - i) * 20_000 for i in range(120)]
    for moment, one in zip(moments, samples, strict=True):
        assert one.sampleValue.uiVal == power_milliwatts(GPUS[0], moment / 1e6)
    with pytest.raises(pynvml.NVMLError_NotFound):
        pynvml.nvmlDeviceGetSamples(h, pynvml.NVML_TOTAL_POWER_SAMPLES, samples[-1].timeStamp)


def test_a_later_moment_does_not_change_an_earlier_answer(play: Play) -> None:
    # The library remembers sums of the past: they must not show.
    for t in (100_000.5, 40.25, 100_000.5):
        play(SCENARIO.format(t=t, bits=64))
        h = pynvml.nvmlDeviceGetHandleByIndex(0)
        for _ in range(2):
            assert field(h, 83) == energy_millijoules(GPUS[0], t)
