"""gpu-node: one machine, its GPUs below it, under one crosshair."""

from grafana.builder import annotations, host, links
from grafana.builder.grids import Column, table
from grafana.builder.meanings import ANSWERS, HARMFUL, REASONS, STATES, in_words
from grafana.builder.model import Dashboard, Query, Row, row
from grafana.builder.panels import (
    below_zero,
    limit,
    stat,
    timeseries,
)
from grafana.builder.style import BAD_FROM_1, HEALTH, NEAR_FULL
from grafana.builder.tables import firing_alerts
from grafana.builder.variables import CLUSTER, GPU, NODE, RESOLUTION, single

_BY = "by (gpu, uuid)"
_CARD = (links.CARD,)


def _now() -> Row:
    return row(
        "",
        stat(
            "State",
            "Whether the exporter of the machine answers.",
            Query('min(up{job="gpu",$nodes})'),
            mappings=STATES,
            width=3,
            height=3,
            background=True,
            empty="no such node",
        ),
        stat(
            "Running for",
            "Time since the machine started.",
            Query("max(host_uptime_seconds{$nodes})"),
            width=3,
            height=3,
        ),
        stat(
            "CPU",
            "Share of the time of all CPUs in which they worked, over the last minute.",
            Query(
                '1 - sum(rate(host_cpu_seconds_total{$nodes,mode=~"idle|iowait"}[1m])) '
                "/ sum(host_cpus{$nodes})"
            ),
            unit="percentunit",
            steps=NEAR_FULL,
            width=3,
            height=3,
            decimals=0,
        ),
        stat(
            "Memory",
            "Share of the machine's memory that programs cannot get any more without swapping.",
            Query(
                "1 - sum(host_memory_available_bytes{$nodes}) "
                "/ sum(host_memory_total_bytes{$nodes})"
            ),
            unit="percentunit",
            steps=NEAR_FULL,
            width=3,
            height=3,
            decimals=0,
        ),
        stat(
            "Fullest file system",
            "Share that is used of the file system that has least left, relative to its size.",
            Query(
                "max(1 - host_filesystem_available_bytes{$nodes} "
                "/ host_filesystem_size_bytes{$nodes})"
            ),
            unit="percentunit",
            steps=NEAR_FULL,
            width=3,
            height=3,
            decimals=0,
        ),
        stat(
            "GPUs lost",
            "GPUs that do not answer the driver any more, of all that it lists or listed.",
            Query("sum(gpu_up{$nodes} == bool 0)"),
            steps=BAD_FROM_1,
            width=3,
            height=3,
        ),
        stat(
            "Power of all GPUs",
            "What the GPUs draw together.",
            Query("sum(gpu_power_watts{$gpus})"),
            width=3,
            height=3,
        ),
        stat(
            "GPU health",
            "Of the least healthy GPU: 100 % if nothing is known to be wrong, less what alerts "
            "take off.",
            Query("min(node:health_ratio:min{$nodes})"),
            steps=HEALTH,
            width=3,
            height=3,
            decimals=0,
        ),
    )


def _gpus_now() -> Row:
    return row(
        "",
        table(
            "GPUs of this node",
            "Each GPU as it is now; a click on its number leads to everything about it.",
            Column(
                "State",
                "max by (gpu, uuid, name) (gpu_info{$gpus}) * on (gpu, uuid) group_left () "
                f"max {_BY} (gpu_up{{$gpus}})",
                unit="short",
                mappings=ANSWERS,
                width=110,
            ),
            Column("Utilisation", f"max {_BY} (gpu_utilization_ratio{{$gpus}})", look="bar"),
            Column(
                "Memory",
                f"max {_BY} (gpu_memory_used_bytes{{$gpus}} / gpu_memory_total_bytes{{$gpus}})",
                unit="percentunit",
                look="bar",
                steps=NEAR_FULL,
            ),
            Column(
                "Power of its limit",
                f"max {_BY} (gpu_power_watts{{$gpus}} / ignoring (limit) "
                'gpu_power_limit_watts{$gpus,limit="enforced"})',
                unit="percentunit",
                look="bar",
            ),
            Column(
                "Core",
                f'max {_BY} (gpu_temperature_celsius{{$gpus,sensor="core"}})',
                width=90,
            ),
            Column("Processes", f"max {_BY} (gpu_processes{{$gpus}})", width=120),
            Column(
                "Health",
                # Only of those that tell: what is recorded is there for some minutes more.
                f"min {_BY} (gpu:health_ratio:sum{{$gpus}}) and on (gpu, uuid) gpu_up{{$gpus}}",
                steps=HEALTH,
                width=90,
                decimals=0,
            ),
            labels={"gpu": "GPU", "name": "Card", "uuid": ""},
            links={"GPU": links.CARD_OF_NODE},
            widths={"GPU": 70, "Card": 220},
            sort="GPU",
            ascending=True,
            empty="this node has no GPU, or its exporter does not answer",
            height=10,
        ),
        firing_alerts("$nodes", width=12, height=6),
        table(
            "Who holds the GPUs",
            "Users, jobs and containers by the GPU memory that their processes hold.",
            Column(
                "Memory",
                "sum by (user, job_id, container) (gpu_owner_memory_used_bytes{$gpus})",
                width=120,
            ),
            Column(
                "GPUs",
                "count by (user, job_id, container) (gpu_owner_processes{$gpus} > 0)",
                width=80,
            ),
            labels={"user": "User", "job_id": "Job", "container": "Container"},
            links={"User": links.USER_OF_ROW},
            sort="Memory",
            empty="nobody known of",
            width=12,
            height=6,
        ),
    )


