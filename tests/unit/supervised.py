"""A supervisor whose probe is a program of the test: a real process."""

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.unit.devices import new_devices

from gpuglass.catalogue import exporter as metrics
from gpuglass.pipeline.gate import Gate
from gpuglass.pipeline.supervisor import Patience, Supervisor
from gpuglass.probe import frames
from gpuglass.probe.request import Request

LONG = 20.0
DRIVER = frames.encode(frames.Driver("580.1", "13.580.1", "13.0", 0))
ALIVE = frames.encode(frames.Alive([]))
TWO_GPUS = frames.encode(frames.Driver("580.1", "13.580.1", "13.0", 2))
DEAF = """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say(DRIVER)
    sys.stdout.flush()
    while True:
        time.sleep(0.05)
        if os.path.exists(f"{__file__}.{os.getpid()}"):
            os._exit(0)
"""


class Supervised:
    """A supervisor whose probe is a program of the test."""

    def __init__(self, program: Path, deadline: float, patience: Patience) -> None:
        self.devices = new_devices({"core": 0.1})
        self.gate = Gate(self.devices)
        request = Request({"core": 0.1})
        self.supervisor = Supervisor(self.devices, request, deadline, patience, self.gate)
        self.supervisor._command = (sys.executable, str(program))
        self.task = asyncio.create_task(self.supervisor.run())

    def restarts(self, cause: str) -> float:
        return self._values()[metrics.PROBE_RESTARTS, cause]

    def abandoned(self) -> float:
        return self._values()[metrics.PROBE_ABANDONED, ""]

    def _values(self) -> dict[object, float]:
        block = self.supervisor.block()
        keys = [(metric, labels[0] if labels else "") for metric, labels in block.series]
        return {k: v for k, v in zip(keys, block.values, strict=True) if v is not None}

    async def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LONG
        while not condition():
            assert not self.task.done(), self.task.exception()
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


Supervise = Callable[..., Supervised]
