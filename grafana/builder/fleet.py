"""gpu-fleet: what is running, wasted, broken and hot, from one GPU to thousands."""

from grafana.builder import annotations, links
from grafana.builder.meanings import HARMFUL, REASONS, STATES
from grafana.builder.model import TIER, Dashboard, Query, Row, Variable, row
from grafana.builder.panels import (
    BAD_FROM_1,
    CALM,
    GOOD,
    HEALTH,
    MARGIN,
    NEAR_FULL,
    WARN_FROM_1,
    Column,
    matrix,
    stat,
    status_history,
    table,
    timeseries,
)
from grafana.builder.queries import named_clusters
from grafana.builder.tables import firing_alerts
from grafana.builder.variables import CLUSTER, NODE, RESOLUTION

# Values are put before a selector: a metric, or what is calculated with it.
_FACT = Variable(
    "fact",
    "Map shows",
    "What colours the map of GPUs; each a share of the most that is possible",
    "Busy : gpu:busy_ratio:avg5m, Memory used : gpu:memory_used_ratio:avg5m, "
    "Power of its limit : gpu:power_ratio:avg5m, "
    "Heat of the slowdown point : gpu:temperature_ratio:max5m, "
    "Trouble : 1 - gpu:health_ratio:sum",
)
_WHERE = {"cluster": "Cluster", "node": "Node"}
_WHICH = {**_WHERE, "gpu": "GPU"}
_LINKS = {
    "Cluster": links.CLUSTER_OF_ROW,
    "Node": links.NODE_OF_ROW,
    "GPU": links.CARD_OF_ROW,
    "User": links.USER_OF_ROW,
}
_BY = "by (cluster, node, gpu)"
_ON = "on (cluster, node, gpu)"
_HEAT = 'reason=~"sw_thermal|hw_thermal"'


def _gpus() -> Row:
    return row(
        "",
        stat(
            "GPUs",
            "GPUs that the drivers of the chosen nodes list, those that were lost included.",
            Query("count(gpu_up{$nodes})"),
            width=3,
            height=3,
        ),
        stat(
            "Working",
            "GPUs on which kernels ran for at least 5 % of the last 5 minutes.",
            Query("sum(gpu:busy_ratio:avg5m{$nodes} >= bool 0.05)"),
            width=3,
            height=3,
            steps=GOOD,
        ),
        stat(
            "Free",
            "GPUs that no process holds: what a new job could take.",
            Query("sum(gpu_processes{$nodes} == bool 0)"),
            width=3,
            height=3,
            steps=CALM,
        ),
        stat(
            "Wasted",
            "GPUs of which somebody holds a tenth of the memory or more, and on which nothing ran "
            "for half an hour. Whose they are stands below.",
            Query("sum(gpu:wasted_seconds:increase{$nodes} > bool 0)"),
            width=3,
            height=3,
            steps=WARN_FROM_1,
        ),
        stat(
            "Slowed by heat",
            "GPUs that heat held back for more than 5 % of the last 5 minutes.",
            Query(f"sum(max {_BY} (gpu:throttled_ratio:avg5m{{$nodes,{_HEAT}}}) > bool 0.05)"),
            width=3,
            height=3,
            steps=WARN_FROM_1,
        ),
        stat(
            "Unwell",
            "GPUs with an alert that concerns the card or its links. Which and why stands below.",
            Query("sum(gpu:health_ratio:sum{$nodes} < bool 1)"),
            width=3,
            height=3,
            steps=WARN_FROM_1,
        ),
        stat(
            "Lost",
            "GPUs that do not answer the driver any more.",
            Query("sum(gpu_up{$nodes} == bool 0)"),
            width=3,
            height=3,
            steps=BAD_FROM_1,
        ),
        stat(
            "Critical alerts",
            "Alerts of the highest severity that fire now, of the chosen nodes.",
            Query('count(ALERTS{$nodes,alertstate="firing",severity="critical"}) or vector(0)'),
            width=3,
            height=3,
            steps=BAD_FROM_1,
        ),
    )


