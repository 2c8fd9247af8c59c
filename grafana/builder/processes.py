"""gpu-processes: who holds what, since when, and who did."""

from grafana.builder import annotations, links
from grafana.builder.grids import Column, table
from grafana.builder.model import TIER, Dashboard, Query, Row, row
from grafana.builder.panels import stat, timeseries
from grafana.builder.queries import (
    ENDED,
    MOST_ROWS,
    PROCESS,
    PROCESS_WIDTHS,
    ended_columns,
    process_columns,
)
from grafana.builder.style import (
    CALM,
    GOOD,
    NEAR_FULL,
    WARMER,
)
from grafana.builder.variables import CLUSTER, GPU, NODE, RESOLUTION, USER

_HELD = "(sum by (instance, uuid) (gpu_owner_processes{$owners}) > 0)"
_ONE_BY_ONE = (
    "Of a GPU the largest 32 are told one by one, and the rest as others. Single processes are not "
    "in the hourly tier: of tiered storage they are known for 30 days, and for a time range of "
    "weeks choose minutes as resolution. What is longer ago the dashboard of jobs knows by owner."
)
# More curves than these are not told apart.
_MOST_CURVES = 12


def _now() -> Row:
    return row(
        "",
        stat(
            "Users",
            "People who have processes on the chosen GPUs now.",
            Query('count(sum by (user) (gpu_owner_processes{$owners,user!="unattributed"}) > 0)'),
            steps=CALM,
            empty="0",
        ),
        stat(
            "Processes now",
            "Processes on the chosen GPUs.",
            Query("sum(gpu_owner_processes{$owners})"),
            steps=CALM,
        ),
        stat(
            "GPUs held",
            "GPUs with at least one process of the chosen users.",
            Query(f"count({_HELD})"),
            steps=CALM,
            empty="0",
        ),
        stat(
            "GPUs without a process",
            "Chosen GPUs on which nobody has a process: free to take.",
            Query("sum(gpu_processes{$gpus} == bool 0)"),
            unit="short",
            steps=GOOD,
        ),
        stat(
            "Memory held",
            "Device memory that processes of the chosen users hold.",
            Query("sum(gpu_owner_memory_used_bytes{$owners})"),
            steps=CALM,
        ),
        stat(
            "Of all memory",
            "The same as a share of the memory of all chosen GPUs.",
            Query("sum(gpu_owner_memory_used_bytes{$owners}) / sum(gpu_memory_total_bytes{$gpus})"),
            unit="percentunit",
            steps=NEAR_FULL,
        ),
    )


def _owners() -> Row:
    by = "cluster, user"
    gpus = f"sum by ({by}, instance, uuid) (gpu_owner_processes{{$owners}}) > 0"
    held = f"sum by ({by}) (rate(gpu_owner_allocated_seconds_total{{$owners}}[5m]))"
    busy = f"sum by ({by}) (rate(gpu_owner_busy_seconds_total{{$owners}}[5m]))"
    return row(
        "Who",
        table(
            "Who holds GPUs now",
            "Users with processes on the chosen GPUs, those with most GPUs first. Busy is the "
            "share of the time that they held GPUs in which kernels ran, of the last 5 minutes; "
            "a GPU that several share is split.",
            Column("GPUs", f"count by ({by}) ({gpus})", unit="short", width=80),
            Column("Processes", f"sum by ({by}) (gpu_owner_processes{{$owners}}) > 0", width=100),
            Column(
                "Memory", f"sum by ({by}) (gpu_owner_memory_used_bytes{{$owners}}) > 0", width=110
            ),
            Column(
                "Busy",
                f"clamp_max({busy} / ({held} > 0.001), 1)",
                unit="percentunit",
                look="bar",
                steps=WARMER,
            ),
            Column(
                "Power",
                f"sum by ({by}) (rate(gpu_owner_energy_joules_total{{$owners}}[5m])) > 0",
                width=100,
            ),
            labels={"user": "User", "cluster": "Cluster"},
            links={"User": links.USER_OF_ROW},
            sort="GPUs",
            width=12,
            empty="Nobody holds a GPU",
        ),
        timeseries(
            "Memory by user",
            f"Device memory that each user held on the chosen GPUs; the {_MOST_CURVES} with most.",
            Query(
                f"topk_avg({_MOST_CURVES}, sum by (user) (avg_over_time("
                "gpu_owner_memory_used_bytes{$owners}[$__interval])))",
                "{{user}}",
            ),
            stacked=True,
            calcs=("mean", "max"),
            width=12,
            height=9,
            empty="Nobody held a GPU",
            links=(links.USER,),
        ),
    )


def _processes() -> Row:
    return row(
        "Processes",
        table(
            "Processes on GPUs",
            f"What is on the chosen GPUs now, the {MOST_ROWS} that hold most memory first. "
            f"{_ONE_BY_ONE}",
            *process_columns("$owners"),
            labels=PROCESS,
            widths=PROCESS_WIDTHS,
            links={
                "Node": links.NODE_OF_ROW,
                "GPU": links.CARD_OF_ROW,
                "User": links.USER_OF_ROW,
            },
            sort="Memory",
            height=12,
            empty="No process is on these GPUs",
        ),
        table(
            "Processes that ended",
            "What was on the chosen GPUs within the time range and left before its end, the "
            f"{MOST_ROWS} that left last. {_ONE_BY_ONE}",
            *ended_columns(),
            labels=ENDED,
            widths=PROCESS_WIDTHS,
            links={
                "Node": links.NODE_OF_ROW,
                "GPU": links.CARD_OF_ROW,
                "User": links.USER_OF_ROW,
            },
            sort="Last seen",
            source=TIER,
            height=12,
            empty="None ended in this time range, or it is too long ago to tell single processes",
        ),
    )


def _over_time() -> Row:
    return row(
        "Over time",
        timeseries(
            "Memory by process",
            f"Device memory of the {_MOST_CURVES} processes that held most. {_ONE_BY_ONE}",
            Query(
                f"topk_max({_MOST_CURVES}, max_over_time("
                "gpu_process_memory_used_bytes${max}{$owners}[$__interval]))",
                "{{node}} GPU {{gpu}} {{name}} {{pid}} {{user}}",
            ),
            height=10,
            empty="No process, or it is too long ago to tell single ones",
            links=(links.CARD,),
        ),
        timeseries(
            "GPUs by user",
            "GPUs that each user held: time held in each step, split where several hold one.",
            Query(
                f"topk_avg({_MOST_CURVES}, sum by (user) (rate("
                "gpu_owner_allocated_seconds_total{$owners}[$__rate_interval])))",
                "{{user}}",
            ),
            unit="short",
            stacked=True,
            height=10,
            empty="Nobody held a GPU",
            links=(links.USER,),
        ),
        collapsed=True,
    )


def dashboard() -> Dashboard:
    """Who holds which GPU."""
    return Dashboard(
        uid="gpu-processes",
        title="GPU processes",
        description="Who holds which GPU, since when and with how much memory; and who did.",
        rows=(_now(), _owners(), _processes(), _over_time()),
        variables=(CLUSTER, NODE, GPU, USER, RESOLUTION),
        annotations=(annotations.xids("$gpus"), annotations.restarts()),
        refresh="30s",
    )
