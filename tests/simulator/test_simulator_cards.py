"""What each kind of card answers, and what it says it cannot."""

from collections.abc import Callable
from typing import Any

import pynvml
import pytest
from tests.simulator.support import SCENARIOS, Play

H200, A100, L40S, RTX4090 = range(4)
ALL = {H200, A100, L40S, RTX4090}
DATA_CENTER = {H200, A100, L40S}

MIXED = (SCENARIOS / "mixed-cards.conf").read_text()

Call = Callable[[Any], Any]

# Which of the cards answer a call; the others say NOT_SUPPORTED.
CALLS: list[tuple[str, Call, set[int]]] = [
    ("name", pynvml.nvmlDeviceGetName, ALL),
    ("serial", pynvml.nvmlDeviceGetSerial, DATA_CENTER),
    ("part number", pynvml.nvmlDeviceGetBoardPartNumber, DATA_CENTER),
    ("inforom", pynvml.nvmlDeviceGetInforomImageVersion, DATA_CENTER),
    ("vbios", pynvml.nvmlDeviceGetVbiosVersion, ALL),
    ("gsp", pynvml.nvmlDeviceGetGspFirmwareVersion, ALL),
    ("utilization", pynvml.nvmlDeviceGetUtilizationRates, ALL),
    ("encoder", pynvml.nvmlDeviceGetEncoderUtilization, {L40S, RTX4090}),
    ("encoder stats", pynvml.nvmlDeviceGetEncoderStats, {L40S, RTX4090}),
    ("decoder", pynvml.nvmlDeviceGetDecoderUtilization, ALL),
    ("jpg", pynvml.nvmlDeviceGetJpgUtilization, ALL),
    ("ofa", pynvml.nvmlDeviceGetOfaUtilization, ALL),
    ("memory", pynvml.nvmlDeviceGetMemoryInfo, ALL),
    ("bar1", pynvml.nvmlDeviceGetBAR1MemoryInfo, ALL),
    ("power", pynvml.nvmlDeviceGetPowerUsage, ALL),
    ("energy", pynvml.nvmlDeviceGetTotalEnergyConsumption, ALL),
    ("limits", pynvml.nvmlDeviceGetPowerManagementLimitConstraints, ALL),
    ("temperature", lambda h: pynvml.nvmlDeviceGetTemperature(h, 0), ALL),
    ("temperature v", lambda h: pynvml.nvmlDeviceGetTemperatureV(h, 0), ALL),
    ("margin", pynvml.nvmlDeviceGetMarginTemperature, {H200, L40S, RTX4090}),
    ("threshold shutdown", lambda h: pynvml.nvmlDeviceGetTemperatureThreshold(h, 0), ALL),
    ("threshold memory", lambda h: pynvml.nvmlDeviceGetTemperatureThreshold(h, 2), {H200, A100}),
    ("threshold acoustic", lambda h: pynvml.nvmlDeviceGetTemperatureThreshold(h, 5), set()),
    ("fan", pynvml.nvmlDeviceGetFanSpeed, {RTX4090}),
    ("fan 1", lambda h: pynvml.nvmlDeviceGetFanSpeed_v2(h, 1), {RTX4090}),
    ("fan rpm", pynvml.nvmlDeviceGetFanSpeedRPM, {RTX4090}),
    ("application clock", lambda h: pynvml.nvmlDeviceGetApplicationsClock(h, 0), DATA_CENTER),
    ("ecc mode", pynvml.nvmlDeviceGetEccMode, ALL),
    ("ecc total", lambda h: pynvml.nvmlDeviceGetTotalEccErrors(h, 0, 0), DATA_CENTER),
    ("ecc dram", lambda h: pynvml.nvmlDeviceGetMemoryErrorCounter(h, 0, 0, 2), DATA_CENTER),
    ("ecc l1", lambda h: pynvml.nvmlDeviceGetMemoryErrorCounter(h, 0, 0, 0), set()),
    ("remapped rows", pynvml.nvmlDeviceGetRemappedRows, DATA_CENTER),
    ("remap histogram", pynvml.nvmlDeviceGetRowRemapperHistogram, DATA_CENTER),
    ("retired pages", lambda h: pynvml.nvmlDeviceGetRetiredPages(h, 0), set()),
    ("mig mode", pynvml.nvmlDeviceGetMigMode, {H200, A100}),
    ("nvlink state", lambda h: pynvml.nvmlDeviceGetNvLinkState(h, 0), {H200, A100}),
    ("pcie throughput", lambda h: pynvml.nvmlDeviceGetPcieThroughput(h, 0), ALL),
    ("reasons", pynvml.nvmlDeviceGetCurrentClocksEventReasons, ALL),
    ("compute processes", pynvml.nvmlDeviceGetComputeRunningProcesses, ALL),
    ("driver model", pynvml.nvmlDeviceGetDriverModel, set()),
]

