"""How busy, how full and how held back."""

from gpuglass.catalogue.records.model import (
    CLUSTER,
    GPU,
    OWNERS,
    PLACES,
    Level,
    Record,
    Subject,
    aggregate,
    indented,
)

_BUSY = "rate(gpu_busy_seconds_total[5m])"
_THROTTLED = "rate(gpu_throttle_seconds_total[5m])"
_USED, _TOTAL = "gpu_memory_used_bytes", "gpu_memory_total_bytes"
_HELD = "rate(gpu_owner_allocated_seconds_total[5m])"
# What slows work down and can be done something about. One by one, for a GPU has several reasons
# and several owners, and PromQL joins no many with many.
_REASONS = ("sw_power_cap", "sw_thermal", "hw_thermal", "hw_power_brake", "hw_slowdown")


def _busy(level: Level) -> str:
    busy = aggregate("sum", level, "rate(gpu_owner_busy_seconds_total[5m])")
    held = aggregate("sum", level, _HELD)
    return f"clamp_max(\n{indented(busy)}\n  / {level.on} (\n    {held} > 0\n  ),\n  1\n)"


def _memory(level: Level) -> str:
    held = aggregate("sum", level, "gpu_owner_memory_used_bytes")
    return f"{held}\n/ on (cluster) group_left () {aggregate('sum', CLUSTER, _TOTAL)}"


def _throttled(level: Level) -> str:
    parts = [
        f"{_HELD}\n* on (instance, uuid) group_left (reason)\n"
        f'  rate(gpu_throttle_seconds_total{{reason="{reason}"}}[5m])'
        for reason in _REASONS
    ]
    whole = aggregate("sum", level, "\nor\n".join(parts), "reason")
    held = aggregate("sum", level, _HELD)
    return f"{whole}\n/ {level.on} group_left () (\n{indented(held)} > 0\n)"


def _gpu() -> tuple[Record, ...]:
    return (
        Record(
            *(GPU, "busy_ratio", "avg5m", "Share of 5 minutes in which at least one kernel ran"),
            f"clamp_max({_BUSY}, 1)",
        ),
        Record(
            *(GPU, "memory_used_ratio", "avg5m", "Share of the memory that is allocated"),
            f"avg_over_time({_USED}[5m]) / {_TOTAL}",
        ),
        Record(
            *(GPU, "power_ratio", "avg5m", "Power draw as a share of the limit that is in force"),
            "avg_over_time(gpu_power_watts[5m])\n"
            '/ ignoring (limit) gpu_power_limit_watts{limit="enforced"}',
        ),
        Record(
            *(GPU, "temperature_ratio", "max5m"),
            "Highest temperature of the core, as a share of that at which it slows down",
            'max_over_time(gpu_temperature_celsius{sensor="core"}[5m])\n'
            '/ ignoring (sensor, limit) gpu_temperature_limit_celsius{limit="slowdown"}',
        ),
        Record(
            *(GPU, "throttled_ratio", "avg5m"),
            "Share of 5 minutes in which the reason held the clocks down",
            f"clamp_max({_THROTTLED}, 1)",
            ("reason",),
        ),
    )


def _place(level: Level) -> tuple[Record, ...]:
    used, whole = aggregate("sum", level, _USED), aggregate("sum", level, _TOTAL)
    return (
        Record(
            *(level, "busy_ratio", "avg5m"),
            "Share of 5 minutes in which kernels ran, the mean of its GPUs",
            aggregate("avg", level, f"clamp_max({_BUSY}, 1)"),
        ),
        Record(
            *(level, "memory_used_ratio", "sum", "Share of the memory of all GPUs that is in use"),
            f"{used}\n/ {level.on} {whole}",
        ),
        Record(
            *(level, "throttled_ratio", "avg5m"),
            "Share of 5 minutes in which the reason held clocks down, the mean of its GPUs",
            aggregate("avg", level, f"clamp_max({_THROTTLED}, 1)", "reason"),
            ("reason",),
        ),
    )


def _owner(level: Level) -> tuple[Record, ...]:
    return (
        Record(
            *(level, "busy_ratio", "avg5m"),
            "Busy time of 5 minutes as a share of the GPU time that was held; at most 1",
            _busy(level),
        ),
        Record(
            *(level, "memory_used_ratio", "sum"),
            "Share of the memory of the cluster's GPUs that is held",
            _memory(level),
        ),
        Record(
            *(level, "throttled_ratio", "avg5m"),
            "Share of the GPU time held in 5 minutes in which the reason held the clocks down",
            _throttled(level),
            ("reason",),
        ),
    )


SUBJECT = Subject(
    "utilization",
    "How busy, full and hot GPUs are, and what holds their clocks down.",
    (
        *_gpu(),
        *(record for level in PLACES for record in _place(level)),
        *(record for level in OWNERS for record in _owner(level)),
    ),
)
