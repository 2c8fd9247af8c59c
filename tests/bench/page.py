"""How much a page says."""

import re
from typing import NamedTuple

_FAMILY = re.compile(r"^# TYPE (\S+)", re.MULTILINE)
_OF_FIRST_GPU = re.compile(r'^(\w+)\{[^}]*\b(?:gpu|index)="0"[^}]*\} (\S+)', re.MULTILINE)
# A process or an owner is no fact of a GPU; where a counter comes from is one of the exporter.
_NOT_OF_A_GPU = re.compile(r"(gpu_)?process_|gpu_owner_|gpu_source_info")
_OF_A_PROCESS = re.compile(r'(gpu_)?process_\w+\{.*pid="')


class Page(NamedTuple):
    """A page.

    Attributes:
        plain: Bytes.
        gzip: Bytes when compressed.
        samples: How many.
        families: How many.
        gpu_samples: Samples of one GPU, without NaN, processes and sources of counters.
        gpu_families: Families that these belong to.
        process_samples: Samples of processes on GPUs.
    """

    plain: int
    gzip: int
    samples: int
    families: int
    gpu_samples: int
    gpu_families: int
    process_samples: int


def weigh(plain: bytes, compressed: bytes) -> Page:
    """Count what is on a page."""
    text = plain.decode()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    of_gpu = [
        name
        for name, value in _OF_FIRST_GPU.findall(text)
        if value != "NaN" and not _NOT_OF_A_GPU.match(name)
    ]
    return Page(
        len(plain),
        len(compressed),
        len(lines),
        len(_FAMILY.findall(text)),
        len(of_gpu),
        len(set(of_gpu)),
        sum(1 for line in lines if _OF_A_PROCESS.match(line)),
    )
