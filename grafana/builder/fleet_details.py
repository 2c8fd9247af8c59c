"""The rows of gpu-fleet below the map: clusters, the worst, capacity, energy, nodes."""

from grafana.builder import links
from grafana.builder.grids import Column, table
from grafana.builder.meanings import HARMFUL, REASONS, STATES
from grafana.builder.model import Query, Row, row
from grafana.builder.panels import status_history, timeseries
from grafana.builder.queries import last_answers, named_clusters
from grafana.builder.style import (
    BAD_FROM_1,
    HEALTH,
    MARGIN,
    NEAR_FULL,
    WARN_FROM_1,
)

_WHERE = {"cluster": "Cluster", "node": "Node"}
_WHICH = {**_WHERE, "gpu": "GPU"}
_LINKS = {
    "Cluster": links.CLUSTER_OF_ROW,
    "Node": links.NODE_OF_ROW,
    "GPU": links.CARD_OF_ROW,
    "User": links.USER_OF_ROW,
}
_WIDTHS = {"Cluster": 110, "Node": 130, "GPU": 70}
_BY = "by (cluster, node, gpu)"
_ON = "on (cluster, node, gpu)"


def clusters() -> Row:
    """A line for each cluster."""
    return row(
        "Clusters",
        table(
            "Clusters, busiest first",
            "A line for each value of the targets' label cluster; nodes without it have one too.",
            Column("Online", 'sum by (cluster) (up{job="gpu",$clusters})'),
            Column(
                "Offline",
                'sum by (cluster) (up{job="gpu",$clusters} == bool 0)',
                steps=BAD_FROM_1,
            ),
            Column("GPUs", "count by (cluster) (gpu_up{$clusters})"),
            Column("Free", "sum by (cluster) (gpu_processes{$clusters} == bool 0)"),
            Column(
                "Wasted",
                "sum by (cluster) (gpu:wasted_seconds:increase{$clusters} > bool 0)",
                steps=WARN_FROM_1,
            ),
            Column("Busy", "max by (cluster) (cluster:busy_ratio:avg5m{$clusters})", look="bar"),
            Column(
                "Memory",
                "max by (cluster) (cluster:memory_used_ratio:sum{$clusters})",
                look="bar",
                steps=NEAR_FULL,
            ),
            Column("Power", "max by (cluster) (cluster:power_watts:sum{$clusters})"),
            Column(
                "Health",
                "min by (cluster) (cluster:health_ratio:min{$clusters})",
                steps=HEALTH,
                decimals=0,
            ),
            labels={"cluster": "Cluster"},
            links=_LINKS,
            sort="Busy",
            height=5,
        ),
    )


def worst() -> Row:
    """What wants to be looked at, worst first."""
    margin = (
        f"min {_BY} (gpu_temperature_margin_celsius{{$nodes}}) or "
        f'min {_BY} (gpu_temperature_limit_celsius{{$nodes,limit="slowdown"}}) - {_ON} '
        f'max {_BY} (gpu_temperature_celsius{{$nodes,sensor="core"}})'
    )
    wasted = f"max {_BY} (gpu:wasted_seconds:increase{{$nodes}}) > 0"
    return row(
        "Worst first",
        table(
            "Wasted now",
            "GPUs that are held while nothing ran on them for half an hour, and by whom.",
            Column(
                "Memory held",
                "topk(20, sum by (cluster, node, gpu, user) (gpu_owner_memory_used_bytes{$nodes}) "
                f"and {_ON} {wasted})",
            ),
            labels={**_WHICH, "user": "User"},
            links=_LINKS,
            widths=_WIDTHS,
            sort="Memory held",
            empty="no GPU known to be wasted",
            width=12,
            height=7,
        ),
        table(
            "What is wrong",
            "GPUs that an alert takes health off: how much, and which alert.",
            Column(
                "Takes off",
                "topk(20, max by (cluster, node, gpu, reason) "
                "(gpu:health_penalty_ratio:max{$nodes}))",
                look="colored",
                steps=((None, "yellow"), (0.3, "orange"), (1, "red")),
                decimals=0,
            ),
            labels={**_WHICH, "reason": "Alert"},
            links=_LINKS,
            widths=_WIDTHS,
            sort="Takes off",
            empty="nothing known to be wrong",
            width=12,
            height=7,
        ),
        table(
            "Nearest to slowing down",
            "Degrees between the core and the point at which the card slows down for heat.",
            Column("Left", f"bottomk(10, {margin})", unit="celsius", look="colored", steps=MARGIN),
            Column(
                "Core",
                f'max {_BY} (gpu_temperature_celsius{{$nodes,sensor="core"}}) and {_ON} '
                f"bottomk(10, {margin})",
                unit="celsius",
            ),
            labels=_WHICH,
            links=_LINKS,
            widths=_WIDTHS,
            sort="Left",
            ascending=True,
            empty="no card tells its limits",
            width=12,
            height=7,
        ),
        table(
            "Held back",
            "GPUs whose clocks something held down for more than 5 % of the last 5 minutes.",
            Column(
                "Of the time",
                "topk(20, max by (cluster, node, gpu, reason) "
                f'(gpu:throttled_ratio:avg5m{{$nodes,reason=~"{"|".join(HARMFUL)}"}}) '
                "> 0.05)",
                unit="percentunit",
                look="bar",
                steps=((None, "yellow"), (0.5, "orange")),
            ),
            labels={**_WHICH, "reason": "By what"},
            words={"By what": REASONS},
            links=_LINKS,
            widths=_WIDTHS,
            sort="Of the time",
            empty="nothing known to hold one back",
            width=12,
            height=7,
        ),
    )


