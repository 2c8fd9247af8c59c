"""The variables: what the user chooses, and the hidden ones that choose the storage's tier."""

from dataclasses import replace

from grafana.builder.model import NOW, TIER, Variable

CLUSTER = Variable(
    "cluster",
    "Cluster",
    "The label cluster of your targets; All also shows nodes that have none",
    'label_values(up{job="gpu"}, cluster)',
    TIER,
    multi=True,
    sort=5,
)
NODE = Variable(
    "node",
    "Node",
    "Machines, also those that do not answer",
    'label_values(up{job="gpu",$clusters}, node)',
    TIER,
    multi=True,
    sort=5,
)
GPU = Variable(
    "gpu",
    "GPU",
    "The number of the GPU in its machine",
    "label_values(gpu_up{$nodes}, gpu)",
    TIER,
    multi=True,
    sort=3,
)
USER = Variable(
    "user",
    "User",
    "Who held a GPU",
    "label_values(gpu_owner_processes{$nodes}, user)",
    TIER,
    multi=True,
    sort=5,
)
RESOLUTION = Variable(
    "resolution",
    "Resolution",
    "Automatic takes what reaches back far enough and is quick to draw",
    "Automatic : auto, Every sample : raw, Minutes : 1m, Hours : 1h",
)


def single(variable: Variable) -> Variable:
    """A variable of which one value is chosen, never all."""
    return replace(variable, multi=False)


# Where storage is tiered, the keeper rolls up, and tells so. Of now, whatever the time range is.
_DUTY = 'gpuglass_keeper_duty_last_check_timestamp_seconds{duty="rollup 1h"}'
_TIERED = f"last_over_time({_DUTY}[1d] @ now())"


def _chosen(value: str) -> str:
    return f'label_match(label_set(1, "chosen", "${{resolution}}"), "chosen", "{value}")'


def _fits(kept_days: float, span_days: float, looks_back: int) -> str:
    """Whether a tier still has the beginning of the range, and the range is not too long for it."""
    before = f" + {looks_back - 1} * $__range_s" if looks_back > 1 else ""
    age = f"now() - ${{__from:date:seconds}}{before}"
    return f"({age} < {kept_days * 86400:.0f} and $__range_s <= {span_days * 86400:.0f})"


def _source(uid: str, *conditions: str) -> str:
    return f'(label_set(1, "value", "{uid}") if on () ({" or on () ".join(conditions)}))'


def _tier(looks_back: int) -> Variable:
    # All samples are kept for 7 days and minutes for 30 unless somebody chose less. A bit is left
    # for what expires while one looks.
    query = " or on () ".join(
        (
            _source("vm-raw", f"absent({_TIERED})", _chosen("raw")),
            _source("vm-1m", _chosen("1m")),
            _source("vm-1h", _chosen("1h")),
            _source("vm-raw", _fits(6.5, 1, looks_back)),
            _source("vm-1m", _fits(29, 30, looks_back)),
            'label_set(1, "value", "vm-1h")',
        )
    )
    return _hidden("tier", "Data source that fits the time range", query)


def _hidden(name: str, label: str, query: str) -> Variable:
    return Variable(
        name, label, label, f"query_result({query})", NOW, hidden=True, regex='/value="([^"]+)"/'
    )


def _by_tier(name: str, label: str, tiers: str, value: str, otherwise: str = "") -> Variable:
    """A variable that follows from the tier; without a value in others unless one is given."""
    query = f'label_match(label_set(1, "value", "{value}", "tier", "${{tier}}"), "tier", "{tiers}")'
    if otherwise:
        query += f' or on () label_set(1, "value", "{otherwise}")'
    return _hidden(name, label, query)


def hidden(looks_back: int = 1) -> tuple[Variable, ...]:
    """The variables that choose the tier, in the order in which they depend on each other.

    Args:
        looks_back: How many times the time range queries look back from its end.
    """
    return (
        _tier(looks_back),
        _by_tier("min", "Suffix of the lowest values", "vm-1.", ":min"),
        _by_tier("max", "Suffix of the highest values", "vm-1.", ":max"),
        _by_tier("step", "Smallest step of what is recorded", "vm-1h", "1h", otherwise="1m"),
    )
