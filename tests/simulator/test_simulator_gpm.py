"""The performance monitor of Hopper and newer cards."""

import ctypes
from typing import Any

import pynvml
import pytest
from tests.simulator.model import (
    GPM_SHARES,
    Burst,
    Gpu,
    Wave,
    Window,
    gpm_engine_percent,
    gpm_mib_per_second,
    gpm_percent,
)
from tests.simulator.presets import PRESETS
from tests.simulator.support import Play

SCENARIO = """
    freeze {t}
    gpus 5 preset=h200
    gpu 0 decoder=0.4 jpeg=0.2 ofa=0.1
    gpu 1 preset=b200
    gpu 2 preset=gh200
    gpu 3 preset=l40s
    gpu 4 preset=a100
    load gpu=0 wave min=0.1 max=0.9 period=60
    load gpu=1 burst min=0 max=1 period=10 duty=0.3
    at 20s for 15s every 100s load gpu=0 1.0
"""
GPUS = [
    Gpu(PRESETS["h200"], Wave(0.1, 0.9, 60), overrides=(Window(20, 15, 100, load=1.0),)),
    Gpu(PRESETS["b200"], Burst(0, 1, 10, 0, 0.3)),
    Gpu(PRESETS["gh200"]),
]


def handle(index: int) -> Any:
    return pynvml.nvmlDeviceGetHandleByIndex(index)


def metrics(first: Any, second: Any, *ids: int) -> list[tuple[int, float]]:
    get = pynvml.c_nvmlGpmMetricsGet_t()
    get.version = pynvml.NVML_GPM_METRICS_GET_VERSION
    get.numMetrics = len(ids)
    get.sample1, get.sample2 = first, second
    for i, metric in enumerate(ids):
        get.metrics[i].metricId = metric
    pynvml.nvmlGpmMetricsGet(get)
    return [(get.metrics[i].nvmlReturn, get.metrics[i].value) for i in range(len(ids))]


def sample(gpu: int) -> Any:
    made = pynvml.nvmlGpmSampleAlloc()
    pynvml.nvmlGpmSampleGet(handle(gpu), made)
    return made


def two_samples(play: Play, first: float, second: float, *gpus: int) -> list[tuple[Any, Any]]:
    play(SCENARIO.format(t=first))
    before = [sample(gpu) for gpu in gpus]
    play(SCENARIO.format(t=second))
    return [(old, sample(gpu)) for old, gpu in zip(before, gpus, strict=True)]


def test_which_cards_have_it(play: Play) -> None:
    play(SCENARIO.format(t=0))
    supported = [pynvml.nvmlGpmQueryDeviceSupport(handle(i)).isSupportedDevice for i in range(5)]
    assert supported == [1, 1, 1, 0, 0]
    for gpu in (3, 4):
        with pytest.raises(pynvml.NVMLError_NotSupported):
            sample(gpu)
    assert pynvml.nvmlGpmQueryIfStreamingEnabled(handle(0)) == 0


@pytest.mark.parametrize(("t1", "t2"), [(3.25, 3.375), (12.5, 27.5), (1000.0, 1015.5)])
def test_metrics_are_the_means_of_the_interval(play: Play, t1: float, t2: float) -> None:
    pairs = two_samples(play, t1, t2, 0, 1, 2)
    for gpu, (first, second) in zip(GPUS, pairs, strict=True):
        expected = [(0, gpm_percent(gpu, metric, t1, t2)) for metric in GPM_SHARES]
        assert metrics(first, second, *GPM_SHARES) == expected
        pcie = [gpu.preset.pcie_tx_bytes, gpu.preset.pcie_rx_bytes]
        expected = [(0, gpm_mib_per_second(gpu, rate, t1, t2)) for rate in pcie]
        assert metrics(first, second, 20, 21) == expected
    link = 1024.0 * GPUS[0].preset.nvlink_kib
    assert metrics(*pairs[0], 60, 61, 62, 97) == [
        (0, gpm_mib_per_second(GPUS[0], rate, t1, t2))
        for rate in (link * 18, link * 18, link, link)
    ]
    factors = [0.4, 0.4, 0.2, 0.1]
    assert metrics(*pairs[0], 30, 36, 46, 50) == [
        (0, gpm_engine_percent(GPUS[0], factor, t1, t2)) for factor in factors
    ]


