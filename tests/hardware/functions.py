"""Every function of NVML that only reads: what it answers, and what it costs.

nvidia-ml-py makes the calls; its way to the library is replaced by one that takes the time of each
call of the library alone.
"""

import ctypes
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pynvml
from tests.hardware.job import Card, Job, Json, Steps
from tests.hardware.signatures import STRUCTURES, Layout, calls
from tests.hardware.timing import measure, reason, summary
from tests.hardware.values import plain

from gpuglass.probe.nvml import NvmlError

_PRIVATE = {
    "nvmlDeviceGetSerial": "serial",
    "nvmlDeviceGetUUID": "uuid",
    "nvmlDeviceGetPdi": "id_serial",
    "nvmlDeviceGetHostname_v1": "hostname",
}
# Names of programs, with the folders that they lie in.
_HIDDEN = frozenset({"nvmlSystemGetProcessName"})


class Clocked:
    """Takes the place of nvidia-ml-py's look-up of functions.

    Attributes:
        spent: Nanoseconds of each call since ``clear``, by the function's name.
        codes: The last answer of each function.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._find = pynvml._nvmlGetFunctionPointer
        self.clear()
        pynvml._nvmlGetFunctionPointer = self._pointer

    def clear(self) -> None:
        """Begin anew."""
        self.spent: dict[str, list[int]] = {}
        self.codes: dict[str, int] = {}

    def _pointer(self, symbol: str) -> Callable[..., int]:
        function = self._find(symbol)

        def call(*arguments: Any) -> int:
            self._job.where.enter(symbol)
            begin = time.perf_counter_ns()
            code: int = function(*arguments)
            self.spent.setdefault(symbol, []).append(time.perf_counter_ns() - begin)
            self._job.where.leave()
            self.codes[symbol] = code
            return code

        return call


def steps(job: Job) -> Steps:
    """The functions of the system, and for each model of card those of a GPU."""
    clocked = Clocked(job)
    pynvml.nvmlInit()
    for name, function, arguments in calls(of_device=False):
        yield (
            name,
            partial(_call, job, clocked, function, arguments),
        )
    for card in job.kinds:
        prefix = card.label
        for name, function, arguments in calls(of_device=True):
            given = (card.handle, *arguments)
            yield (
                f"{prefix} {name}",
                partial(_call, job, clocked, function, given),
            )
        for symbol, layouts in STRUCTURES.items():
            for layout in layouts:
                preset = "".join(f", {name}={value}" for name, value in layout.preset)
                yield (
                    f"{prefix} {symbol}({layout.name}{preset})",
                    partial(_fill, job, card, symbol, layout),
                )


def _call(
    job: Job, clocked: Clocked, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> Json:
    clocked.clear()
    found = _answer(clocked, function, arguments)
    end = time.monotonic() + job.pace.budget
    for _ in range(job.pace.calls):
        if time.monotonic() >= end:
            break
        _answer(clocked, function, arguments)
    costs = {symbol: summary(spent) for symbol, spent in clocked.spent.items()}
    return found | {"costs": costs}


def _answer(
    clocked: Clocked, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> dict[str, Json]:
    name = function.__name__
    try:
        value = function(*arguments)
    except pynvml.NVMLError as error:
        # An error may come after others, such as "too little room", which are none.
        return {"error": reason(error.value) or "none, but nvidia-ml-py raised one"}
    except Exception as error:  # nvidia-ml-py's own faults
        codes = {symbol: reason(code) for symbol, code in clocked.codes.items()}
        return {"fault": f"{type(error).__name__}: {error}", "answers": codes}
    if name in _HIDDEN:
        return {"value": "hidden"}
    return {"value": plain(value, _PRIVATE.get(name, ""))}


def _fill(job: Job, card: Card, symbol: str, layout: Layout) -> Json:
    """A function that fills a structure, asked directly."""
    known = getattr(pynvml, layout.name, None)
    if known is None:
        return {"error": "this nvidia-ml-py does not know the structure"}
    buffer = type("Bare", (ctypes.Structure,), {"_fields_": known._fields_})()
    if layout.version:
        buffer.version = layout.version << 24 | ctypes.sizeof(buffer)
    for name, value in layout.preset:
        setattr(buffer, name, value)
    device = () if symbol.startswith("nvmlSystem") else (card.handle,)
    try:
        code, cost = measure(job, symbol, *device, ctypes.byref(buffer))
    except NvmlError as error:
        return {"error": error.reason}
    return {"error": reason(code), "cost": cost} if code else {"value": plain(buffer), "cost": cost}
