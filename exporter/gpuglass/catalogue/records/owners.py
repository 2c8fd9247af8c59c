"""Who held GPUs, for how long, and what for."""

from gpuglass.catalogue.records.model import (
    GPU,
    INTERVAL,
    OWNER,
    OWNERS,
    PLACES,
    Level,
    Record,
    Subject,
    aggregate,
    block,
    indented,
)

_ALLOCATED = f"increase(gpu_allocated_seconds_total[{INTERVAL}])"
_BUSY = f"increase(gpu_busy_seconds_total[{INTERVAL}])"
_OWNER_ALLOCATED = f"increase(gpu_owner_allocated_seconds_total[{INTERVAL}])"
_OWNER_BUSY = f"increase(gpu_owner_busy_seconds_total[{INTERVAL}])"

# As much as a GPU was held longer than it was busy, in the minute.
_IDLE = f"clamp_min(\n  {_ALLOCATED}\n  - {_BUSY},\n  0\n)"
# The same for an owner: as large a part of it as the owner's of the time that the GPU was held.
_OWNER_IDLE = f"""\
{_OWNER_ALLOCATED}
* on (instance, uuid) group_left () (
{indented(_IDLE)}
  / ({_ALLOCATED} > 0)
)"""
_PEAK = Record(
    *(GPU, "utilization_peak_ratio", "max30m"),
    "Highest utilisation of half an hour, bursts between two scrapes included",
    "max_over_time(gpu_utilization_peak_ratio[30m])",
)
# Whoever has held a tenth of the memory for half an hour in which nothing ran. Conservative: a
# server that answers once in a while, a display and a job that only starts are none of it.
_WASTED = f"""\
{_OWNER_ALLOCATED}
and (
  gpu_owner_memory_used_bytes
  > on (instance, uuid) group_left () 0.1 * gpu_memory_total_bytes
)
and gpu_owner_memory_used_bytes offset 30m > 0
and on (instance, uuid) {_PEAK.name} < 0.02"""


def _waste(level: Level, idle: str, wasted: str) -> tuple[Record, Record]:
    return (
        Record(
            *(level, "idle_seconds", "increase"),
            "GPU time that was held while no kernel ran, however short the pause",
            idle,
        ),
        Record(
            *(level, "wasted_seconds", "increase"),
            "GPU time of owners who held a tenth of a GPU's memory for half an hour, "
            "and nothing ran on it",
            wasted,
        ),
    )


def _use(level: Level, busy: str, allocated: str) -> tuple[Record, Record]:
    return (
        Record(*(level, "busy_seconds", "increase", "GPU time in which kernels ran"), busy),
        Record(
            *(level, "allocated_seconds", "increase"),
            "GPU time that processes held; 3600 are a GPU-hour",
            allocated,
        ),
    )


def _gpu() -> tuple[Record, ...]:
    wasted = f"sum without ({', '.join(OWNER)}) {block(_WASTED)}"
    return (_PEAK, *_waste(GPU, _IDLE, wasted))


def _level(level: Level, busy: str, allocated: str, idle: str) -> tuple[Record, ...]:
    return (
        *_use(level, aggregate("sum", level, busy), aggregate("sum", level, allocated)),
        *_waste(level, aggregate("sum", level, idle), aggregate("sum", level, _WASTED)),
    )


SUBJECT = Subject(
    "owners",
    "Who held GPUs and used them, and who held them in vain: time since the sample before.",
    (
        *_gpu(),
        *(r for level in PLACES for r in _level(level, _BUSY, _ALLOCATED, _IDLE)),
        *(r for level in OWNERS for r in _level(level, _OWNER_BUSY, _OWNER_ALLOCATED, _OWNER_IDLE)),
    ),
)
