"""The fields of nvmlDeviceGetFieldValues: which card has which, and what they count."""

from typing import Any

import pynvml
import pytest
from tests.simulator.model import (
    MIB,
    Gpu,
    Wave,
    energy_millijoules,
    fan_percent,
    memory_clock_mhz,
    memory_temperature,
    memory_used_bytes,
    mma_stall_percent,
    module_power_milliwatts,
    nvlink_bytes,
    nvlink_kib,
    nvlink_packets,
    pcie_bytes,
    power_milliwatts,
    power_usage_milliwatts,
    sm_clock_mhz,
    temperature,
    utilization_percent,
    video_clock_mhz,
)
from tests.simulator.presets import PRESETS
from tests.simulator.support import SCENARIOS, Play

GTX1080, V100, A100, L40S, RTX4090, H200, GH200, B200 = range(8)
ALL = set(range(8))
NVLINK4 = {V100, A100, H200}
NVLINK = NVLINK4 | {B200}
ROWS = {A100, L40S, H200, GH200, B200}
GENERATIONS = (SCENARIOS / "generations.conf").read_text()
EVERY_LINK = 0xFFFFFFFF
WAVE = Wave(0.2, 0.9, 90)

FIELDS: dict[int, set[int]] = {
    3: ROWS | {V100},
    29: {V100},
    30: {V100},
    31: {V100},
    38: NVLINK4,
    45: NVLINK4,
    52: NVLINK4,
    59: NVLINK4,
    82: {V100, A100, H200, GH200, B200},
    83: ALL - {GTX1080},
    91: ALL,
    94: ALL,
    95: ALL,
    138: NVLINK,
    139: NVLINK,
    140: NVLINK,
    141: NVLINK,
    142: ROWS,
    143: ROWS,
    144: ROWS,
    145: ROWS,
    160: NVLINK4,
    161: NVLINK4,
    162: NVLINK4,
    163: NVLINK4,
    164: NVLINK,
    165: NVLINK,
    166: NVLINK,
    167: NVLINK,
    169: {H200, GH200, B200},
    170: ALL,
    171: {GH200},
    172: {GH200},
    **{n: {H200, GH200, B200} for n in range(173, 184)},
    185: ALL - {GTX1080, V100, A100},
    186: ALL,
    193: {L40S, RTX4090, H200, GH200, B200},
    197: ALL - {GTX1080},
    198: ALL - {GTX1080},
    **{n: {B200} for n in range(201, 205)},
    205: set(),
    **{n: {B200} for n in range(206, 216)},
    **{n: set[int]() for n in range(216, 219)},
    **{n: {B200} for n in range(219, 223)},
    230: ALL,
    **{n: {GH200} for n in range(231, 235)},
    **{n: {B200} for n in range(235, 251)},
    **{n: {B200} for n in range(251, 269)},
    272: set(),
    273: set(),
    274: {H200, GH200, B200},
    **{n: {B200} for n in range(275, 296)},
    297: {B200},
    **{n: set[int]() for n in range(300, 308)},
}


def handle(index: int) -> Any:
    return pynvml.nvmlDeviceGetHandleByIndex(index)


def field(index: int, number: int, scope: int = 0) -> int:
    value = pynvml.nvmlDeviceGetFieldValues(handle(index), [(number, scope)])[0]
    assert value.nvmlReturn == 0
    return int(value.value.ullVal if value.valueType == 3 else value.value.uiVal)


def result(index: int, number: int, scope: int) -> int:
    return int(pynvml.nvmlDeviceGetFieldValues(handle(index), [(number, scope)])[0].nvmlReturn)


def test_which_card_has_which_field(play: Play) -> None:
    play(GENERATIONS)
    seen: dict[int, set[int]] = {number: set() for number in FIELDS}
    for card in ALL:
        for value in pynvml.nvmlDeviceGetFieldValues(handle(card), list(FIELDS)):
            assert value.nvmlReturn in (0, pynvml.NVML_ERROR_NOT_SUPPORTED), value.fieldId
            if value.nvmlReturn == 0:
                seen[value.fieldId].add(card)
    assert seen == FIELDS


@pytest.mark.parametrize("t", [0.5, 77.7, 4321.25])
def test_values_of_new_and_old_cards(play: Play, t: float) -> None:
    play(GENERATIONS + f"\nfreeze {t}\n")
    b200, gh200 = Gpu(PRESETS["b200"], WAVE), Gpu(PRESETS["gh200"], WAVE)
    v100 = Gpu(PRESETS["v100"], WAVE)
    assert field(B200, 202, 4) == field(B200, 204, 17) == nvlink_bytes(b200, t)
    assert field(B200, 202, EVERY_LINK) == 18 * nvlink_bytes(b200, t)
    assert field(B200, 201, 4) == field(B200, 203, 4) == nvlink_packets(b200, t)
    assert field(B200, 138, 4) * 1024 == field(B200, 202, 4)
    assert field(B200, 297) == mma_stall_percent(b200, t)
    assert field(V100, 139, EVERY_LINK) == 6 * nvlink_kib(v100, t)
    assert field(V100, 83) == energy_millijoules(v100, t)
    assert field(GH200, 185, 1) == module_power_milliwatts(gh200, t, average=True)
    assert field(GH200, 186, 1) == module_power_milliwatts(gh200, t)
    assert result(H200, 186, 1) == pynvml.NVML_ERROR_NOT_SUPPORTED