FIELDS: dict[int, set[int]] = {
    3: DATA_CENTER,
    6: DATA_CENTER,
    29: set(),
    74: ALL,
    79: ALL,
    82: {H200, A100},
    83: ALL,
    91: ALL,
    94: ALL,
    138: {H200, A100},
    142: DATA_CENTER,
    145: DATA_CENTER,
    164: {H200, A100},
    169: {H200},
    173: {H200},
    185: {H200, L40S, RTX4090},
    186: ALL,
    187: ALL,
    188: ALL,
    189: ALL,
    190: ALL,
    192: ALL,
    193: {H200, L40S, RTX4090},
    196: {H200, L40S, RTX4090},
    197: ALL,
    198: ALL,
    201: set(),
    230: ALL,
    269: ALL,
    270: ALL,
    271: ALL,
    274: {H200},
}


def handle(index: int) -> Any:
    return pynvml.nvmlDeviceGetHandleByIndex(index)


def test_calls(play: Play) -> None:
    play(MIXED)
    seen: dict[str, set[int]] = {}
    for name, call, _ in CALLS:
        seen[name] = set()
        for card in ALL:
            try:
                call(handle(card))
            except pynvml.NVMLError as error:
                assert error.value == pynvml.NVML_ERROR_NOT_SUPPORTED, name
            else:
                seen[name].add(card)
    assert seen == {name: cards for name, _, cards in CALLS}


def test_fields(play: Play) -> None:
    play(MIXED)
    seen: dict[int, set[int]] = {number: set() for number in FIELDS}
    for card in ALL:
        for value in pynvml.nvmlDeviceGetFieldValues(handle(card), list(FIELDS)):
            assert value.nvmlReturn in (0, pynvml.NVML_ERROR_NOT_SUPPORTED)
            if value.nvmlReturn == 0:
                seen[value.fieldId].add(card)
    assert seen == FIELDS


def test_unknown_fields_are_refused_one_by_one(play: Play) -> None:
    play(MIXED)
    values = pynvml.nvmlDeviceGetFieldValues(handle(H200), [0, 83, 9999, (138, 99), (165, 17)])
    assert [v.nvmlReturn for v in values] == [2, 0, 2, 2, 0]
    assert len({v.timestamp for v in values}) == 1


def test_limits_relative_to_the_highest_temperature_are_signed(play: Play) -> None:
    play(MIXED)
    values = pynvml.nvmlDeviceGetFieldValues(handle(H200), [193, 194, 195, 196])
    assert {v.valueType for v in values} == {pynvml.NVML_VALUE_TYPE_SIGNED_INT}
    assert [v.value.siVal for v in values] == [-8, -2, 0, 0]


