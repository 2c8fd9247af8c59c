"""``gpuglass status``: a table of the nodes and their GPUs."""

import dataclasses
import json
import time
from collections.abc import Callable

import click

from gpuglass.cli.nodes import Gpu, Node, fetch, nobody_is_told
from gpuglass.cli.settings import SettingsCommand, duration
from gpuglass.cli.storage import victoriametrics_option, way_option
from gpuglass.cli.tables import ago, aligned
from gpuglass.keeper.http import Way
from gpuglass.keeper.victoriametrics import QueryError

_PAUSE = 0.5
# How much longer to wait for what is a rate, and needs two scrapes.
_RATE = 15.0
_GIB = 1 << 30


@click.command("status", cls=SettingsCommand)
@victoriametrics_option()
@way_option
@click.option(
    "--wait",
    "wait",
    type=duration(0, 3600),
    default="0s",
    show_default=True,
    help="Time to wait until a node is up and has answered.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, in base units.")
def command(victoriametrics_url: str, way: Way, wait: float, as_json: bool) -> None:
    """Print each node and its GPUs as VictoriaMetrics has them now."""
    nodes = _nodes_within(victoriametrics_url, way, wait)
    if as_json:
        click.echo(json.dumps({"nodes": [dataclasses.asdict(n) for n in nodes]}, indent=2))
        return
    click.echo(render(nodes, time.time()))
    try:
        untold = nobody_is_told(victoriametrics_url, way)
    except QueryError as error:
        raise click.ClickException(str(error)) from None
    if untold:
        click.echo("\nNobody is told of alerts yet: see victoriametrics/alertmanager/README.md")


def _nodes_within(url: str, way: Way, wait: float) -> list[Node]:
    """The nodes as soon as one is complete, or as they are when the time is over."""
    end = time.monotonic() + wait
    while True:
        late = time.monotonic() >= end
        try:
            nodes = fetch(url, way)
            complete = [node for node in nodes if node.complete]
            if complete:
                end = min(end, time.monotonic() + _RATE)
            if late or (complete and all(node.cpu_ratio is not None for node in complete)):
                return _some_up(nodes)
        except QueryError as error:
            if late:
                raise click.ClickException(str(error)) from None
        time.sleep(_PAUSE)


def _some_up(nodes: list[Node]) -> list[Node]:
    if not nodes:
        raise click.ClickException(
            "no targets are scraped; gpuglass targets add HOST:9400 lists a node, which is scraped "
            "within 30 seconds; if it is not, gpuglass targets check says why"
        )
    if not any(node.up for node in nodes):
        named = ", ".join(node.instance for node in nodes[:3]) + (" ..." if nodes[3:] else "")
        raise click.ClickException(
            f"no node is up ({named}); gpuglass targets check says why, "
            "of those that push gpuglass workers list"
        )
    return nodes


def render(nodes: list[Node], now: float) -> str:
    """Write the tables of nodes and of GPUs for people.

    Args:
        nodes: What to show, in this order.
        now: The present, as Unix time.
    """
    hosts: list[tuple[str, ...]] = [("NODE", "STATE", "CPU", "MEMORY")]
    hosts += [(n.node, _state(n, now), _percent(n.cpu_ratio), _host_memory(n)) for n in nodes]
    cards: list[tuple[str, ...]] = [("NODE", "GPU", "NAME", "UTIL", "MEMORY", "POWER", "TEMP")]
    for node in nodes:
        cards += [_card(node, gpu) for gpu in node.gpus]
        if node.up and not node.gpus:
            cards.append((node.node, "-", f"no GPU: {node.gpu_problem or 'none seen yet'}"))
    return aligned(hosts) + "\n\n" + aligned(cards)


def _state(node: Node, now: float) -> str:
    if node.up:
        return "up"
    if node.last_seen_timestamp_seconds is None:
        return "down, not seen within a day"
    return f"down, seen {ago(now - node.last_seen_timestamp_seconds)} ago"


def _host_memory(node: Node) -> str:
    total, available = node.memory_total_bytes, node.memory_available_bytes
    used = None if total is None or available is None else total - available
    return _of(used, total, lambda b: f"{b / _GIB:.1f}", "GiB")


def _card(node: Node, gpu: Gpu) -> tuple[str, ...]:
    if not gpu.up:
        return (node.node, gpu.gpu, f"{gpu.name or gpu.uuid}: down")
    return (
        node.node,
        gpu.gpu,
        gpu.name or "-",
        _percent(gpu.utilization_ratio),
        _of(gpu.memory_used_bytes, gpu.memory_total_bytes, lambda b: f"{b / _GIB:.1f}", "GiB"),
        _of(gpu.power_watts, gpu.power_limit_watts, lambda w: f"{w:.0f}", "W"),
        "-" if gpu.temperature_celsius is None else f"{gpu.temperature_celsius:.0f} °C",
    )


def _percent(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio * 100:.0f} %"


def _of(part: float | None, whole: float | None, form: Callable[[float], str], unit: str) -> str:
    if part is None and whole is None:
        return "-"
    shown = ["-" if value is None else form(value) for value in (part, whole)]
    return f"{' / '.join(shown)} {unit}"
