"""gpu-fleet: what is running, wasted, broken and hot, from one GPU to thousands."""

from grafana.builder import annotations, fleet_details, links
from grafana.builder.grids import matrix
from grafana.builder.model import TIER, Dashboard, Query, Row, Variable, row
from grafana.builder.panels import stat
from grafana.builder.style import (
    BAD_FROM_1,
    CALM,
    GOOD,
    WARN_FROM_1,
)
from grafana.builder.tables import firing_alerts
from grafana.builder.variables import CLUSTER, NODE, RESOLUTION

# Values are put before a selector: a metric, or what is calculated with it.
_FACT = Variable(
    "fact",
    "Map shows",
    "What colours the map of GPUs; each a share of the most that is possible",
    "Busy : gpu:busy_ratio:avg5m, SMs at work : gpu_sm_active_ratio, Memory used : "
    "gpu:memory_used_ratio:avg5m, Power of its limit : gpu:power_ratio:avg5m, "
    "Heat of the slowdown point : gpu:temperature_ratio:max5m, "
    "Trouble : 1 - gpu:health_ratio:sum",
)
_BY = "by (cluster, node, gpu)"
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
            Query(
                "sum(gpu:wasted_seconds:increase{$nodes} > bool 0) "
                "or 0 * count(gpu_processes{$nodes})"
            ),
            unit="short",
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
            # 0 only where vmalert is known to work.
            Query(
                'count(ALERTS{$nodes,alertstate="firing",severity="critical"}) '
                'or 0 * count(ALERTS{alertname="GPUStackWatchdog"})'
            ),
            unit="short",
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
            "the colours show, the more the bluer; a click leads to the GPU. Nodes of one name in "
            "two clusters share a line unless one cluster is chosen.",
            Query("max by (node, gpu) ($fact{$nodes})"),
            rows="node",
            columns="gpu",
            heading="Node",
            unit="percentunit",
            width=12,
            height=8,
            links=(links.CARD_OF_CELL,),
            row_links=(links.NODE_OF_ROW,),
            empty="no GPU tells this",
        ),
        firing_alerts("$nodes", width=12, height=8),
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
            fleet_details.clusters(),
            fleet_details.worst(),
            fleet_details.capacity(),
            fleet_details.energy(),
            fleet_details.nodes(),
        ),
        variables=(CLUSTER, NODE, _FACT, RESOLUTION),
        annotations=(annotations.alerts(severity="critical"), annotations.drivers()),
        # What it shows is recorded once a minute, of thousands of GPUs perhaps.
        refresh="30s",
    )
