"""What the parent asks of the probe, on its command line."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Request:
    """What to read.

    Attributes:
        intervals: Seconds between two readings of each group of facts that is wanted, the core
            first.
        xids: Whether to wait for the XIDs that NVML tells of.
        each_nvlink: Whether to read each NVLink by itself, not the sum of all.
    """

    intervals: dict[str, float]
    xids: bool = False
    each_nvlink: bool = False


def encode(request: Request) -> str:
    """One argument of a command line."""
    return json.dumps(asdict(request))


def decode(argument: str) -> Request:
    """What ``encode`` was given.

    Raises:
        ValueError: The argument is not from ``encode``.
    """
    try:
        return Request(**json.loads(argument))
    except (ValueError, TypeError) as error:
        raise ValueError(f"not a request: {argument!r}") from error