def capacity() -> Row:
    """Work over time."""
    busy = "sum(sum_over_time(node:busy_seconds:increase{$nodes}[$__interval])) / step()"
    held = "sum(sum_over_time(node:allocated_seconds:increase{$nodes}[$__interval])) / step()"
    wasted = "sum(sum_over_time(node:wasted_seconds:increase{$nodes}[$__interval])) / step()"
    return row(
        "Capacity and work",
        timeseries(
            "GPUs: there, held, working, wasted",
            "How many GPUs there are, how many processes hold, on how many kernels run, and how "
            "many are held in vain. What lies between there and held is free.",
            Query("sum(avg_over_time(gpu_devices{$nodes}[$__interval]))", "there"),
            Query(held, "held"),
            Query(busy, "working"),
            Query(wasted, "wasted"),
        ),
        timeseries(
            "Busy by cluster",
            "Share of the time in which kernels ran, the mean of a cluster's GPUs.",
            Query(
                named_clusters(
                    "topk_avg(20, avg_over_time(cluster:busy_ratio:avg5m{$clusters}[$__interval]))"
                ),
                "{{cluster}}",
            ),
            top=1,
        ),
        status_history(
            "Busy by node",
            "Share of the time in which kernels ran, the mean of a node's GPUs; the 20 busiest "
            "nodes. A line that turns blue stopped working.",
            Query(
                "topk_avg(20, avg_over_time(node:busy_ratio:avg5m{$nodes}[$__interval]))",
                "{{node}}",
            ),
            links=(links.NODE,),
        ),
    )


def energy() -> Row:
    """Power over time."""
    return row(
        "Energy",
        timeseries(
            "Power by cluster",
            "What the GPUs of a cluster draw together.",
            Query(
                named_clusters(
                    "topk_avg(20, avg_over_time(cluster:power_watts:sum{$clusters}[$__interval]))"
                ),
                "{{cluster}}",
            ),
            stacked=True,
        ),
        timeseries(
            "Power of the hungriest nodes",
            "What the GPUs of a node draw together; the ten that draw most.",
            Query(
                "topk_avg(10, avg_over_time(node:power_watts:sum{$nodes}[$__interval]))", "{{node}}"
            ),
            links=(links.NODE,),
        ),
    )


def nodes() -> Row:
    """A line for each node, and when those that are offline were last seen."""
    by = "by (cluster, node)"
    return row(
        "Nodes",
        table(
            "All nodes",
            "Every machine, also those that do not answer: when they last did, within a week.",
            Column(
                "State",
                f'max {by} (up{{job="gpu",$nodes}})',
                mappings=STATES,
                look="colored",
                width=80,
            ),
            Column(
                "Last seen",
                f"({last_answers(by)}) * 1000",
                unit="dateTimeFromNow",
            ),
            Column("GPUs", f"count {by} (gpu_up{{$nodes}})"),
            Column("Busy", f"max {by} (node:busy_ratio:avg5m{{$nodes}})", look="bar"),
            Column(
                "Memory",
                f"max {by} (node:memory_used_ratio:sum{{$nodes}})",
                look="bar",
                steps=NEAR_FULL,
            ),
            Column("Power", f"max {by} (node:power_watts:sum{{$nodes}})"),
            Column(
                "Health",
                f"min {by} (node:health_ratio:min{{$nodes}})",
                steps=HEALTH,
                decimals=0,
            ),
            Column("Up for", f"max {by} (host_uptime_seconds{{$nodes}})"),
            labels=_WHERE,
            links=_LINKS,
            sort="State",
            ascending=True,
            empty="no node is scraped: see victoriametrics/targets/README.md",
            height=10,
        ),
    )
