"""What the probe tells its parent: one JSON object a line.

A GPU is announced by a ``Device`` frame, which names the columns of its readings once; each
``Reading`` then carries bare values in that order. Times are seconds of CLOCK_MONOTONIC, which
all processes of a machine share.
"""

import re
from typing import NamedTuple

import msgspec


def _kind(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class _Frame(msgspec.Struct, frozen=True, tag_field="kind", tag=_kind):
    """What the frames have in common."""

    @property
    def kind(self) -> str:
        """The frame's name on the line."""
        return _kind(type(self).__name__)


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


class Driver(_Frame, frozen=True):
    """The driver answers, with so many GPUs."""

    driver_version: str
    nvml_version: str
    cuda_version: str
    devices: int


class Device(_Frame, frozen=True):
    """A GPU, what it is, and the columns of its readings by group.

    ``missing`` lists what the card does not give: metric, labels, NVML's reason. ``refused`` has
    the reason of each group of which the card gives nothing.
    """

    uuid: str
    index: int
    info: dict[str, str]
    columns: dict[str, list[Column]]
    missing: list[tuple[str, tuple[str, ...], str]]
    refused: dict[str, str]


class Thread(_Frame, frozen=True):
    """A thread begins to read the GPU at an index; ``ident`` is Python's number of it."""

    gpu: int
    ident: int


class Reading(_Frame, frozen=True):
    """The values of some groups of a GPU's columns; ``None`` where a call failed this time."""

    uuid: str
    time: float
    duration: float
    values: dict[str, list[float | int | None]]


class Process(NamedTuple):
    """A process on a GPU.

    Attributes:
        pid: As the machine numbers it, also where the reader is in a container.
        type: "compute", "graphics", "mps", or several of them joined by "+".
        gpu_instance: The MIG GPU instance that it is on; empty without MIG.
        compute_instance: The MIG compute instance that it is on; empty without MIG.
        instance_uuid: The MIG instance's UUID; empty without MIG.
    """

    pid: int
    type: str
    gpu_instance: str = ""
    compute_instance: str = ""
    instance_uuid: str = ""


PROCESS_VALUES = 5


class Processes(_Frame, frozen=True):
    """Who is on a GPU from now on; ``None`` where the driver does not tell any more.

    The readings that follow hold ``PROCESS_VALUES`` values for each under "processes": bytes of
    device memory, and shares of SM, memory, encoder and decoder (0 to 1).
    """

    uuid: str
    processes: list[Process] | None


class Xid(_Frame, frozen=True):
    """A GPU had an XID so many times, the last time at a Unix time."""

    uuid: str
    xid: int
    count: int
    time: float


class XidSource(_Frame, frozen=True):
    """NVML tells of XIDs from now on; or ``reason`` says why it does not."""

    reason: str


class Down(_Frame, frozen=True):
    """A GPU does not answer any more, or never did: then its ``uuid`` may be empty."""

    uuid: str
    index: int
    reason: str


class Failure(_Frame, frozen=True):
    """NVML cannot be used at all; ``reason`` is NVML's name of the error in lower case."""

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


class Alive(_Frame, frozen=True):
    """The probe runs; ``waiting`` are the calls that are late."""

    waiting: list[Waiting]


Frame = Driver | Device | Thread | Reading | Processes | Xid | XidSource | Down | Failure | Alive
_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Frame] = msgspec.json.Decoder(Frame)


def encode(frame: Frame) -> bytes:
    """One line for the pipe."""
    return _encoder.encode(frame) + b"\n"


def decode(line: bytes) -> Frame:
    """The frame in a line.

    Raises:
        ValueError: The line holds no frame.
    """
    try:
        return _decoder.decode(line)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"not a frame: {line[:80]!r} ({error})") from None
