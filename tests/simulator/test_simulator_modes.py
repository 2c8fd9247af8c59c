"""Modes that are set, sessions of video, confidential computing, and places in a rack."""

import ctypes
from typing import Any

import pynvml
import pytest
from tests.simulator.support import Play


def handle(index: int) -> Any:
    return pynvml.nvmlDeviceGetHandleByIndex(index)


def test_modes(play: Play) -> None:
    play(
        """
        gpus 2
        gpu 1 compute-mode=exclusive_process virtualization=passthrough display=on accounting=on
        gpu 1 ecc-pending=off persistence=off
        """
    )
    calls = [
        (pynvml.nvmlDeviceGetComputeMode, [0, pynvml.NVML_COMPUTEMODE_EXCLUSIVE_PROCESS]),
        (pynvml.nvmlDeviceGetVirtualizationMode, [0, 1]),
        (pynvml.nvmlDeviceGetDisplayActive, [0, 1]),
        (pynvml.nvmlDeviceGetDisplayMode, [0, 1]),
        (pynvml.nvmlDeviceGetAccountingMode, [0, 1]),
        (pynvml.nvmlDeviceGetPersistenceMode, [1, 0]),
        (pynvml.nvmlDeviceGetEccMode, [[1, 1], [1, 0]]),
    ]
    for call, expected in calls:
        assert [call(handle(i)) for i in range(2)] == expected
    values = pynvml.nvmlDeviceGetFieldValues(handle(1), [1, 2])
    assert [value.value.uiVal for value in values] == [1, 0]


def test_addressing_modes(play: Play) -> None:
    play("gpus 2\ngpu 1 preset=gh200\n")
    modes = [pynvml.nvmlDeviceGetAddressingMode(handle(i)) for i in range(2)]
    assert modes == [pynvml.NVML_DEVICE_ADDRESSING_MODE_HMM, pynvml.NVML_DEVICE_ADDRESSING_MODE_ATS]


def test_sessions(play: Play) -> None:
    play(
        """
        freeze 5
        gpus 3 preset=l40s
        gpu 0 encoder=0.5 captures=2
        gpu 2 preset=h200
        load gpu=* constant 0.5
        process pid=7 gpu=0 enc=20
        """
    )
    assert pynvml.nvmlDeviceGetEncoderStats(handle(0)) == (1, 60, 4000)
    (session,) = pynvml.nvmlDeviceGetEncoderSessions(handle(0))
    assert (session.pid, session.averageFps, session.encodeLatency) == (7, 60, 4000)
    assert (session.hResolution, session.vResolution) == (1920, 1080)
    stats = pynvml.nvmlDeviceGetFBCStats(handle(0))
    assert (stats.sessionsCount, stats.averageFPS, stats.averageLatency) == (2, 30, 5000)
    assert [s.sessionId for s in pynvml.nvmlDeviceGetFBCSessions(handle(0))] == [1, 2]
    assert pynvml.nvmlDeviceGetEncoderStats(handle(1)) == (0, 0, 0)
    assert pynvml.nvmlDeviceGetEncoderSessions(handle(1)) == []
    assert pynvml.nvmlDeviceGetFBCSessions(handle(1)) == []
    with pytest.raises(pynvml.NVMLError_NotSupported):
        pynvml.nvmlDeviceGetEncoderSessions(handle(2))


@pytest.mark.parametrize("on", [False, True])
def test_confidential_computing(play: Play, on: bool) -> None:
    text = "gpus 2\ngpu 0 memory-base=3GiB\ngpu 1 preset=a100\n"
    play(text + ("confidential on" if on else ""))
    state = pynvml.nvmlSystemGetConfComputeState()
    assert (state.environment, state.ccFeature, state.devToolsMode) == (2 * on, on, 0)
    assert pynvml.nvmlSystemGetConfComputeCapabilities().gpusCaps == on
    assert pynvml.nvmlSystemGetConfComputeGpusReadyState() == 1
    settings = pynvml.c_nvmlSystemConfComputeSettings_v1_t()
    assert pynvml.nvmlSystemGetConfComputeSettings(ctypes.byref(settings)) == 0
    assert (settings.ccFeature, settings.multiGpuMode) == (on, 0)
    whole, usable = 143_771, 143_771 - 618
    sizes = pynvml.nvmlDeviceGetConfComputeMemSizeInfo(handle(0))
    assert sizes.protectedMemSizeKib == on * usable * 1024
    assert sizes.unprotectedMemSizeKib == (not on) * whole * 1024
    used = pynvml.nvmlDeviceGetConfComputeProtectedMemoryUsage(handle(0))
    assert (used.total, used.used) == (on * usable << 20, on * 3 << 30)
    with pytest.raises(pynvml.NVMLError_NotSupported):
        pynvml.nvmlDeviceGetConfComputeMemSizeInfo(handle(1))


