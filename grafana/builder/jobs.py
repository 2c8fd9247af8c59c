"""gpu-jobs: what users, containers and Slurm jobs held, used and wasted, and what it cost."""

from dataclasses import replace

from grafana.builder import annotations, job_owners, job_trouble, links
from grafana.builder.job_owners import WASTE, WASTED
from grafana.builder.model import TIER, Dashboard, Query, Row, row
from grafana.builder.panels import stat, timeseries
from grafana.builder.style import CALM
from grafana.builder.variables import CLUSTER, RESOLUTION, USER

_NO_PRICE = "no price set"
_PRICES = "Prices are set with GPUGLASS_COST_KWH_PRICE and GPUGLASS_COST_GPU_HOUR_PRICE."
_MOST_CURVES = 12
# Also those who hold nothing now.
_USER = replace(USER, query="label_values(user:allocated_seconds:increase{$clusters}, user)")


def _sum(series: str, factor: str = "") -> str:
    return f"sum(sum_over_time({series}{{$users}}[$__range])){factor}"


def _money(series: str) -> Query:
    expr = f"sum by (currency) (sum_over_time({series}{{$users}}[$__range]))"
    return Query(expr, "{{currency}}")


def _whole() -> Row:
    return row(
        "",
        stat(
            "GPU-hours held",
            "Time for which the chosen users had processes on GPUs within the time range. A GPU "
            "that several share is split by memory.",
            Query(_sum("user:allocated_seconds:increase", " / 3600")),
            unit="short",
            source=TIER,
            steps=CALM,
            decimals=1,
            width=3,
            empty="0",
        ),
        stat(
            "GPU-hours busy",
            "The part of it in which kernels ran.",
            Query(_sum("user:busy_seconds:increase", " / 3600")),
            unit="short",
            source=TIER,
            steps=CALM,
            decimals=1,
            width=3,
            empty="0",
        ),
        stat(
            "GPU-hours wasted",
            WASTED,
            Query(_sum("user:wasted_seconds:increase", " / 3600")),
            unit="short",
            source=TIER,
            steps=((None, "green"), (0.1, "orange")),
            decimals=1,
            width=3,
            empty="0",
        ),
        stat(
            "Wasted of held",
            "Wasted GPU-hours as a share of those that were held.",
            Query(
                f"{_sum('user:wasted_seconds:increase')} / "
                f"({_sum('user:allocated_seconds:increase')} > 0)"
            ),
            unit="percentunit",
            source=TIER,
            steps=WASTE,
            width=3,
            empty="0 %",
        ),
        stat(
            "Energy",
            "What GPUs used while the chosen users held them.",
            Query(_sum("user:energy_joules:increase", " / 3.6e6")),
            unit="kwatth",
            source=TIER,
            steps=CALM,
            decimals=2,
            width=3,
            empty="0 kWh",
        ),
        stat(
            "Cost of energy",
            "At the price of a kilowatt-hour that was in force, with cooling and supply. "
            f"{_PRICES} Who owns GPUs pays this, who rents them the cost of GPU-hours: do not "
            "add them up.",
            _money("user:energy_cost:increase"),
            unit="short",
            source=TIER,
            decimals=2,
            names=True,
            width=3,
            empty=_NO_PRICE,
        ),
        stat(
            "Cost of GPU-hours",
            f"At the price of a GPU-hour that was in force. {_PRICES}",
            _money("user:gpu_hour_cost:increase"),
            unit="short",
            source=TIER,
            decimals=2,
            names=True,
            width=3,
            empty=_NO_PRICE,
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