@pytest.mark.parametrize(
    ("card", "name", "mib", "watts", "capability", "architecture", "links", "generation"),
    [
        (H200, "NVIDIA H200", 143771, 700, (9, 0), pynvml.NVML_DEVICE_ARCH_HOPPER, 18, 5),
        (A100, "NVIDIA A100-SXM4-80GB", 81920, 400, (8, 0), pynvml.NVML_DEVICE_ARCH_AMPERE, 12, 4),
        (L40S, "NVIDIA L40S", 46068, 350, (8, 9), pynvml.NVML_DEVICE_ARCH_ADA, 0, 4),
        (RTX4090, "NVIDIA GeForce RTX 4090", 24564, 450, (8, 9), pynvml.NVML_DEVICE_ARCH_ADA, 0, 1),
    ],
)
def test_identity(
    play: Play,
    card: int,
    name: str,
    mib: int,
    watts: int,
    capability: tuple[int, int],
    architecture: int,
    links: int,
    generation: int,
) -> None:
    play(MIXED)
    h = handle(card)
    assert pynvml.nvmlDeviceGetName(h) == name
    assert pynvml.nvmlDeviceGetMemoryInfo(h).total == mib << 20
    assert pynvml.nvmlDeviceGetPowerManagementDefaultLimit(h) == watts * 1000
    assert tuple(pynvml.nvmlDeviceGetCudaComputeCapability(h)) == capability
    assert pynvml.nvmlDeviceGetArchitecture(h) == architecture
    assert pynvml.nvmlDeviceGetFieldValues(h, [91])[0].value.uiVal == links
    assert pynvml.nvmlDeviceGetCurrPcieLinkGeneration(h) == generation


def test_handles_by_every_name(play: Play) -> None:
    play(MIXED)
    for index in ALL:
        h = handle(index)
        assert pynvml.nvmlDeviceGetIndex(h) == index
        by_uuid = pynvml.nvmlDeviceGetHandleByUUID(pynvml.nvmlDeviceGetUUID(h))
        assert pynvml.nvmlDeviceGetIndex(by_uuid) == index
        bus_id = pynvml.nvmlDeviceGetPciInfo(h).busId
        for text in (bus_id, bus_id[4:].lower()):
            by_bus = pynvml.nvmlDeviceGetHandleByPciBusId(text)
            assert pynvml.nvmlDeviceGetIndex(by_bus) == index
    by_serial = pynvml.nvmlDeviceGetHandleBySerial(pynvml.nvmlDeviceGetSerial(handle(A100)))
    assert pynvml.nvmlDeviceGetIndex(by_serial) == A100
    assert len({pynvml.nvmlDeviceGetUUID(handle(i)) for i in ALL}) == 4
    with pytest.raises(pynvml.NVMLError_NotFound):
        pynvml.nvmlDeviceGetHandleByUUID("GPU-none")
    with pytest.raises(pynvml.NVMLError_InvalidArgument):
        handle(4)


def test_overrides(play: Play) -> None:
    play(
        """
        driver 535.104.05 cuda=12.2
        gpus 2
        gpu 1 preset=a100 uuid=GPU-abc serial=42 name="My card" pci=0001:3b:00.0 power-limit=250W
        gpu 0 ecc=off persistence=off
        """
    )
    first, second = handle(0), handle(1)
    assert pynvml.nvmlSystemGetDriverVersion() == "535.104.05"
    assert pynvml.nvmlSystemGetNVMLVersion() == "12.535.104.05"
    assert pynvml.nvmlSystemGetCudaDriverVersion() == 12020
    assert pynvml.nvmlSystemGetDriverBranch().branch == "r535_00"
    assert pynvml.nvmlDeviceGetUUID(second) == "GPU-abc"
    assert pynvml.nvmlDeviceGetSerial(second) == "42"
    assert pynvml.nvmlDeviceGetName(second) == "My card"
    assert pynvml.nvmlDeviceGetPciInfo(second).busId == "00000001:3B:00.0"
    assert pynvml.nvmlDeviceGetEnforcedPowerLimit(second) == 250_000
    assert pynvml.nvmlDeviceGetEccMode(first) == [0, 0]
    assert pynvml.nvmlDeviceGetPersistenceMode(first) == 0
    with pytest.raises(pynvml.NVMLError_NotSupported):
        pynvml.nvmlDeviceGetTotalEccErrors(first, 0, 0)