def _work() -> Row:
    throttled = (
        "avg by (reason) (rate(gpu_throttle_seconds_total"
        f'{{$gpus,reason=~"{"|".join(HARMFUL)}"}}[$__rate_interval]))'
    )
    return row(
        "GPUs",
        timeseries(
            "Utilisation of GPUs",
            "Share of the time in which at least one kernel ran. It says nothing of how much of "
            "the card the kernel used.",
            Query("rate(gpu_busy_seconds_total{$gpus}[$__rate_interval])", "GPU {{gpu}}"),
            top=1,
            links=_CARD,
            empty="these cards do not tell, as in MIG mode",
        ),
        timeseries(
            "Memory of GPUs",
            "Memory that is allocated on each GPU; dashed, what the largest of them has.",
            Query("avg_over_time(gpu_memory_used_bytes{$gpus}[$__interval])", "GPU {{gpu}}"),
            Query("max(avg_over_time(gpu_memory_total_bytes{$gpus}[$__interval]))", "size"),
            overrides=(limit("^size$"),),
            links=_CARD,
        ),
        timeseries(
            "Power of GPUs",
            "Draw of each GPU; dashed, the highest limit that is in force on one of them.",
            Query("avg_over_time(gpu_power_watts{$gpus}[$__interval])", "GPU {{gpu}}"),
            Query(
                'max(avg_over_time(gpu_power_limit_watts{$gpus,limit="enforced"}[$__interval]))',
                "limit",
            ),
            overrides=(limit("^limit$"),),
            links=_CARD,
        ),
        timeseries(
            "Temperature of GPUs",
            "Highest temperature of each core; dashed, the lowest point at which one of them slows "
            "down.",
            Query(
                'max_over_time(gpu_temperature_celsius${max}{$gpus,sensor="core"}[$__interval])',
                "GPU {{gpu}}",
            ),
            Query(
                "min(avg_over_time("
                'gpu_temperature_limit_celsius{$gpus,limit="slowdown"}[$__interval]))',
                "slows down",
            ),
            bottom=None,
            overrides=(limit("^slows down$"),),
            links=_CARD,
        ),
        timeseries(
            "GPUs held back",
            "Share of the time in which something held the clocks of the GPUs down, by what, the "
            "mean of all. At the power limit is normal under full load.",
            Query(in_words(throttled, "reason", REASONS), "{{reason}}"),
            stacked=True,
            empty="these cards do not tell what holds them back",
        ),
        timeseries(
            "PCIe",
            "Bytes over PCIe as the GPUs see it: to the GPU above, from it below. Compare it with "
            "disks and network: input that is too slow keeps GPUs waiting.",
            Query(
                "sum by (node, gpu) (rate(gpu_pcie_bytes_total"
                '{$gpus,direction="receive"}[$__rate_interval]))',
                "GPU {{gpu}} receives",
            ),
            Query(
                "sum by (node, gpu) (rate(gpu_pcie_bytes_total"
                '{$gpus,direction="transmit"}[$__rate_interval]))',
                "GPU {{gpu}} sends",
            ),
            bottom=None,
            overrides=(below_zero("sends$"),),
            empty="these cards count no bytes over PCIe",
            links=_CARD,
        ),
    )


def dashboard() -> Dashboard:
    """One machine and its GPUs."""
    return Dashboard(
        uid="gpu-node",
        title="GPU node",
        description="One machine: its processors, memory, disks and network over its GPUs.",
        rows=(_now(), _gpus_now(), host.processors(), _work(), host.traffic(), host.trouble()),
        variables=(CLUSTER, single(NODE), GPU, RESOLUTION),
        annotations=(
            annotations.alerts(),
            annotations.xids(),
            annotations.drivers(),
            annotations.restarts(),
            annotations.exporter_restarts(),
        ),
        refresh="5s",
    )
