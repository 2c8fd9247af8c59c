"""What the parent asks of the probe, on its command line."""

import msgspec


class Request(msgspec.Struct, frozen=True):
    """What to read.

    Attributes:
        intervals: Seconds between two readings of each group of facts that is wanted, the core
            first.
        xids: Whether to wait for the XIDs that NVML tells of.
        each_nvlink: Whether to read each NVLink by itself, not the sum of all.
        skip: Indexes of GPUs that must not be touched: their calls did not return.
        crash: File descriptor of what is to tell, after a crash, which thread it was in; -1 for
            none.
    """

    intervals: dict[str, float]
    xids: bool = False
    each_nvlink: bool = False
    skip: tuple[int, ...] = ()
    crash: int = -1


def encode(request: Request) -> str:
    """One argument of a command line."""
    return msgspec.json.encode(request).decode()


def decode(argument: str) -> Request:
    """What ``encode`` was given.

    Raises:
        ValueError: The argument is not from ``encode``.
    """
    try:
        return msgspec.json.decode(argument, type=Request)
    except msgspec.MsgspecError as error:
        raise ValueError(f"not a request: {argument!r} ({error})") from None
