"""How a GPU takes part in the fabric of NVSwitches."""

import ctypes
import uuid
from typing import Any

import pynvml

from gpuglass.catalogue import links as metrics
from gpuglass.probe import calls
from gpuglass.probe.calls import Values
from gpuglass.probe.group import Card, Found, Group, column, raise_if_fatal
from gpuglass.probe.nvml import PERMANENT, NvmlError

# Where each trouble's two bits are: 1 says that it is there, 2 that it is not.
_TROUBLES = {
    "degraded_bandwidth": pynvml.NVML_GPU_FABRIC_HEALTH_MASK_SHIFT_DEGRADED_BW,
    "route_recovery": pynvml.NVML_GPU_FABRIC_HEALTH_MASK_SHIFT_ROUTE_RECOVERY,
    "route_unhealthy": pynvml.NVML_GPU_FABRIC_HEALTH_MASK_SHIFT_ROUTE_UNHEALTHY,
    "access_timeout": pynvml.NVML_GPU_FABRIC_HEALTH_MASK_SHIFT_ACCESS_TIMEOUT_RECOVERY,
}
_MISCONFIGURATION = pynvml.NVML_GPU_FABRIC_HEALTH_MASK_SHIFT_INCORRECT_CONFIGURATION
_PARTITION = pynvml.NVML_GPU_FABRIC_HEALTH_MASK_SHIFT_PARTITION_ASSIGNED
_MANAGER = pynvml.NVML_GPU_FABRIC_HEALTH_MASK_SHIFT_GFM_STATE
_STATE = [column(metrics.FABRIC_STATE), column(metrics.FABRIC_STATUS)]
_HEALTH = [
    *(column(metrics.FABRIC_TROUBLE, trouble) for trouble in _TROUBLES),
    column(metrics.FABRIC_MISCONFIGURATION),
    column(metrics.FABRIC_PARTITION),
    column(metrics.FABRIC_MANAGER),
    column(metrics.FABRIC_HEALTHY),
]
# The same function with structures of two versions, and one without a version before it.
_WAYS: list[tuple[str, Any, dict[str, int]]] = [
    (
        "nvmlDeviceGetGpuFabricInfoV",
        pynvml.c_nvmlGpuFabricInfo_v3_t,
        {"version": pynvml.nvmlGpuFabricInfo_v3},
    ),
    (
        "nvmlDeviceGetGpuFabricInfoV",
        pynvml.c_nvmlGpuFabricInfo_v2_t,
        {"version": pynvml.nvmlGpuFabricInfo_v2},
    ),
    ("nvmlDeviceGetGpuFabricInfo", pynvml.c_nvmlGpuFabricInfo_t, {}),
]


def _state(info: Any) -> list[float | None]:
    if info.state == pynvml.NVML_GPU_FABRIC_STATE_NOT_SUPPORTED:
        return [None, None]
    completed = info.state == pynvml.NVML_GPU_FABRIC_STATE_COMPLETED
    return [info.state, info.status if completed else None]


def _truth(mask: int, shift: int) -> int | None:
    return {1: 1, 2: 0}.get(mask >> shift & 3)


def _everything(info: Any) -> Values:
    mask = info.healthMask
    troubles = [_truth(mask, shift) for shift in _TROUBLES.values()]
    # From 1, which is for nothing wrong; 0 is for not known.
    wrong = (mask >> _MISCONFIGURATION & 0xF) - 1
    misconfiguration = None if wrong < 0 else wrong
    known = [trouble for trouble in (*troubles, misconfiguration) if trouble is not None]
    healthy = None if not known else int(not any(known))
    summary = getattr(info, "healthSummary", pynvml.NVML_GPU_FABRIC_HEALTH_SUMMARY_NOT_SUPPORTED)
    if summary != pynvml.NVML_GPU_FABRIC_HEALTH_SUMMARY_NOT_SUPPORTED:
        healthy = int(summary == pynvml.NVML_GPU_FABRIC_HEALTH_SUMMARY_HEALTHY)
    return [
        *_state(info),
        *troubles,
        misconfiguration,
        _truth(mask, _PARTITION),
        _truth(mask, _MANAGER),
        healthy,
    ]


def _membership(card: Card) -> tuple[str, str] | None:
    """Cluster and clique, once the GPU has joined; ``None`` before.

    Raises:
        NvmlError: The card has no fabric.
    """
    failure = NvmlError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    for symbol, layout, preset in _WAYS:
        info = calls.plain(layout)(**preset)
        try:
            card.library.call(symbol, card.device, ctypes.byref(info))
        except NvmlError as error:
            raise_if_fatal(error)
            failure = error
            if error.code in PERMANENT:
                continue
            raise
        if info.state != pynvml.NVML_GPU_FABRIC_STATE_COMPLETED:
            return None
        cluster = bytes(bytearray(info.clusterUuid))
        return str(uuid.UUID(bytes=cluster)) if any(cluster) else "", str(info.cliqueId)
    raise failure


def _info(card: Card) -> Found:
    membership = _membership(card)

    def outdated() -> bool:
        try:
            return _membership(card) != membership
        except NvmlError as error:
            raise_if_fatal(error)
            return False

    if membership is None:
        return Found(outdated=outdated)
    fact = calls.constant({column(metrics.FABRIC_INFO, *membership): 1})
    return Found(facts=[(fact,)], outdated=outdated)


GROUP = Group(
    facts=[
        (
            *(
                calls.decoded(symbol, layout, [*_STATE, *_HEALTH], _everything, **preset)
                for symbol, layout, preset in _WAYS[:2]
            ),
            calls.decoded(*_WAYS[2][:2], _STATE, _state),
        )
    ],
    discover=_info,
)
