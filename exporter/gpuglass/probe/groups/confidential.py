"""Confidential computing: its mode, and the memory that it protects."""

import ctypes

import pynvml

from gpuglass.catalogue import confidential as metrics
from gpuglass.probe import calls
from gpuglass.probe.calls import Call
from gpuglass.probe.group import Card, Fact, Found, Group, column
from gpuglass.probe.nvml import Handle, Library

_KIB = 1024


def _state(library: Library, device: Handle) -> Call:
    state = pynvml.c_nvmlConfComputeSystemState_t()
    symbol = "nvmlSystemGetConfComputeState"
    return Call(
        symbol,
        library.function(symbol),
        (ctypes.byref(state),),
        (column(metrics.MODE), column(metrics.DEVTOOLS_MODE)),
        lambda: [state.ccFeature, state.devToolsMode],
    )


def _ready(library: Library, device: Handle) -> Call:
    ready = ctypes.c_uint()
    symbol = "nvmlSystemGetConfComputeGpusReadyState"
    return Call(
        symbol,
        library.function(symbol),
        (ctypes.byref(ready),),
        (column(metrics.READY),),
        lambda: [ready.value],
    )


def _facts(card: Card) -> Found:
    """The mode is the node's: it is told for cards that could take part."""
    sizes = pynvml.c_nvmlConfComputeMemSizeInfo_t()
    symbol = "nvmlDeviceGetConfComputeMemSizeInfo"
    card.library.call(symbol, card.device, ctypes.byref(sizes))
    facts: list[Fact] = [
        (_state,),
        (
            calls.structure(
                "nvmlDeviceGetConfComputeProtectedMemoryUsage",
                pynvml.c_nvmlMemory_t,
                {
                    "total": column(metrics.PROTECTED_TOTAL),
                    "used": column(metrics.PROTECTED_USED),
                    "free": column(metrics.PROTECTED_FREE),
                },
            ),
            calls.structure(
                symbol,
                pynvml.c_nvmlConfComputeMemSizeInfo_t,
                {"protectedMemSizeKib": column(metrics.PROTECTED_TOTAL)},
                multiply=_KIB,
            ),
        ),
        (
            calls.structure(
                symbol,
                pynvml.c_nvmlConfComputeMemSizeInfo_t,
                {"unprotectedMemSizeKib": column(metrics.UNPROTECTED_TOTAL)},
                multiply=_KIB,
            ),
        ),
    ]
    # Whether the GPUs are ready means something only where the mode, which stays, is on.
    if _state(card.library, card.device).read()[0]:
        facts.append((_ready,))
    return Found(facts=facts)


GROUP = Group(discover=_facts)
