"""The nodes and GPUs as VictoriaMetrics has them now, asked for in PromQL."""

from dataclasses import dataclass, field

from gpuglass.catalogue import device, exporter, host, keeper
from gpuglass.keeper.http import PLAIN, Way
from gpuglass.keeper.victoriametrics import VictoriaMetrics

_GAUGES = {
    device.UTILIZATION.name: "utilization_ratio",
    device.MEMORY_USED.name: "memory_used_bytes",
    device.MEMORY_TOTAL.name: "memory_total_bytes",
    device.POWER.name: "power_watts",
}
# Facts that are one of several on their metric: the label's value that is wanted.
_LABELLED_GAUGES = {
    device.POWER_LIMIT.name: ("limit", "enforced", "power_limit_watts"),
    device.TEMPERATURE.name: ("sensor", "core", "temperature_celsius"),
}
_HOST_GAUGES = {
    host.MEMORY_TOTAL.name: "memory_total_bytes",
    host.MEMORY_AVAILABLE.name: "memory_available_bytes",
}
_COLLECTOR = (exporter.COLLECTOR_SUCCESS.name, exporter.COLLECTOR_FAILURE.name)
_NAMES = "|".join(
    (
        "up",
        device.INFO_.name,
        device.UP.name,
        device.DEVICES.name,
        *_GAUGES,
        *_LABELLED_GAUGES,
        *_HOST_GAUGES,
        *_COLLECTOR,
    )
)
_FACTS = f'{{__name__=~"{_NAMES}",job="gpu"}}'
_CPU = host.CPU_SECONDS.name
_BUSY = (
    f'1 - sum by (instance) (rate({_CPU}{{job="gpu",mode=~"idle|iowait"}}[1m]))'
    f' / sum by (instance) (rate({_CPU}{{job="gpu"}}[1m]))'
)
# This series is there exactly when a scrape succeeded.
_SEEN = f'max by (instance) (tlast_over_time({exporter.BUILD_INFO.name}{{job="gpu"}}[1d]))'


@dataclass
class Gpu:
    """One GPU now; what is not known is None."""

    gpu: str
    uuid: str
    up: bool = True
    name: str | None = None
    utilization_ratio: float | None = None
    memory_used_bytes: float | None = None
    memory_total_bytes: float | None = None
    power_watts: float | None = None
    power_limit_watts: float | None = None
    temperature_celsius: float | None = None


@dataclass
class Node:
    """One scraped node now; what is not known is None."""

    node: str
    instance: str
    up: bool = False
    last_seen_timestamp_seconds: float | None = None
    cpu_ratio: float | None = None
    memory_total_bytes: float | None = None
    memory_available_bytes: float | None = None
    gpus: list[Gpu] = field(default_factory=list)
    gpu_problem: str | None = None

    @property
    def complete(self) -> bool:
        """Whether the node has answered for its memory and its GPUs, of which it may have none."""
        gpus_known = bool(self.gpu_problem or self.gpus)
        return self.up and self.memory_total_bytes is not None and gpus_known


def fetch(url: str, way: Way = PLAIN) -> list[Node]:
    """Ask VictoriaMetrics for the present state.

    Args:
        url: Where it is.
        way: How to get there.

    Returns:
        The nodes in order of their names, with their GPUs in NVML's order.

    Raises:
        QueryError: It cannot be reached or does not answer as VictoriaMetrics does.
    """
    storage = VictoriaMetrics(url, "--victoriametrics.url", way=way)
    facts = list(storage.query(_FACTS))
    nodes = {
        labels["instance"]: Node(
            labels.get("node", labels["instance"]), labels["instance"], value == 1
        )
        for labels, value in facts
        if labels["__name__"] == "up"
    }
    for labels, value in facts:
        node = nodes.get(labels["instance"])
        if node is not None and node.up:
            _add(node, labels, value)
    for attribute, query in (("cpu_ratio", _BUSY), ("last_seen_timestamp_seconds", _SEEN)):
        for labels, value in storage.query(query):
            if labels.get("instance") in nodes:
                setattr(nodes[labels["instance"]], attribute, value)
    for node in nodes.values():
        node.gpus.sort(key=lambda g: (len(g.gpu), g.gpu))
    return sorted(nodes.values(), key=lambda n: (n.node, n.instance))


def nobody_is_told(url: str, way: Way = PLAIN) -> bool:
    """Whether alerts have no receivers.

    Args:
        url: Where VictoriaMetrics is.
        way: How to get there.

    Returns:
        True only where a keeper says so.

    Raises:
        QueryError: It cannot be reached or does not answer as VictoriaMetrics does.
    """
    storage = VictoriaMetrics(url, "--victoriametrics.url", way=way)
    counts = [count for _, count in storage.query(f"sum({keeper.RECEIVERS.name})")]
    return counts == [0]


def names(url: str, way: Way = PLAIN) -> list[set[str]]:
    """What each node is called: by its targets, and by its exporter, within the last day.

    Args:
        url: Where VictoriaMetrics is, without a slash at its end.
        way: How to get there.

    Raises:
        QueryError: It cannot be reached or does not answer as VictoriaMetrics does.
    """
    seen = f'last_over_time({{__name__=~"up|{exporter.BUILD_INFO.name}",job="gpu"}}[1d])'
    found: dict[str, set[str]] = {}
    storage = VictoriaMetrics(url, "--victoriametrics.url", way=way)
    for labels, _ in storage.query(f"count by (instance, node) ({seen})"):
        if "node" in labels:
            found.setdefault(labels["instance"], set()).add(labels["node"])
    return list(found.values())


def _add(node: Node, labels: dict[str, str], value: float) -> None:
    name = labels["__name__"]
    if name in _HOST_GAUGES:
        setattr(node, _HOST_GAUGES[name], value)
        # The exporter's own name, where the target has only an address.
        node.node = labels.get("node", node.node)
    elif name in _COLLECTOR:
        if labels.get("collector") == "nvml":
            _add_collector(node, labels, value)
    elif name == device.DEVICES.name and value == 0:
        node.gpu_problem = "the driver lists none"
    elif "uuid" in labels:
        _add_gpu(node, labels, value)


def _add_collector(node: Node, labels: dict[str, str], value: float) -> None:
    if labels["__name__"] == exporter.COLLECTOR_FAILURE.name:
        node.gpu_problem = labels.get("reason", "")
    elif value == 0:
        node.gpu_problem = node.gpu_problem or "NVML cannot be read"


def _add_gpu(node: Node, labels: dict[str, str], value: float) -> None:
    uuid = labels["uuid"]
    gpu = next((g for g in node.gpus if g.uuid == uuid), None)
    if gpu is None:
        gpu = Gpu(labels.get("gpu", ""), uuid)
        node.gpus.append(gpu)
    name = labels["__name__"]
    if name == device.INFO_.name:
        gpu.name = labels.get("name")
    elif name == device.UP.name:
        gpu.up = value == 1
    elif name in _GAUGES:
        setattr(gpu, _GAUGES[name], value)
    elif name in _LABELLED_GAUGES:
        label, wanted, attribute = _LABELLED_GAUGES[name]
        if labels.get(label) == wanted:
            setattr(gpu, attribute, value)
