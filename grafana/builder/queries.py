"""What several dashboards ask in the same way: tables of processes and of XIDs."""

from collections.abc import Mapping

from grafana.builder import links
from grafana.builder.grids import Column, sparse
from grafana.builder.model import Link
from grafana.builder.style import WARMER

# How many rows a table of a fleet has, the largest first: more is neither read nor quick.
MOST_ROWS = 200

# The labels that tell one GPU from another, with their titles, and where a click on them leads.
GPU: Mapping[str, str] = {"cluster": "Cluster", "node": "Node", "gpu": "GPU", "uuid": ""}
GPU_LINKS: Mapping[str, Link] = {"Node": links.NODE_OF_ROW, "GPU": links.CARD_OF_ROW}

# The labels that tell one process from another, with their titles.
PROCESS: Mapping[str, str] = {
    "cluster": "Cluster",
    "node": "Node",
    "gpu": "GPU",
    "name": "Process",
    "pid": "PID",
    "user": "User",
    "job_id": "Job",
    "container": "Container",
    "namespace": "Namespace",
    "pod": "Pod",
    "type": "Kind",
    "command": "Command",
    "gpu_instance": "Instance",
    "uuid": "",
}
# In pixels.
PROCESS_WIDTHS: Mapping[str, int] = {
    "Cluster": 80,
    "Node": 95,
    "GPU": 60,
    "Process": 115,
    "PID": 80,
    "Job": 75,
    "Container": 110,
    "Kind": 85,
    "Instance": 90,
}
_PROCESS = "cluster, node, gpu, uuid, pid, name, user, gpu_instance"
# Of those that ended, what they ran in is not kept.
ENDED: Mapping[str, str] = {
    label: title for label, title in PROCESS.items() if label in _PROCESS.split(", ")
}
_OWNER = "type, container, namespace, pod, job_id, command"

# Labels of XIDs that a table of one GPU does not show.
XID: Mapping[str, str] = {"cluster": "", "node": "", "gpu": "", "uuid": ""}
_XID = "cluster, node, gpu, uuid, xid, meaning, advice"


def named_clusters(expr: str) -> str:
    """A query by cluster, with words for nodes that have none: a curve needs a name."""
    return f'label_map({expr}, "cluster", "", "no cluster")'


def last_answers(by: str) -> str:
    """When exporters that do not answer last did, within a week, in seconds.

    Args:
        by: The labels to group by, as ``by (node)``.
    """
    # The outer max drops those that answer: VictoriaMetrics then reads the week of the others
    # alone, up to a hundred nodes, and nothing where all answer.
    offline = f'max {by} (max {by} (up{{job="gpu",$nodes}}) == 0)'
    on = by.replace("by", "on", 1)
    return f"{offline} + {on} max {by} (tlast_over_time(gpuglass_build_info{{$nodes}}[7d]))"


def largest_processes(scope: str) -> str:
    """The processes that hold most memory now."""
    return f"topk({MOST_ROWS}, sum by ({_PROCESS}) (gpu_process_memory_used_bytes{{{scope}}}))"


def process_columns(scope: str) -> tuple[Column, ...]:
    """What is known of each process now."""
    held = largest_processes(scope)

    def of_these(how: str, value: str, *more: str) -> str:
        by = ", ".join((_PROCESS, *more))
        return f"{how} by ({by}) ({value} and on ({_PROCESS}) {held})"

    hour = f"gpu_process_memory_used_bytes{{{scope}}}[1h]"
    started = f"gpu_process_start_time_seconds{{{scope}}}"
    return (
        Column("Memory", held, unit="bytes", width=95),
        Column("Most, 1 h", of_these("sum", f"max_over_time({hour})"), unit="bytes", width=95),
        Column("Mean, 1 h", of_these("sum", f"avg_over_time({hour})"), unit="bytes", width=95),
        Column(
            "SM time",
            of_these("sum", f"gpu_process_sm_utilization_ratio{{{scope}}}"),
            unit="percentunit",
            look="bar",
            steps=WARMER,
            width=110,
        ),
        Column("Since", of_these("max", f"{started} * 1000"), unit="dateTimeAsIso", width=150),
        Column("", of_these("max", f"gpu_process_info{{{scope}}}", _OWNER)),
    )


def xid_columns(scope: str) -> tuple[Column, ...]:
    """When each XID came last within the time range, and how often; on the time range's tier."""

    def explained(value: str) -> str:
        return f'sum by ({_XID}) (label_copy({value}, "xid", "meaning", "xid", "advice"))'

    last = f"max_over_time(gpu_xid_last_timestamp_seconds{{{scope}}}[$__range])"
    times = f"increase(gpu_xid_errors_total{{{scope}}}[$__range])"
    begin = "${__from:date:seconds}"
    return sparse(
        Column("Last", explained(f"({last} >= {begin}) * 1000"), unit="dateTimeAsIso", width=160),
        Column("Times", explained(f"({times} > 0)"), unit="short", width=70),
    )


def ended_columns() -> tuple[Column, ...]:
    """What is known of each process that left within the time range; on the time range's tier."""
    held = "gpu_process_memory_used_bytes{$owners}[$__range]"
    most = "gpu_process_memory_used_bytes${max}{$owners}[$__range]"
    last = f"tlast_over_time({held})"
    # Its node was asked after that, so it is not only that nobody knows of later.
    asked = 'max by (instance) (tlast_over_time(up{job="gpu",$nodes}[$__range]))'
    ended = f"topk({MOST_ROWS}, {last} < on (instance) group_left () ({asked} - 90))"
    started = "last_over_time(gpu_process_start_time_seconds{$owners}[$__range])"

    def of_these(value: str) -> str:
        return f"sum by ({_PROCESS}) ({value} and {ended})"

    def moment(title: str, value: str) -> Column:
        return Column(title, value, unit="dateTimeAsIso", width=160)

    return (
        Column("Most memory", of_these(f"max_over_time({most})"), unit="bytes", width=130),
        Column("Mean memory", of_these(f"avg_over_time({held})"), unit="bytes", width=130),
        Column("Lived", of_these(f"({last} - {started})"), unit="dtdurations", width=130),
        moment("Started", of_these(f"{started} * 1000")),
        moment("First seen", of_these(f"tfirst_over_time({held}) * 1000")),
        moment("Last seen", f"sum by ({_PROCESS}) ({ended}) * 1000"),
    )
