"""What can be asked of the exporter: its page, and to let go of its GPUs for a while."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from gpuglass.control.server import Handler

LONGEST_SECONDS = 24 * 3600.0


class Commanded(Protocol):
    """What tells of GPUs, and can let go of them."""

    def page(self) -> bytes:
        """What it tells, in Prometheus's text format."""
        ...

    async def release(self, seconds: float) -> tuple[float | None, list[int]]:
        """Let go; until when, and which processes still have them."""
        ...

    def take_back(self) -> bool:
        """Read the GPUs again; whether they were let go."""
        ...


def release(seconds: float) -> dict[str, Any]:
    """The request to let go of the GPUs for so long."""
    return {"command": "release", "seconds": seconds}


def take_back() -> dict[str, Any]:
    """The request to read them again."""
    return {"command": "take-back"}


def metrics() -> dict[str, Any]:
    """The request for the page of metrics, and for the ports at which the network gets it."""
    return {"command": "metrics"}


def handler(exporter: Commanded, ports: Iterable[int]) -> Handler:
    """What answers these requests.

    Args:
        exporter: Does what is asked.
        ports: Where it listens, by which it is told from others on the machine.
    """

    async def handle(request: Mapping[str, Any]) -> dict[str, Any]:
        command = request.get("command")
        if command == "release":
            until, left_behind = await exporter.release(_seconds(request.get("seconds")))
            return {"until": until, "left_behind": left_behind}
        if command == "take-back":
            return {"was_released": exporter.take_back()}
        if command == "metrics":
            return {"metrics": exporter.page().decode(), "ports": [*ports]}
        raise ValueError(f"the command {command!r} is unknown")

    return handle


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("seconds is no number")
    if not 0 < value <= LONGEST_SECONDS:
        raise ValueError(f"seconds is not between 0 and {LONGEST_SECONDS:g}")
    return float(value)