def test_the_rates_are_those_of_the_counters(play: Play) -> None:
    def counters(scope: int = 0xFFFFFFFF) -> list[int]:
        values = pynvml.nvmlDeviceGetFieldValues(handle(0), [197, 198, (138, scope)])
        return [int(value.value.ullVal) for value in values]

    play(SCENARIO.format(t=10))
    first, before = sample(0), counters()
    play(SCENARIO.format(t=30))
    second, after = sample(0), counters()
    rates = [value for _, value in metrics(first, second, 20, 21, 61)]
    scales = [1 << 20, 1 << 20, 1 << 10]
    by_counter = [(b - a) / 20 / scale for a, b, scale in zip(before, after, scales, strict=True)]
    assert rates == pytest.approx(by_counter, rel=1e-6)


def test_what_a_card_lacks_is_told_metric_by_metric(play: Play) -> None:
    h200, gh200 = two_samples(play, 5, 6, 0, 2)
    bad, lacks = pynvml.NVML_ERROR_INVALID_ARGUMENT, pynvml.NVML_ERROR_NOT_SUPPORTED
    asked = [2, 0, 37, 47, 51, 100, 166, 170, 212, 476, 477]
    returns = [result for result, _ in metrics(*h200, *asked)]
    assert returns == [0, bad, lacks, lacks, lacks, lacks, lacks, lacks, lacks, lacks, bad]
    assert metrics(*gh200, 160, 161) == [(0, 90), (0, 10)]
    assert [result for result, _ in metrics(*h200, 160, 162, 164)] == [lacks] * 3
    returns = [result for result, _ in metrics(*gh200, 60, 62, 100, 103, 104, 143, 144)]
    assert returns == [lacks, lacks, 0, 0, 0, 0, lacks]


def test_samples_too_close_have_no_data(play: Play) -> None:
    ((first, second),) = two_samples(play, 5, 5.09, 0)
    assert metrics(first, second, 2) == [(pynvml.NVML_ERROR_NO_DATA, 0.0)]
    ((first, second),) = two_samples(play, 5, 5.1, 0)
    assert [result for result, _ in metrics(first, second, 2)] == [0]


def test_bad_arguments(play: Play) -> None:
    ((one, two), (other, _)) = two_samples(play, 5, 6, 0, 1)
    for first, second in (
        (two, one),
        (one, other),
        (one, pynvml.nvmlGpmSampleAlloc()),
        (one, None),
    ):
        with pytest.raises(pynvml.NVMLError_InvalidArgument):
            metrics(first, second, 2)
    get = pynvml.c_nvmlGpmMetricsGet_t()
    get.version = 2
    get.sample1, get.sample2 = one, two
    with pytest.raises(pynvml.NVMLError_ArgumentVersionMismatch):
        pynvml.nvmlGpmMetricsGet(get)
    assert ctypes.sizeof(get) == 19_104
    pynvml.nvmlGpmSampleFree(one)


def test_names_of_metrics(play: Play) -> None:
    ((first, second),) = two_samples(play, 5, 6, 0)
    get = pynvml.c_nvmlGpmMetricsGet_t()
    get.version, get.numMetrics, get.sample1, get.sample2 = 1, 1, first, second
    get.metrics[0].metricId = pynvml.NVML_GPM_METRIC_SM_UTIL
    pynvml.nvmlGpmMetricsGet(get)
    info = get.metrics[0].metricInfo
    assert (info.shortName, info.unit) == (b"sm_util", b"%")