def test_places_in_a_rack(play: Play) -> None:
    play("gpus 10 preset=b200\ngpu 8 preset=h200\ngpu 9 preset=a100\n")
    for info in (pynvml.c_nvmlPlatformInfo_v1_t(), pynvml.c_nvmlPlatformInfo_v2_t()):
        pynvml.nvmlDeviceGetPlatformInfo(handle(2), ctypes.byref(info))
        raw = bytes(info)
        assert len(raw) == 44
        assert raw[20:33] == b"1821124500123"
        assert list(raw[36:41]) == [7, 3, 1, 1, 3]
        with pytest.raises(UnicodeDecodeError):
            raw[4:20].decode()
        # On its own baseboard, in no rack.
        pynvml.nvmlDeviceGetPlatformInfo(handle(8), ctypes.byref(info))
        assert list(bytes(info)[4:41]) == [*[0] * 34, 1, 0, 1]
        with pytest.raises(pynvml.NVMLError_NotSupported):
            pynvml.nvmlDeviceGetPlatformInfo(handle(9), ctypes.byref(info))
    bad = pynvml.c_nvmlPlatformInfo_v2_t()
    bad.version = 7
    with pytest.raises(pynvml.NVMLError_ArgumentVersionMismatch):
        pynvml.nvmlDeviceGetPlatformInfo(handle(2), ctypes.byref(bad))


def test_troubles_of_the_fabric(play: Play) -> None:
    play(
        """
        freeze 5
        gpus 4
        at 1s fabric gpu=1 health=degraded_bandwidth
        at 1s fabric gpu=2 state=in_progress
        at 1s fabric gpu=3 health=access_timeout code=timeout
        """
    )
    seen = []
    for gpu in range(4):
        info = pynvml.c_nvmlGpuFabricInfo_v3_t()
        pynvml.nvmlDeviceGetGpuFabricInfoV(handle(gpu), ctypes.byref(info))
        troubles = [info.healthMask >> shift & 3 for shift in (0, 2, 4, 6)]
        seen.append((info.state, info.status, troubles, info.healthSummary))
    assert seen == [
        (3, 0, [2, 2, 2, 2], pynvml.NVML_GPU_FABRIC_HEALTH_SUMMARY_HEALTHY),
        (3, 0, [1, 2, 2, 2], pynvml.NVML_GPU_FABRIC_HEALTH_SUMMARY_UNHEALTHY),
        (2, 0, [2, 2, 2, 2], pynvml.NVML_GPU_FABRIC_HEALTH_SUMMARY_HEALTHY),
        (3, 10, [2, 2, 2, 1], pynvml.NVML_GPU_FABRIC_HEALTH_SUMMARY_UNHEALTHY),
    ]


def test_newer_states_of_the_fabric(play: Play) -> None:
    play(
        """
        freeze 5
        gpus 3 preset=b200
        at 1s fabric gpu=1 misconfiguration=no_partition partition=off
        at 1s fabric gpu=2 health=route_recovery manager=off
        """
    )
    seen = []
    for gpu in range(3):
        info = pynvml.c_nvmlGpuFabricInfo_v3_t()
        pynvml.nvmlDeviceGetGpuFabricInfoV(handle(gpu), ctypes.byref(info))
        mask = info.healthMask
        seen.append((mask >> 8 & 0xF, mask >> 12 & 3, mask >> 14 & 3, info.healthSummary))
    assert seen == [(1, 1, 1, 1), (4, 2, 1, 2), (1, 1, 2, 2)]


def test_encrypted_memory(play: Play) -> None:
    play(
        """
        gpus 3 preset=b200
        gpu 1 encryption=on encryption-pending=off
        gpu 2 preset=h200
        """
    )
    modes = [pynvml.nvmlDeviceGetDramEncryptionMode(handle(gpu)) for gpu in range(2)]
    assert [list(pair) for pair in modes] == [[0, 0], [1, 0]]
    with pytest.raises(pynvml.NVMLError_NotSupported):
        pynvml.nvmlDeviceGetDramEncryptionMode(handle(2))