NAMES = ["gtx1080", "v100", "a100", "l40s", "rtx4090", "h200", "gh200", "b200"]
MEMORY_GIB = [2, 12, 40, 20, 8, 80, 48, 96]


@pytest.mark.parametrize("t", [0.5, 100.125])
@pytest.mark.parametrize("card", range(8))
def test_readings_of_every_generation(play: Play, card: int, t: float) -> None:
    play(GENERATIONS + f"\nfreeze {t}\n")
    h = handle(card)
    gpu = Gpu(PRESETS[NAMES[card]], WAVE, memory_base=MEMORY_GIB[card] << 30)
    preset = gpu.preset
    answers = [
        pynvml.nvmlDeviceGetName(h),
        pynvml.nvmlDeviceGetUtilizationRates(h).gpu,
        pynvml.nvmlDeviceGetPowerUsage(h),
        field(card, 186),
        tuple(pynvml.nvmlDeviceGetPowerManagementLimitConstraints(h)),
        pynvml.nvmlDeviceGetTemperature(h, 0),
        [pynvml.nvmlDeviceGetTemperatureThreshold(h, kind) for kind in (0, 1, 3)],
        [pynvml.nvmlDeviceGetClockInfo(h, kind) for kind in range(4)],
        pynvml.nvmlDeviceGetMemoryInfo(h).total,
        pynvml.nvmlDeviceGetMemoryInfo(h, version=pynvml.nvmlMemory_v2).used,
    ]
    clock = sm_clock_mhz(gpu, t)
    assert answers == [
        preset.name,
        utilization_percent(gpu, t),
        power_usage_milliwatts(gpu, t),
        power_milliwatts(gpu, t),
        (preset.power_min, preset.power_max),
        temperature(gpu, t),
        [preset.temp_shutdown, preset.temp_slowdown, preset.temp_max],
        [clock, clock, memory_clock_mhz(gpu, t), video_clock_mhz(gpu, t)],
        preset.memory_mib * MIB,
        memory_used_bytes(gpu, t),
    ]
    if card in FIELDS[82]:
        assert field(card, 82) == memory_temperature(gpu, t)
    if card in FIELDS[83]:
        assert field(card, 83) == energy_millijoules(gpu, t)
    if card in FIELDS[197]:
        assert field(card, 197) == pcie_bytes(gpu, t, preset.pcie_tx_bytes)
        assert field(card, 198) == pcie_bytes(gpu, t, preset.pcie_rx_bytes)
    if preset.fans > 0:
        assert pynvml.nvmlDeviceGetFanSpeed(h) == fan_percent(gpu, t)


def test_links(play: Play) -> None:
    play(GENERATIONS + "\nat 0s nvlink-down gpu=7 link=2\n")
    assert [field(card, 91) for card in range(8)] == [0, 6, 12, 0, 0, 18, 0, 18]
    assert [field(card, 166) for card in (V100, A100, H200, B200)] == [
        pynvml.NVML_NVLINK_VERSION_2_0,
        pynvml.NVML_NVLINK_VERSION_3_0,
        pynvml.NVML_NVLINK_VERSION_4_0,
        pynvml.NVML_NVLINK_VERSION_5_0,
    ]
    assert [field(B200, number, 2) for number in (164, 165)] == [0, 0]
    assert [field(B200, number, 3) for number in (164, 165)] == [50_000, 1]
    assert result(B200, 165, 18) == pynvml.NVML_ERROR_INVALID_ARGUMENT
    assert result(B200, 206, EVERY_LINK) == pynvml.NVML_ERROR_INVALID_ARGUMENT
    # 15e-255 is what it says when no bit was wrong.
    assert {field(B200, number, 1) for number in (220, 222, 291, 292, 293)} == {15 << 8 | 255}
    assert [field(card, 170) for card in (H200, GH200)] == [0, 10]
    assert [field(GH200, number, 9) for number in (171, 172, 234)] == [1, 44_712, 0]
    assert result(GH200, 171, 10) == pynvml.NVML_ERROR_INVALID_ARGUMENT
    modes = [pynvml.nvmlDeviceGetC2cModeInfoV(handle(card)).isC2cEnabled for card in (H200, GH200)]
    assert modes == [0, 1]
    with pytest.raises(pynvml.NVMLError_NotSupported):
        pynvml.nvmlDeviceGetNvLinkErrorCounter(handle(B200), 0, 0)


