"""What the SMs, the memory and the links of Hopper and newer cards do, by their own counters."""

import pynvml

from gpuglass.catalogue import activity as metrics
from gpuglass.catalogue.model import Metric
from gpuglass.probe import monitor
from gpuglass.probe.group import Card, Found, Group, column, raise_if_fatal
from gpuglass.probe.monitor import Measure, Monitor, rate
from gpuglass.probe.nvml import PERMANENT, NvmlError

_SM = {
    pynvml.NVML_GPM_METRIC_GRAPHICS_UTIL: metrics.GRAPHICS_ACTIVE,
    pynvml.NVML_GPM_METRIC_SM_UTIL: metrics.SM_ACTIVE,
    pynvml.NVML_GPM_METRIC_SM_OCCUPANCY: metrics.SM_OCCUPANCY,
    pynvml.NVML_GPM_METRIC_DRAM_BW_UTIL: metrics.DRAM_ACTIVE,
}
_PIPES = {
    pynvml.NVML_GPM_METRIC_ANY_TENSOR_UTIL: "tensor",
    pynvml.NVML_GPM_METRIC_DFMA_TENSOR_UTIL: "tensor_dfma",
    pynvml.NVML_GPM_METRIC_HMMA_TENSOR_UTIL: "tensor_hmma",
    pynvml.NVML_GPM_METRIC_DMMA_TENSOR_UTIL: "tensor_dmma",
    pynvml.NVML_GPM_METRIC_IMMA_TENSOR_UTIL: "tensor_imma",
    pynvml.NVML_GPM_METRIC_FP64_UTIL: "fp64",
    pynvml.NVML_GPM_METRIC_FP32_UTIL: "fp32",
    pynvml.NVML_GPM_METRIC_FP16_UTIL: "fp16",
    pynvml.NVML_GPM_METRIC_INTEGER_UTIL: "integer",
}
# Engines of a kind: the metric of the first, and how many there can be.
_ENGINES = {
    "decoder": (pynvml.NVML_GPM_METRIC_NVDEC_0_UTIL, 8),
    "jpeg": (pynvml.NVML_GPM_METRIC_NVJPG_0_UTIL, 8),
    "ofa": (pynvml.NVML_GPM_METRIC_NVOFA_0_UTIL, 2),
    "encoder": (pynvml.NVML_GPM_METRIC_NVENC_0_UTIL, 4),
}
_CACHES = {
    pynvml.NVML_GPM_METRIC_HOSTMEM_CACHE_HIT: "host",
    pynvml.NVML_GPM_METRIC_PEERMEM_CACHE_HIT: "peer",
    pynvml.NVML_GPM_METRIC_DRAM_CACHE_HIT: "device",
}
# What the first drivers with a performance monitor know is below.
_LATER = 98


def _rate(id: int, metric: Metric, direction: str) -> Measure:
    return rate(id, column(metric, direction))


_MEASURES = [
    *(Measure(id, column(metric)) for id, metric in _SM.items()),
    *(Measure(id, column(metrics.PIPE_ACTIVE, pipe)) for id, pipe in _PIPES.items()),
    *(
        Measure(first + number, column(metrics.ENGINE_ACTIVE, engine, str(number)))
        for engine, (first, most) in _ENGINES.items()
        for number in range(most)
    ),
    *(Measure(id, column(metrics.CACHE_HIT, memory)) for id, memory in _CACHES.items()),
    _rate(pynvml.NVML_GPM_METRIC_PCIE_TX_PER_SEC, metrics.PCIE_RATE, "transmit"),
    _rate(pynvml.NVML_GPM_METRIC_PCIE_RX_PER_SEC, metrics.PCIE_RATE, "receive"),
    _rate(pynvml.NVML_GPM_METRIC_C2C_DATA_TX_PER_SEC, metrics.C2C_RATE, "transmit"),
    _rate(pynvml.NVML_GPM_METRIC_C2C_DATA_RX_PER_SEC, metrics.C2C_RATE, "receive"),
    _rate(pynvml.NVML_GPM_METRIC_NVLINK_TOTAL_TX_PER_SEC, metrics.NVLINK_RATE, "transmit"),
    _rate(pynvml.NVML_GPM_METRIC_NVLINK_TOTAL_RX_PER_SEC, metrics.NVLINK_RATE, "receive"),
]


def _measures(card: Card) -> Found:
    if not monitor.supported(card.library, card.device):
        raise NvmlError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    call = Monitor(card.library, _MEASURES, "nvmlGpmSampleGet", card.device)
    try:
        call.learn(_LATER)
    except NvmlError as error:
        raise_if_fatal(error)
        if error.code in PERMANENT:
            raise
    return Found(facts=[(lambda library, device: call,)])


GROUP = Group(discover=_measures)
