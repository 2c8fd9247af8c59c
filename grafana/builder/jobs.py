"""gpu-jobs: what users, containers and Slurm jobs held, used and wasted, and what it cost."""

from dataclasses import replace

from grafana.builder import annotations, job_owners, job_trouble, links
from grafana.builder.job_owners import WASTE, WASTED
from grafana.builder.model import TIER, Dashboard, Panel, Query, Row, row
from grafana.builder.panels import stat, timeseries
from grafana.builder.style import CALM, Steps
from grafana.builder.variables import CLUSTER, RESOLUTION, USER

_NO_PRICE = "no price set"
_PRICES = "Prices are set with GPUGLASS_COST_KWH_PRICE and GPUGLASS_COST_GPU_HOUR_PRICE."
_MOST_CURVES = 12
# Also those who hold nothing now.
_USER = replace(USER, query="label_values(user:allocated_seconds:increase{$clusters}, user)")


def _sum(series: str, factor: str = "") -> str:
    return f"sum(sum_over_time({series}{{$users}}[$__range])){factor}"


def _total(
    title: str,
    description: str,
    expr: str,
    unit: str = "short",
    steps: Steps = CALM,
    decimals: int | None = 1,
    empty: str = "0",
) -> Panel:
    """What the chosen users had in the whole time range."""
    return stat(
        *(title, description, Query(expr)),
        unit=unit,
        source=TIER,
        steps=steps,
        decimals=decimals,
        width=3,
        empty=empty,
    )


def _cost(title: str, description: str, series: str) -> Panel:
    """What that cost, in each currency in which there was a price."""
    expr = f"sum by (currency) (sum_over_time({series}{{$users}}[$__range]))"
    return stat(
        *(title, description, Query(expr, "{{currency}}")),
        unit="short",
        source=TIER,
        decimals=2,
        names=True,
        width=3,
        empty=_NO_PRICE,
    )


def _whole() -> Row:
    return row(
        "",
        _total(
            "GPU-hours held",
            "Time for which the chosen users had processes on GPUs within the time range. A GPU "
            "that several share is split by memory.",
            _sum("user:allocated_seconds:increase", " / 3600"),
        ),
        _total(
            "GPU-hours busy",
            "The part of it in which kernels ran.",
            _sum("user:busy_seconds:increase", " / 3600"),
        ),
        _total(
            "GPU-hours wasted",
            WASTED,
            _sum("user:wasted_seconds:increase", " / 3600"),
            steps=((None, "green"), (0.1, "orange")),
        ),
        _total(
            "Wasted of held",
            "Wasted GPU-hours as a share of those that were held.",
            f"{_sum('user:wasted_seconds:increase')} / "
            f"({_sum('user:allocated_seconds:increase')} > 0)",
            unit="percentunit",
            steps=WASTE,
            decimals=None,
            empty="0 %",
        ),
        _total(
            "Energy",
            "What GPUs used while the chosen users held them.",
            _sum("user:energy_joules:increase", " / 3.6e6"),
            unit="kwatth",
            decimals=2,
            empty="0 kWh",
        ),
        _cost(
            "Cost of energy",
            "At the price of a kilowatt-hour that was in force, with cooling and supply. "
            f"{_PRICES} Who owns GPUs pays this, who rents them the cost of GPU-hours: do not "
            "add them up.",
            "user:energy_cost:increase",
        ),
        _cost(
            "Cost of GPU-hours",
            f"At the price of a GPU-hour that was in force. {_PRICES}",
            "user:gpu_hour_cost:increase",
        ),
        stat(
            "Carbon",
            "What the energy emitted, in grams of CO2 equivalent, with cooling and supply. "
            "GPUGLASS_COST_CARBON_GRAMS_PER_KWH sets it.",
            Query(_sum("user:carbon_grams:increase")),
            unit="massg",
            source=TIER,
            width=3,
            empty="not set",
        ),
    )


def _curves(series: str, scale: str = "") -> str:
    """A rate by user, those with most: what came in each step is a sum."""
    inner = f"sum by (user) (rate_over_sum({series}{{$users}}[$__interval])){scale}"
    return f"topk_avg({_MOST_CURVES}, {inner})"


def _over_time() -> Row:
    return row(
        "Over time",
        timeseries(
            "GPUs held by users",
            "How many GPUs each user held; a GPU that several share is split by memory.",
            Query(_curves("user:allocated_seconds:increase"), "{{user}}"),
            unit="short",
            stacked=True,
            width=8,
            empty="Nobody held a GPU",
            links=(links.USER,),
        ),
        timeseries(
            "GPUs wasted by users",
            f"How many GPUs each user held in vain. {WASTED}",
            Query(_curves("user:wasted_seconds:increase"), "{{user}}"),
            unit="short",
            stacked=True,
            width=8,
            empty="Nothing was wasted",
            links=(links.USER,),
        ),
        timeseries(
            "Power by user",
            "Draw of the GPUs that each user held, split where several share one.",
            Query(_curves("user:energy_joules:increase"), "{{user}}"),
            unit="watt",
            stacked=True,
            width=8,
            empty="Nobody held a GPU",
            links=(links.USER,),
        ),
    )


def dashboard() -> Dashboard:
    """What GPUs were held for."""
    return Dashboard(
        uid="gpu-jobs",
        title="GPU jobs and waste",
        description="Who held GPUs, used or wasted them, and what it cost: by user, container and "
        "Slurm job; jobs that lag behind or hang.",
        rows=(
            _whole(),
            _over_time(),
            *job_owners.rows(),
            *job_trouble.rows(),
        ),
        variables=(CLUSTER, _USER, RESOLUTION),
        annotations=(
            annotations.alerts("$clusters", "critical"),
            annotations.restarts("$clusters"),
        ),
        refresh="1m",
        span="now-24h",
    )