def test_arguments_are_judged_as_by_the_real_library(play: Play) -> None:
    play("gpus 1\nprocess pid=5 gpu=0 memory=1GiB\nprocess pid=6 gpu=0 memory=2GiB")
    h = handle(0)
    library = pynvml.nvmlLib
    assert library.nvmlDeviceGetPowerUsage(h, None) == pynvml.NVML_ERROR_INVALID_ARGUMENT
    assert library.nvmlDeviceGetPowerUsage(None, None) == pynvml.NVML_ERROR_INVALID_ARGUMENT
    with pytest.raises(pynvml.NVMLError_InvalidArgument):
        pynvml.nvmlDeviceGetClockInfo(h, 9)
    memory = pynvml.c_nvmlMemory_v2_t()
    memory.version = 0x03000028
    result = library.nvmlDeviceGetMemoryInfo_v2(h, pynvml.byref(memory))
    assert result == pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH
    text = pynvml.create_string_buffer(4)
    result = library.nvmlDeviceGetName(h, text, pynvml.c_uint(4))
    assert result == pynvml.NVML_ERROR_INSUFFICIENT_SIZE
    count = pynvml.c_uint(1)
    infos = (pynvml.c_nvmlProcessInfo_v3_t * 1)()
    result = library.nvmlDeviceGetComputeRunningProcesses_v3(h, pynvml.byref(count), infos)
    assert (result, count.value) == (pynvml.NVML_ERROR_INSUFFICIENT_SIZE, 2)


def test_nothing_answers_before_init(loaded_library: Any) -> None:
    pynvml._LoadNvmlLibrary()
    with pytest.raises(pynvml.NVMLError_Uninitialized):
        pynvml.nvmlSystemGetDriverVersion()
    with pytest.raises(pynvml.NVMLError_Uninitialized):
        pynvml.nvmlShutdown()
    assert "Uninitialized" in str(pynvml.NVMLError(pynvml.NVML_ERROR_UNINITIALIZED))


def test_processes(play: Play) -> None:
    play(
        """
        start 1763700000
        freeze 100.5
        gpus 2
        load gpu=* constant 0.8
        process pid=11 gpu=0 type=compute memory=10GiB sm=40 mem=12 name=trainer
        process pid=12 gpu=0 type=graphics memory=1GiB
        process pid=13 gpu=0-1 type=mps memory=2GiB
        process pid=14 gpu=0 memory=3GiB from=200s
        process pid=15 gpu=0 memory=4GiB until=100s
        process pid=16 gpu=1 memory=5GiB sm=0
        """
    )
    h = handle(0)

    def listed(processes: list[Any]) -> list[tuple[int, int]]:
        return [(p.pid, p.usedGpuMemory >> 30) for p in processes]

    assert listed(pynvml.nvmlDeviceGetComputeRunningProcesses(h)) == [(11, 10)]
    assert listed(pynvml.nvmlDeviceGetGraphicsRunningProcesses(h)) == [(12, 1)]
    assert listed(pynvml.nvmlDeviceGetMPSComputeRunningProcesses(h)) == [(13, 2)]
    used = pynvml.nvmlDeviceGetMemoryInfo(h, version=pynvml.nvmlMemory_v2).used
    assert used == 13 << 30
    now = 1_763_700_100_000_000
    samples = pynvml.nvmlDeviceGetProcessUtilization(h, now - 1)
    # 12 and 13 share the load of 80 %.
    assert [(s.pid, s.timeStamp, s.smUtil, s.memUtil) for s in samples] == [
        (11, now, 40, 12),
        (12, now, 40, 0),
        (13, now, 40, 0),
    ]
    with pytest.raises(pynvml.NVMLError_NotFound):
        pynvml.nvmlDeviceGetProcessUtilization(h, now)
    assert [s.pid for s in pynvml.nvmlDeviceGetProcessUtilization(handle(1), 0)] == [13]
    assert pynvml.nvmlSystemGetProcessName(11) == "trainer"


