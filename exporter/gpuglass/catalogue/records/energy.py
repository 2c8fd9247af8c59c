"""Power, energy, what they cost and what they emit.

Prices are the keeper's gauges; without them there are no series of money, and none of 0.
"""

from gpuglass.catalogue.records.model import (
    GPU,
    INTERVAL,
    OWNERS,
    PLACES,
    Level,
    Record,
    Subject,
    aggregate,
)

_JOULES_PER_KWH = "3.6e6"


def _setting(metric: str) -> str:
    """One of the keeper's gauges, also while the keeper is started again."""
    return f"max(last_over_time({metric}[10m]))"


def _price(metric: str) -> str:
    """A price with its currency: where that was changed, only the new one."""
    return f"""\
topk(1,
  max by (currency) ({metric})
  or on () max by (currency) (last_over_time({metric}[10m]))
)"""


_PUE = f"* on () group_left () {_setting('gpuglass_cost_pue')}"


def _money(level: Level, energy: str, allocated: str) -> tuple[Record, ...]:
    energy_price = f"* on () group_left (currency) {_price('gpuglass_cost_kwh_price')}"
    hour_price = f"* on () group_left (currency) {_price('gpuglass_cost_gpu_hour_price')}"
    carbon = f"* on () group_left () {_setting('gpuglass_cost_kwh_carbon_grams')}"
    return (
        Record(
            *(level, "energy_cost", "increase"),
            "What the energy costs, with that of cooling and supply (PUE)",
            f"{energy} / {_JOULES_PER_KWH}\n{energy_price}\n{_PUE}",
            ("currency",),
        ),
        Record(
            *(level, "gpu_hour_cost", "increase"),
            "What the GPU time that was held costs, by the price of a GPU-hour",
            f"{allocated} / 3600\n{hour_price}",
            ("currency",),
        ),
        Record(
            *(level, "carbon_grams", "increase"),
            "What the energy emits, in grams of CO2 equivalent, with cooling and supply (PUE)",
            f"{energy} / {_JOULES_PER_KWH}\n{carbon}\n{_PUE}",
        ),
    )


def _place(level: Level) -> tuple[Record, ...]:
    power = aggregate("sum", level, "gpu_power_watts")
    now = Record(*(level, "power_watts", "sum", "Power draw of all GPUs now"), power)
    return now, *_used(level, "gpu")


def _owner(level: Level) -> tuple[Record, ...]:
    power = aggregate("sum", level, "rate(gpu_owner_energy_joules_total[5m])")
    mean = Record(*(level, "power_watts", "avg5m", "Power draw, the mean of 5 minutes"), power)
    return mean, *_used(level, "gpu_owner")


def _used(level: Level, of: str) -> tuple[Record, ...]:
    """Energy and what follows from it, of counters whose names begin with ``of``."""
    energy = aggregate("sum", level, f"increase({of}_energy_joules_total[{INTERVAL}])")
    held = aggregate("sum", level, f"increase({of}_allocated_seconds_total[{INTERVAL}])")
    return (
        Record(*(level, "energy_joules", "increase", "Energy used"), energy),
        *_money(level, energy, held),
    )


def _gpu() -> tuple[Record, ...]:
    energy = f"increase(gpu_energy_joules_total[{INTERVAL}])"
    return _money(GPU, energy, f"increase(gpu_allocated_seconds_total[{INTERVAL}])")


SUBJECT = Subject(
    "energy",
    "Power, energy, money and carbon: energy and what follows from it since the sample before.",
    (
        *_gpu(),
        *(record for level in PLACES for record in _place(level)),
        *(record for level in OWNERS for record in _owner(level)),
    ),
)
