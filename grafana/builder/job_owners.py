"""gpu-jobs: tables of what was held, used, wasted and paid, by owner."""

from collections.abc import Iterator, Mapping

from grafana.builder import links
from grafana.builder.grids import Column, table
from grafana.builder.model import TIER, Row, row
from grafana.builder.queries import MOST_ROWS
from grafana.builder.style import WARMER, Steps

# Of a share that is better the lower it is.
WASTE: Steps = ((None, "green"), (0.1, "yellow"), (0.3, "red"))
WASTED = (
    "Wasted is only what who held a tenth of a GPU's memory for half an hour in which nothing ran; "
    "idle is all time in which a GPU was held and no kernel ran, however short."
)


def rows() -> Iterator[Row]:
    """From top to bottom."""
    yield _owners(
        "Users",
        "Owners of processes; unattributed is what nobody can be found for.",
        "user",
        {"user": "User", "cluster": "Cluster"},
        "$users",
        "Nobody held a GPU in this time range",
    )
    yield _owners(
        "Slurm jobs",
        "What ran in no job has no row here.",
        "job",
        {"job_id": "Job", "user": "User", "cluster": "Cluster"},
        '$users,job_id!=""',
        "No Slurm job held a GPU in this time range",
    )
    yield _owners(
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
    )


def _columns(level: str, by: str, matchers: str) -> tuple[Column, ...]:
    """What was held, used, wasted and paid by each owner at a level, the largest rows alone."""

    def total(what: str, labels: str = by) -> str:
        series = f"{level}:{what}:increase{{{matchers}}}"
        return f"sum by ({labels}) (sum_over_time({series}[$__range]))"

    largest = f"topk({MOST_ROWS}, {total('allocated_seconds')})"

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
            width=125,
        ),
        Column(
            "Hours cost",
            of_these(total("gpu_hour_cost", f"{by}, currency")),
            unit="short",
            decimals=2,
            width=125,
        ),
        Column("Wasted cost", of_these(wasted_cost), unit="short", decimals=2, width=130),
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
        f"{description} {WASTED} Money is at the prices that were in force, wasted hours at the "
        f"price of now; without a price it is not there. The {MOST_ROWS} with most GPU-hours."
    )
    return row(
        f"{title} of the time range",
        table(
            title,
            about,
            *_columns(level, ", ".join(labels), matchers),
            labels={**labels, "currency": "Currency"},
            links={"User": links.USER_OF_ROW, "Job": links.PROCESSES_OF_ROW},
            sort="Wasted h",
            source=TIER,
            empty=empty,
        ),
    )