def _nodes_and_money() -> Row:
    return row(
        "",
        stat(
            "Nodes online",
            "Machines whose exporter answers.",
            Query('sum(up{job="gpu",$nodes})'),
            width=3,
            height=3,
            steps=GOOD,
        ),
        stat(
            "Nodes offline",
            "Machines whose exporter does not answer; when they last did stands below.",
            Query('sum(up{job="gpu",$nodes} == bool 0)'),
            width=3,
            height=3,
            steps=BAD_FROM_1,
        ),
        stat(
            "Busy",
            "Share of the last 5 minutes in which kernels ran, the mean of all GPUs. A kernel that "
            "runs does not mean that the whole GPU works.",
            Query("avg(gpu:busy_ratio:avg5m{$nodes})"),
            width=3,
            height=3,
            decimals=0,
        ),
        stat(
            "Memory held",
            "Share of the memory of all GPUs that is allocated.",
            Query("sum(gpu_memory_used_bytes{$nodes}) / sum(gpu_memory_total_bytes{$nodes})"),
            unit="percentunit",
            width=3,
            height=3,
            decimals=0,
        ),
        stat(
            "Power",
            "What all GPUs draw together.",
            Query("sum(node:power_watts:sum{$nodes})"),
            width=3,
            height=3,
        ),
        stat(
            "Energy in range",
            "Energy that all GPUs used from the beginning to the end of the time range.",
            Query("sum(sum_over_time(node:energy_joules:increase{$nodes}[$__range])) / 3.6e6"),
            unit="kwatth",
            source=TIER,
            width=3,
            height=3,
        ),
        stat(
            "Energy cost / h",
            "What an hour costs at the present draw, with cooling and supply (PUE).",
            Query("sum by (currency) (node:energy_cost:increase{$nodes}) * 60", "{{currency}}"),
            unit="short",
            names=True,
            decimals=2,
            empty="no price set",
            width=3,
            height=3,
        ),
        stat(
            "GPU-hours cost / h",
            "What the GPUs that are held now cost in an hour, by the price of a GPU-hour.",
            Query("sum by (currency) (node:gpu_hour_cost:increase{$nodes}) * 60", "{{currency}}"),
            unit="short",
            names=True,
            decimals=2,
            empty="no price set",
            width=3,
            height=3,
        ),
    )


def _map_and_alerts() -> Row:
    return row(
        "Now",
        matrix(
            "Map of GPUs",
            "A line for each node, a column for each GPU by its number. The choice above says what "
            "the colours show; a click leads to the GPU.",
            Query("max by (node, gpu) ($fact{$nodes})"),
            rows="node",
            columns="gpu",
            unit="percentunit",
            width=14,
            height=9,
            links=(links.CARD_OF_CELL,),
            empty="no GPU tells this",
        ),
        firing_alerts("$nodes", width=10, height=9),
    )


def _clusters() -> Row:
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
            height=6,
        ),
    )


def _worst() -> Row:
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
            sort="Memory held",
            empty="no GPU is wasted",
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
            sort="Takes off",
            empty="all GPUs are well",
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
            sort="Of the time",
            empty="nothing holds a GPU back",
            width=12,
            height=7,
        ),
    )


def _capacity() -> Row:
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


def _energy() -> Row:
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


def _nodes() -> Row:
    by = "by (cluster, node)"
    offline = f'max {by} (up{{job="gpu",$nodes}}) == 0'
    return row(
        "Nodes",
        table(
            "All nodes",
            "Every machine, also those that do not answer: when they last did.",
            Column(
                "State",
                f'max {by} (up{{job="gpu",$nodes}})',
                mappings=STATES,
                look="colored",
                width=80,
            ),
            Column(
                "Last seen",
                f"(({offline}) + on (cluster, node) "
                f"max {by} (tlast_over_time(gpuglass_build_info{{$nodes}}[1d]))) * 1000",
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


def dashboard() -> Dashboard:
    """The first dashboard that people see."""
    return Dashboard(
        uid="gpu-fleet",
        title="GPU fleet",
        description="Which GPUs work, which are wasted, which suffer and whose they are.",
        rows=(
            _gpus(),
            _nodes_and_money(),
            _map_and_alerts(),
            _worst(),
            _clusters(),
            _capacity(),
            _energy(),
            _nodes(),
        ),
        variables=(CLUSTER, NODE, _FACT, RESOLUTION),
        annotations=(annotations.alerts(severity="critical"), annotations.drivers()),
        # What it shows is recorded once a minute, of thousands of GPUs perhaps.
        refresh="30s",
    )