def test_the_status_of_sram(play: Play) -> None:
    text = """
        freeze 60
        gpus 3
        root {root}
        gpu 1 preset=rtx4090
        gpu 2 preset=v100
        at 1s ecc gpu=0 corrected=3 uncorrected=5 location=sram
        at 2s ecc gpu=0 corrected=100 location=dram
        at 3s reset-counters gpu=0
        at 4s ecc gpu=0 corrected=1 location=sram
    """
    status = pynvml.c_nvmlEccSramErrorStatus_v1_t()
    play(text.format(root="off"))
    with pytest.raises(pynvml.NVMLError_NoPermission):
        pynvml.nvmlDeviceGetSramEccErrorStatus(handle(0), pynvml.byref(status))
    play(text.format(root="on"))
    pynvml.nvmlDeviceGetSramEccErrorStatus(handle(0), pynvml.byref(status))
    assert (status.aggregateUncSecDed, status.aggregateCor) == (5, 4)
    assert (status.volatileUncSecDed, status.volatileCor) == (0, 1)
    assert status.bThresholdExceeded == 1
    for gpu in (1, 2):
        with pytest.raises(pynvml.NVMLError_NotSupported):
            pynvml.nvmlDeviceGetSramEccErrorStatus(handle(gpu), pynvml.byref(status))


def test_errors_by_place_before_ampere(play: Play) -> None:
    play(
        """
        freeze 60
        gpus 2
        gpu 0 preset=v100
        at 1s ecc gpu=0 corrected=1 uncorrected=2 location=l1
        at 2s ecc gpu=0 corrected=3 uncorrected=4 location=l2
        at 3s ecc gpu=0 corrected=5 uncorrected=6 location=dram
        at 4s ecc gpu=0 corrected=7 uncorrected=8 location=registers
        at 5s ecc gpu=0 uncorrected=9 location=cbu
        at 10s reset-counters
        at 11s ecc gpu=0 corrected=10 location=l2
        """
    )
    h = handle(0)
    count = pynvml.nvmlDeviceGetMemoryErrorCounter
    locations = [
        pynvml.NVML_MEMORY_LOCATION_L1_CACHE,
        pynvml.NVML_MEMORY_LOCATION_L2_CACHE,
        pynvml.NVML_MEMORY_LOCATION_DRAM,
        pynvml.NVML_MEMORY_LOCATION_REGISTER_FILE,
    ]
    assert [count(h, 0, 1, place) for place in locations] == [1, 13, 5, 7]
    assert [count(h, 1, 1, place) for place in [*locations, 6]] == [2, 4, 6, 8, 9]
    assert [count(h, 0, 0, place) for place in locations] == [0, 10, 0, 0]
    for kind, place in ((0, 6), (1, 4), (1, 5), (1, 7)):
        with pytest.raises(pynvml.NVMLError_NotSupported):
            count(h, kind, 1, place)
    assert pynvml.nvmlDeviceGetTotalEccErrors(h, 1, 1) == 29
    values = pynvml.nvmlDeviceGetFieldValues(h, [4, 6, 9, 18, 19, 20, 25, 27, 28])
    lacks = pynvml.NVML_ERROR_NOT_SUPPORTED
    assert [v.nvmlReturn for v in values] == [0, 0, 0, 0, 0, 0, 0, lacks, 0]
    assert [v.value.ullVal for v in values] == [0, 29, 10, 1, 2, 13, 8, 0, 9]
    assert pynvml.nvmlDeviceGetFieldValues(handle(1), [7])[0].nvmlReturn == lacks