def test_counted_errors(play: Play) -> None:
    play(
        """
        freeze 60
        gpus 3
        gpu 1 preset=b200
        gpu 2 preset=gh200
        at 1s counter gpu=0 field=176 count=3
        at 2s every 10s counter gpu=0 field=183 scope=5 count=1
        at 3s counter gpu=0 field=161 scope=2 count=4
        at 4s counter gpu=0 field=161 scope=3 count=5
        at 5s counter gpu=0 field=163 scope=17 count=6
        at 6s counter gpu=0 field=162 count=7
        at 6s counter gpu=0 field=45 count=8
        at 7s counter field=219 scope=1 count=9
        at 8s counter gpu=1,2 field=232 scope=4 count=10
        at 90s counter field=176 count=100
        """
    )
    assert [field(0, number) for number in (173, 175, 176)] == [0, 0, 3]
    assert [field(0, 183, lane) for lane in (4, 5)] == [0, 6]
    assert result(0, 183, 16) == pynvml.NVML_ERROR_INVALID_ARGUMENT
    assert [field(0, 161, link) for link in (2, 3, 4)] == [4, 5, 0]
    assert [field(0, number) for number in (38, 45, 52, 59, 160)] == [6, 8, 9, 7, 0]
    replays = pynvml.NVML_NVLINK_ERROR_DL_REPLAY
    assert pynvml.nvmlDeviceGetNvLinkErrorCounter(handle(0), 3, replays) == 5
    assert [field(1, 219, link) for link in (0, 1)] == [0, 9]
    assert [field(2, 232, link) for link in (3, 4)] == [0, 10]


def test_counted_errors_begin_again(play: Play) -> None:
    play(
        """
        freeze 60
        gpus 1
        at 1s every 10s counter field=177 count=2
        at 30s reset-counters
        """
    )
    assert field(0, 177) == 6


def test_retired_pages(play: Play) -> None:
    play(
        """
        freeze 60
        gpus 2
        gpu 0 preset=v100
        at 1s retire gpu=0 corrected=2 uncorrected=1
        at 2s retire gpu=0 uncorrected=1 pending=1
        """
    )
    assert [field(0, number) for number in (29, 30, 31)] == [2, 2, 1]
    assert len(pynvml.nvmlDeviceGetRetiredPages(handle(0), 0)) == 2
    assert len(pynvml.nvmlDeviceGetRetiredPages_v2(handle(0), 1)) == 2
    assert pynvml.nvmlDeviceGetRetiredPagesPendingStatus(handle(0)) == 1
    for call in (
        lambda h: pynvml.nvmlDeviceGetRetiredPages(h, 0),
        pynvml.nvmlDeviceGetRetiredPagesPendingStatus,
    ):
        with pytest.raises(pynvml.NVMLError_NotSupported):
            call(handle(1))


def test_power_smoothing(play: Play) -> None:
    play("gpus 1 preset=b200")
    assert [field(0, number) for number in (251, 254, 259, 264, 274)] == [1, 1000, 5, 0, 100]
    assert [field(0, 260, profile) for profile in range(5)] == [10, 20, 30, 40, 50]
    assert result(0, 260, 5) == pynvml.NVML_ERROR_INVALID_ARGUMENT


def test_what_old_cards_lack(play: Play) -> None:
    play(GENERATIONS)
    calls: list[tuple[Any, set[int]]] = [
        (pynvml.nvmlDeviceGetTotalEnergyConsumption, ALL - {GTX1080}),
        (pynvml.nvmlDeviceGetJpgUtilization, ALL - {GTX1080, V100}),
        (pynvml.nvmlDeviceGetOfaUtilization, ALL - {GTX1080, V100}),
        (pynvml.nvmlDeviceGetGspFirmwareVersion, ALL - {GTX1080, V100}),
        (pynvml.nvmlDeviceGetRemappedRows, ROWS),
        (pynvml.nvmlDeviceGetRowRemapperHistogram, ROWS),
        (pynvml.nvmlDeviceGetMigMode, {A100, H200, GH200, B200}),
        (pynvml.nvmlDeviceGetMarginTemperature, {L40S, RTX4090, H200, GH200, B200}),
        (pynvml.nvmlDeviceGetC2cModeInfoV, {H200, GH200, B200}),
        (lambda h: pynvml.nvmlDeviceGetTotalEccErrors(h, 0, 0), ROWS | {V100}),
    ]
    for call, cards in calls:
        seen = set()
        for card in ALL:
            try:
                call(handle(card))
            except pynvml.NVMLError as error:
                assert error.value == pynvml.NVML_ERROR_NOT_SUPPORTED
            else:
                seen.add(card)
        assert seen == cards
