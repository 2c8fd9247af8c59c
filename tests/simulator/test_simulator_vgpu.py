"""vGPUs on the host of virtual machines."""

import ctypes
from typing import Any

import pynvml
import pytest
from tests.simulator.model import Gpu, Wave, load, percent
from tests.simulator.presets import PRESETS
from tests.simulator.support import Play

SCENARIO = """
    start 1763700000
    freeze {t}
    gpus 3 preset=l40s
    gpu 0 encoder=0.4 decoder=0.2
    load gpu=* wave min=0.1 max=0.9 period=60
    vgpu gpu=0 type="NVIDIA L40S-12Q" size=12GiB memory=5GiB share=0.25 vm=desk driver=550.1
    vgpu gpu=0 type="NVIDIA L40S-24C" size=24GiB memory=7GiB share=0.5 licensed=off until=50s
    vgpu gpu=1 type="NVIDIA L40S-12Q" size=12GiB from=40s
"""


def handle(index: int) -> Any:
    return pynvml.nvmlDeviceGetHandleByIndex(index)


def text(answer: str | bytes) -> str:
    """The wrappers of pynvml decode some texts and not others."""
    return answer if isinstance(answer, str) else answer.decode()


def test_which_run(play: Play) -> None:
    for t, running in ((0, [[1, 2], []]), (40, [[1, 2], [3]]), (50, [[1], [3]])):
        play(SCENARIO.format(t=t))
        assert [pynvml.nvmlDeviceGetActiveVgpus(handle(i)) for i in range(2)] == running
    with pytest.raises(pynvml.NVMLError_NotFound):
        pynvml.nvmlVgpuInstanceGetType(2)
    for call in (pynvml.nvmlDeviceGetActiveVgpus, pynvml.nvmlDeviceGetHostVgpuMode):
        with pytest.raises(pynvml.NVMLError_NotSupported):
            call(handle(2))
    modes = [pynvml.nvmlDeviceGetVirtualizationMode(handle(i)) for i in range(3)]
    assert modes == [3, 3, 0]
    assert pynvml.nvmlDeviceGetHostVgpuMode(handle(0)) == pynvml.NVML_HOST_VGPU_MODE_SRIOV


def test_what_they_are(play: Play) -> None:
    play(SCENARIO.format(t=40))
    assert [pynvml.nvmlVgpuInstanceGetVmID(i) for i in (1, 2)] == [(b"desk", 0), (b"vm-2", 0)]
    assert len({pynvml.nvmlVgpuInstanceGetUUID(i) for i in (1, 2, 3)}) == 3
    assert text(pynvml.nvmlVgpuInstanceGetVmDriverVersion(1)) == "550.1"
    assert [pynvml.nvmlVgpuInstanceGetLicenseStatus(i) for i in (1, 2)] == [1, 0]
    types = [pynvml.nvmlVgpuInstanceGetType(i) for i in (1, 2, 3)]
    assert types == [1, 2, 1]
    assert text(pynvml.nvmlVgpuTypeGetName(2)) == "NVIDIA L40S-24C"
    assert [text(pynvml.nvmlVgpuTypeGetClass(i)) for i in (1, 2)] == ["Quadro", "Compute"]
    assert pynvml.nvmlVgpuTypeGetFramebufferSize(2) == 24 << 30
    # The wrapper of pynvml has room for 32 bits only.
    used = ctypes.c_ulonglong()
    assert pynvml.nvmlLib.nvmlVgpuInstanceGetFbUsage(1, ctypes.byref(used)) == 0
    assert used.value == 5 << 30


@pytest.mark.parametrize("t", [7.5, 33.3])
def test_their_utilisation(play: Play, t: float) -> None:
    play(SCENARIO.format(t=t))
    u = load(Gpu(PRESETS["l40s"], Wave(0.1, 0.9, 60)), t)
    samples = pynvml.nvmlDeviceGetVgpuUtilization(handle(0), 0)
    assert [
        (s.vgpuInstance, s.smUtil.uiVal, s.memUtil.uiVal, s.encUtil.uiVal, s.decUtil.uiVal)
        for s in samples
    ] == [
        (number, *(percent(factor * (share * u)) for factor in (1, 0.6, 0.4, 0.2)))
        for number, share in ((1, 0.25), (2, 0.5))
    ]
    assert {s.timeStamp for s in samples} == {1_763_700_000_000_000 + round(t * 1e6)}
    assert pynvml.nvmlDeviceGetVgpuUtilization(handle(0), samples[0].timeStamp) == []


def test_how_they_take_turns(play: Play) -> None:
    play(
        """
        gpus 2 preset=l40s
        gpu 0 virtualization=host_vgpu vgpu-scheduler=fixed_share vgpu-arr=on
        """
    )
    state = pynvml.nvmlDeviceGetVgpuSchedulerState(handle(0))
    assert (state.schedulerPolicy, state.arrMode) == (3, pynvml.NVML_VGPU_SCHEDULER_ARR_ENABLE)
    newer = pynvml.c_nvmlVgpuSchedulerStateInfo_v2_t()
    newer.engineId = pynvml.NVML_VGPU_SCHEDULER_ENGINE_TYPE_GRAPHICS
    call = pynvml.nvmlLib.nvmlDeviceGetVgpuSchedulerState_v2
    assert call(handle(0), ctypes.byref(newer)) == 0
    assert (newer.schedulerPolicy, newer.timeslice) == (3, 2_000_000)
    assert call(handle(1), ctypes.byref(newer)) == pynvml.NVML_ERROR_NOT_SUPPORTED
    newer.engineId = 0
    assert call(handle(0), ctypes.byref(newer)) == pynvml.NVML_ERROR_INVALID_ARGUMENT


def test_the_licence_of_a_guest(play: Play) -> None:
    play("gpus 3 preset=l40s\ngpu 0,1 virtualization=vgpu\ngpu 1 licensed=on\n")
    seen = [pynvml.nvmlDeviceGetGridLicensableFeatures(handle(gpu)) for gpu in range(3)]
    assert [features.isGridLicenseSupported for features in seen] == [1, 1, 0]
    states = [
        [(feature.featureCode, feature.featureState) for feature in list_of(features)]
        for features in seen
    ]
    assert states == [[(1, 0)], [(1, 1)], []]


def list_of(features: Any) -> list[Any]:
    return list(features.gridLicensableFeatures[: features.licensableFeaturesCount])
