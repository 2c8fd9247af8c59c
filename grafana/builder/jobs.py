"""gpu-jobs: what users, containers and Slurm jobs held, used and wasted, and what it cost."""

from collections.abc import Mapping
from dataclasses import replace

from grafana.builder import links
from grafana.builder.job_trouble import trouble
from grafana.builder.model import TIER, Dashboard, Query, Row, row
from grafana.builder.panels import CALM, WARMER, Column, Steps, stat, table, timeseries
from grafana.builder.queries import MOST_ROWS
from grafana.builder.variables import CLUSTER, RESOLUTION, USER

# Of a share that is better the lower it is.
WASTE: Steps = ((None, "green"), (0.1, "yellow"), (0.3, "red"))
_NO_PRICE = "no price set"
_PRICES = "Prices are set with GPUGLASS_COST_KWH_PRICE and GPUGLASS_COST_GPU_HOUR_PRICE."
_WASTED = (
    "Wasted is only what who held a tenth of a GPU's memory for half an hour in which nothing ran; "
    "idle is all time in which a GPU was held and no kernel ran, however short."
)
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
            f"{_WASTED}",
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
            f"How many GPUs each user held in vain. {_WASTED}",
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


def _columns(level: str, by: str, matchers: str, order: str) -> tuple[Column, ...]:
    """What was held, used, wasted and paid by each owner at a level, the largest rows alone."""

    def total(what: str, labels: str = by) -> str:
        series = f"{level}:{what}:increase{{{matchers}}}"
        return f"sum by ({labels}) (sum_over_time({series}[$__range]))"

    largest = f"topk({MOST_ROWS}, {total(order)})"

    def of_these(value: str) -> str:
        return f"({value}) and on ({by}) {largest}"

    def hours(title: str, what: str) -> Column:
        expr = of_these(f"{total(what)} / 3600")
        return Column(title, expr, unit="short", decimals=2, width=105)

    held = f"({total('allocated_seconds')} > 0)"
    wasted_cost = (
        f"{total('wasted_seconds')} / 3600 * on () group_left () "
        "max(last_over_time(gpuglass_cost_gpu_hour_price[$__range]))"
    )
    return (
        hours("Held h", "allocated_seconds"),
        hours("Busy h", "busy_seconds"),
        hours("Idle h", "idle_seconds"),
        hours("Wasted h", "wasted_seconds"),
        Column(
            "Used",
            of_these(f"clamp_max({total('busy_seconds')} / {held}, 1)"),
            unit="percentunit",
            look="bar",
            steps=WARMER,
            width=130,
        ),
        Column(
            "Wasted",
            of_these(f"{total('wasted_seconds')} / {held}"),
            unit="percentunit",
            steps=WASTE,
            decimals=0,
            width=110,
        ),
        Column(
            "Energy",
            of_these(f"{total('energy_joules')} / 3.6e6"),
            unit="kwatth",
            decimals=2,
            width=110,
        ),
        Column(
            "Energy cost",
            of_these(total("energy_cost", f"{by}, currency")),
            unit="short",
            decimals=2,
            width=100,
        ),
        Column(
            "Hours cost",
            of_these(total("gpu_hour_cost", f"{by}, currency")),
            unit="short",
            decimals=2,
            width=100,
        ),
        Column("Wasted cost", of_these(wasted_cost), unit="short", decimals=2, width=105),
    )


def _owners(
    title: str,
    description: str,
    level: str,
    labels: Mapping[str, str],
    matchers: str,
    empty: str,
) -> Row:
    about = (
        f"{description} {_WASTED} Money is at the prices that were in force, wasted hours at the "
        f"price of now; without a price it is not there. The {MOST_ROWS} with most GPU-hours."
    )
    return row(
        f"{title} of the time range",
        table(
            title,
            about,
            *_columns(level, ", ".join(labels), matchers, "allocated_seconds"),
            labels={**labels, "currency": "Currency"},
            links={"User": links.USER_OF_ROW},
            sort="Wasted h",
            source=TIER,
            empty=empty,
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
            _owners(
                "Users",
                "Owners of processes; unattributed is what nobody can be found for.",
                "user",
                {"user": "User", "cluster": "Cluster"},
                "$users",
                "Nobody held a GPU in this time range",
            ),
            _owners(
                "Slurm jobs",
                "What ran in no job has no row here.",
                "job",
                {"job_id": "Job", "user": "User", "cluster": "Cluster"},
                '$users,job_id!=""',
                "No Slurm job held a GPU in this time range",
            ),
            _owners(
                "Containers and pods",
                "Of all users: a container's series do not say whose it is. What ran in no "
                "container has no row here.",
                "container",
                {
                    "container": "Container",
                    "pod": "Pod",
                    "namespace": "Namespace",
                    "cluster": "Cluster",
                },
                '$clusters,container!=""',
                "No container held a GPU in this time range",
            ),
            *trouble(),
        ),
        variables=(CLUSTER, _USER, RESOLUTION),
        refresh="1m",
        span="now-24h",
    )