def test_repairs(play: Play) -> None:
    text = """
        freeze {t}
        gpus 3
        gpu 1 preset=a100
        gpu 2 preset=v100
        at 5s for 5s repair gpu=0,1 channel=1 memory=1
        at 20s repair gpu=0 tpc=1
    """
    for t, channel, tpc, memory in ((1, 0, 0, 0), (5, 1, 0, 1), (10, 0, 0, 0), (20, 0, 1, 0)):
        play(text.format(t=t))
        assert pynvml.nvmlDeviceGetRepairStatus(handle(0)) == [channel, tpc]
        assert pynvml.nvmlDeviceGetUnrepairableMemoryFlag_v1(handle(0)) == memory
    with pytest.raises(pynvml.NVMLError_NotSupported):
        pynvml.nvmlDeviceGetUnrepairableMemoryFlag_v1(handle(1))
    with pytest.raises(pynvml.NVMLError_NotSupported):
        pynvml.nvmlDeviceGetRepairStatus(handle(2))


def test_the_lie_of_the_gpus(play: Play) -> None:
    play("gpus 8\n")

    def nearest(level: int) -> list[int]:
        found = pynvml.nvmlDeviceGetTopologyNearestGpus(handle(0), level)
        return [pynvml.nvmlDeviceGetIndex(h) for h in found]

    node, system = pynvml.NVML_TOPOLOGY_NODE, pynvml.NVML_TOPOLOGY_SYSTEM
    assert nearest(node) == [1, 2, 3]
    assert nearest(system) == [4, 5, 6, 7]
    assert pynvml.nvmlDeviceGetTopologyCommonAncestor(handle(0), handle(3)) == node
    assert pynvml.nvmlDeviceGetTopologyCommonAncestor(handle(0), handle(4)) == system
    nvlink = pynvml.NVML_P2P_CAPS_INDEX_NVLINK
    assert pynvml.nvmlDeviceGetP2PStatus(handle(0), handle(7), nvlink) == pynvml.NVML_P2P_STATUS_OK
    assert list(pynvml.nvmlDeviceGetCpuAffinity(handle(5), 2)) == [0, 2**64 - 1]


def test_lists_of_clocks_and_states(play: Play) -> None:
    play(MIXED)
    assert pynvml.nvmlDeviceGetSupportedMemoryClocks(handle(RTX4090)) == [10501, 405]
    graphics = pynvml.nvmlDeviceGetSupportedGraphicsClocks(handle(A100), 1593)
    assert graphics == list(range(1410, 209, -15))
    assert pynvml.nvmlDeviceGetSupportedPerformanceStates(handle(RTX4090)) == [2, 8]
    assert pynvml.nvmlDeviceGetPerformanceState(handle(RTX4090)) == 8


def test_the_fabric(play: Play) -> None:
    play(MIXED)
    for info in (pynvml.c_nvmlGpuFabricInfo_v2_t(), pynvml.c_nvmlGpuFabricInfo_v3_t()):
        pynvml.nvmlDeviceGetGpuFabricInfoV(handle(H200), pynvml.byref(info))
        assert (info.state, info.status) == (pynvml.NVML_GPU_FABRIC_STATE_COMPLETED, 0)
        assert info.healthMask & 3 == pynvml.NVML_GPU_FABRIC_HEALTH_MASK_DEGRADED_BW_FALSE
        with pytest.raises(pynvml.NVMLError_NotSupported):
            pynvml.nvmlDeviceGetGpuFabricInfoV(handle(A100), pynvml.byref(info))
    bad = pynvml.c_nvmlGpuFabricInfo_v3_t()
    bad.version = 7
    with pytest.raises(pynvml.NVMLError_ArgumentVersionMismatch):
        pynvml.nvmlDeviceGetGpuFabricInfoV(handle(H200), pynvml.byref(bad))
