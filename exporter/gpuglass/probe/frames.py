"""What the probe tells its parent: one JSON object a line.

A GPU is announced by a ``Device`` frame, which names the columns of its readings once; each
``Reading`` then carries bare values in that order. Times are seconds of CLOCK_MONOTONIC, which
all processes of a machine share.
"""

import json
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple


class Column(NamedTuple):
    """One value of a reading.

    Attributes:
        metric: Name in the catalogue.
        labels: Label values after ``gpu`` and ``uuid``.
        wraps: For a counter that starts again from 0 when it is full: the value at which it does.
        source: Who counts: the "driver", or the probe itself, which starts from 0, by reading the
            driver's sample "buffers".
    """

    metric: str
    labels: tuple[str, ...] = ()
    wraps: int = 0
    source: str = "driver"


@dataclass(frozen=True)
class Driver:
    """The driver answers, with so many GPUs."""

    kind: ClassVar[str] = "driver"
    driver_version: str
    nvml_version: str
    cuda_version: str
    devices: int


@dataclass(frozen=True)
class Device:
    """A GPU, what it is, and the columns of its readings by group.

    ``missing`` lists what the card does not give: metric, labels, NVML's reason. ``refused`` has
    the reason of each group of which the card gives nothing.
    """

    kind: ClassVar[str] = "device"
    uuid: str
    index: int
    info: dict[str, str]
    columns: dict[str, list[Column]]
    missing: list[tuple[str, tuple[str, ...], str]]
    refused: dict[str, str]


@dataclass(frozen=True)
class Thread:
    """A thread begins to read the GPU at an index; ``ident`` is Python's number of it."""

    kind: ClassVar[str] = "thread"
    gpu: int
    ident: int


@dataclass(frozen=True)
class Reading:
    """The values of some groups of a GPU's columns; ``None`` where a call failed this time."""

    kind: ClassVar[str] = "reading"
    uuid: str
    time: float
    duration: float
    values: dict[str, list[float | None]]


class Process(NamedTuple):
    """A process on a GPU.

    Attributes:
        pid: As the machine numbers it, also where the reader is in a container.
        type: "compute", "graphics", "mps", or several of them joined by "+".
        gpu_instance: The MIG GPU instance that it is on; empty without MIG.
        compute_instance: The MIG compute instance that it is on; empty without MIG.
    """

    pid: int
    type: str
    gpu_instance: str = ""
    compute_instance: str = ""


PROCESS_VALUES = 5


@dataclass(frozen=True)
class Processes:
    """Who is on a GPU from now on; ``None`` where the driver does not tell any more.

    The readings that follow hold ``PROCESS_VALUES`` values for each under "processes": bytes of
    device memory, and shares of SM, memory, encoder and decoder (0 to 1).
    """

    kind: ClassVar[str] = "processes"
    uuid: str
    processes: list[Process] | None


@dataclass(frozen=True)
class Xid:
    """A GPU had an XID so many times, the last time at a Unix time."""

    kind: ClassVar[str] = "xid"
    uuid: str
    xid: int
    count: int
    time: float


@dataclass(frozen=True)
class XidSource:
    """NVML tells of XIDs from now on; or ``reason`` says why it does not."""

    kind: ClassVar[str] = "xid_source"
    reason: str


@dataclass(frozen=True)
class Down:
    """A GPU does not answer any more, or never did: then its ``uuid`` may be empty."""

    kind: ClassVar[str] = "down"
    uuid: str
    index: int
    reason: str


@dataclass(frozen=True)
class Failure:
    """NVML cannot be used at all; ``reason`` is NVML's name of the error in lower case."""

    kind: ClassVar[str] = "failure"
    reason: str
    message: str


class Waiting(NamedTuple):
    """A call that has not returned yet.

    Attributes:
        gpu: Index of the GPU that is asked; negative if it is none.
        call: The function's name.
        seconds: For how long.
    """

    gpu: int
    call: str
    seconds: float


@dataclass(frozen=True)
class Alive:
    """The probe runs; ``waiting`` are the calls that are late."""

    kind: ClassVar[str] = "alive"
    waiting: list[Waiting]


Frame = Driver | Device | Thread | Reading | Processes | Xid | XidSource | Down | Failure | Alive
_KINDS: dict[str, Any] = {
    frame.kind: frame
    for frame in (Driver, Device, Thread, Reading, Processes, Xid, XidSource, Down, Failure, Alive)
}


def encode(frame: Frame) -> bytes:
    """One line for the pipe."""
    return json.dumps({"kind": frame.kind, **vars(frame)}, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Frame:
    """The frame in a line.

    Raises:
        ValueError: The line holds no frame.
    """
    try:
        fields = json.loads(line)
        frame: Frame = _KINDS[fields.pop("kind")](**fields)
        if isinstance(frame, Device):
            for columns in frame.columns.values():
                columns[:] = [
                    Column(metric, tuple(labels), wraps, source)
                    for metric, labels, wraps, source in columns
                ]
            frame.missing[:] = [
                (metric, tuple(labels), why) for metric, labels, why in frame.missing
            ]
        elif isinstance(frame, Processes) and frame.processes:
            frame.processes[:] = [Process(*process) for process in frame.processes]
        elif isinstance(frame, Alive):
            frame.waiting[:] = [Waiting(*call) for call in frame.waiting]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a frame: {line[:80]!r}") from error
    return frame
