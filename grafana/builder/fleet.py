"""gpu-fleet: what is running, wasted, broken and hot, from one GPU to thousands."""

from grafana.builder import annotations, links
from grafana.builder.model import Dashboard, Query, Row, Variable, row
from grafana.builder.panels import (
    CALM,
    GOOD,
    WARMER,
    matrix,
    stat,
    timeseries,
)
from grafana.builder.variables import CLUSTER, NODE, RESOLUTION

_FACT = Variable(
    "fact",
    "Map shows",
    "What colours the map of GPUs; each a share of the most that is possible",
    "Busy : gpu:busy_ratio:avg5m, Memory used : gpu:memory_used_ratio:avg5m, "
    "Health : gpu:health_ratio:sum",
)
_WHERE = {"cluster": "Cluster", "node": "Node"}
_WHICH = {**_WHERE, "gpu": "GPU"}
_LINKS = {"Node": links.NODE_OF_ROW, "GPU": links.CARD_OF_ROW}


def _now() -> Row:
    return row(
        "",
        stat(
            "GPUs",
            "GPUs that the drivers list on all chosen nodes, lost ones included.",
            Query("count(gpu_up{$nodes})"),
            width=3,
        ),
        stat(
            "Working",
            "GPUs on which kernels ran at least 5 % of the last 5 minutes.",
            Query("sum(gpu:busy_ratio:avg5m{$nodes} >= bool 0.05)"),
            unit="short",
            width=3,
            steps=GOOD,
        ),
        stat(
            "Free",
            "GPUs that no process holds: what a new job could take.",
            Query("sum(gpu_processes{$nodes} == bool 0)"),
            unit="short",
            width=3,
            steps=CALM,
        ),
    )


def _map() -> Row:
    return row(
        "Map",
        matrix(
            "Map of GPUs",
            "A line for each node, a column for each GPU. Choose above what the colours show; "
            "a click leads to the GPU.",
            Query("max by (node, gpu) ($fact{$nodes})"),
            rows="node",
            columns="gpu",
            unit="percentunit",
            steps=WARMER,
            links=(links.CARD_OF_CELL,),
            empty="no GPU tells this",
        ),
    )


def _over_time() -> Row:
    return row(
        "Work",
        timeseries(
            "Busy by cluster",
            "Share of the time in which kernels ran, the mean of all GPUs of a cluster.",
            Query("avg_over_time(cluster:busy_ratio:avg5m{$clusters}[$__interval])", "{{cluster}}"),
            top=1,
        ),
    )


def dashboard() -> Dashboard:
    """The first dashboard that people see."""
    return Dashboard(
        uid="gpu-fleet",
        title="GPU fleet",
        description="Which GPUs work, which are wasted, which suffer, over all nodes.",
        rows=(_now(), _map(), _over_time()),
        variables=(CLUSTER, NODE, _FACT, RESOLUTION),
        annotations=(annotations.alerts(severity="critical"),),
        refresh="30s",
    )
