"""The parent's view of the GPUs, with nothing around it."""

from gpuglass.owners import OwnerPaths, Resolver
from gpuglass.pipeline.devices import Devices
from gpuglass.pipeline.usage import Usage
from gpuglass.pipeline.xids import Xids


def new_devices(intervals: dict[str, float]) -> Devices:
    """No GPUs yet, and nobody who looks up owners."""
    resolver = Resolver(OwnerPaths())
    return Devices(intervals, Xids(), lambda uuid: Usage(uuid, resolver, 32))
