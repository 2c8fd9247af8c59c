"""Where clicks lead: to other dashboards, with the time range and what was chosen."""

from dataclasses import replace

from grafana.builder.model import Link

_KEPT = "${__url_time_range}&${resolution:queryparam}"
_CLUSTERS = "${cluster:queryparam}"
# A label that rows of tables have beside their others, unseen: the cluster that a click leads to.
WITHIN = "within"


def _to(uid: str, title: str, *chosen: tuple[str, str]) -> Link:
    """A link that stays within the clusters that are chosen, unless it chooses others."""
    choice = [f"var-{variable}={value}" for variable, value in chosen]
    if "cluster" not in dict(chosen):
        choice.insert(0, _CLUSTERS)
    return Link(title, f"/d/{uid}?{'&'.join(choice)}&{_KEPT}")


def _series(label: str) -> str:
    """A label of the series."""
    return f"${{__field.labels.{label}:percentencode}}"


def _row(label: str) -> str:
    """A label of the table's row, by its title there."""
    return f'${{__data.fields["{label}"]:percentencode}}'


def within_cluster(link: Link) -> Link:
    """The link to the same within the cluster of the row, of a table that has ``WITHIN``."""
    return replace(link, url=link.url.replace(_CLUSTERS, f"var-cluster={_row(WITHIN)}"))


def told_within(expr: str) -> str:
    """A query of a table whose series tell ``WITHIN``: all clusters, of one without a cluster.

    Of a label that no row has, Grafana would leave the placeholder in the link. A label that is
    copied from one that is not there stays as it was.
    """
    return f'label_copy(label_set({expr}, "{WITHIN}", ".*"), "cluster", "{WITHIN}")'


_NODE = ("node", _series("node"))
_NODE_THERE = ("node", _row("Node"))
_GPU_THERE = ("gpu", _row("GPU"))
_USER_THERE = ("user", _row("User"))
_WASTE = "This user's jobs and waste"

# From curves, numbers and bars, whose series have the labels.
NODE = _to("gpu-node", "This node", _NODE)
CARD = _to("gpu-card", "This GPU", _NODE, ("gpu", _series("gpu")))
USER = _to("gpu-jobs", _WASTE, ("user", _series("user")))
# From tables, whose rows have columns with these titles.
NODE_OF_ROW = _to("gpu-node", "This node", _NODE_THERE)
CARD_OF_ROW = _to("gpu-card", "This GPU", _NODE_THERE, _GPU_THERE)
USER_OF_ROW = _to("gpu-jobs", _WASTE, _USER_THERE)
PROCESSES_OF_ROW = _to("gpu-processes", "Processes of its user", _USER_THERE)
CLUSTER_OF_ROW = _to("gpu-fleet", "This cluster", ("cluster", _row(WITHIN)))
# From rows of the node that was chosen.
CARD_OF_NODE = _to("gpu-card", "This GPU", ("node", "${node:percentencode}"), _GPU_THERE)
# From the map, whose columns are GPUs.
CARD_OF_CELL = _to("gpu-card", "This GPU", _NODE_THERE, ("gpu", "${__field.name:percentencode}"))
