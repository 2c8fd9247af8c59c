"""Where clicks lead: to other dashboards, with the time range and what was chosen."""

from grafana.builder.model import Link

_KEPT = "${__url_time_range}&${resolution:queryparam}"


def _to(uid: str, title: str, *chosen: tuple[str, str]) -> Link:
    choice = "&".join(f"var-{variable}={value}" for variable, value in chosen)
    return Link(title, f"/d/{uid}?{choice}&{_KEPT}")


def _row(label: str) -> str:
    """A label of the table's row, by its title there."""
    return f'${{__data.fields["{label}"]}}'


# From curves, numbers and bars, whose series have the labels.
NODE = _to("gpu-node", "This node", ("node", "${__field.labels.node}"))
CARD = _to(
    "gpu-card",
    "This GPU",
    ("node", "${__field.labels.node}"),
    ("gpu", "${__field.labels.gpu}"),
)
USER = _to("gpu-jobs", "This user's jobs and waste", ("user", "${__field.labels.user}"))
# From tables, whose rows have columns with these titles.
NODE_OF_ROW = _to("gpu-node", "This node", ("node", _row("Node")))
CARD_OF_ROW = _to("gpu-card", "This GPU", ("node", _row("Node")), ("gpu", _row("GPU")))
USER_OF_ROW = _to("gpu-jobs", "This user's jobs and waste", ("user", _row("User")))
PROCESSES_OF_ROW = _to("gpu-processes", "Processes of its user", ("user", _row("User")))
CLUSTER_OF_ROW = _to("gpu-fleet", "This cluster", ("cluster", _row("Cluster")))
# From rows of the node that was chosen.
CARD_OF_NODE = _to("gpu-card", "This GPU", ("node", "$node"), ("gpu", _row("GPU")))
# From the map, whose columns are GPUs.
CARD_OF_CELL = _to(
    "gpu-card",
    "This GPU",
    ("node", _row("Node")),
    ("gpu", "${__field.name}"),
)
