"""``gpuglass alerts history``: what fired, as vmalert wrote it into the storage."""

import dataclasses
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import click

from gpuglass.cli.settings import SettingsCommand, duration
from gpuglass.cli.storage import victoriametrics_option
from gpuglass.cli.tables import ago, aligned, moment
from gpuglass.keeper.victoriametrics import Points, QueryError, VictoriaMetrics

_LONGEST = 400 * 86400.0
# As often as vmalert evaluates the slowest of our rules; at most so many moments are asked for.
_LEAST_STEP, _MOST_MOMENTS = 60.0, 2000


@dataclass(frozen=True)
class Episode:
    """One time in which an alert fired, as Unix times.

    Attributes:
        end_timestamp_seconds: None while it fires.
    """

    labels: dict[str, str]
    start_timestamp_seconds: float
    end_timestamp_seconds: float | None


@click.command("history", cls=SettingsCommand)
@click.option(
    "--since",
    "seconds",
    type=duration(60, _LONGEST),
    default="7d",
    show_default=True,
    help="How far to look back.",
)
@click.option("--node", help="Only alerts of this node.")
@victoriametrics_option("; of a long-term tier for what is older")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, in base units.")
def command(seconds: float, node: str | None, victoriametrics_url: str, as_json: bool) -> None:
    """Print what fired and for how long, the latest at the end.

    Begin and end are exact to a minute within a day, and to a 2000th of a longer time.
    """
    now = time.time()
    try:
        found = episodes(victoriametrics_url, now - seconds, now, node)
    except QueryError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps({"episodes": [dataclasses.asdict(e) for e in found]}, indent=2))
    elif found:
        click.echo(_table(found, now))
    else:
        click.echo("no alert fired")


def episodes(url: str, start: float, end: float, node: str | None = None) -> list[Episode]:
    """What fired, in the order of its beginning.

    Args:
        url: Where VictoriaMetrics is.
        start: The beginning of the time of interest, as Unix time.
        end: Its end, as Unix time.
        node: A node's name, if only its alerts are wanted.

    Raises:
        QueryError: VictoriaMetrics cannot be asked.
    """
    step = max(_LEAST_STEP, (end - start) / _MOST_MOMENTS)
    of_node = f",node={json.dumps(node)}" if node is not None else ""
    # What always fires is no news.
    series = f'ALERTS{{alertstate="firing",severity!="none"{of_node}}}'
    query = f"last_over_time({series}[{step:.0f}s])"
    storage = VictoriaMetrics(url, "--victoriametrics.url")
    found = [
        Episode(_known(labels), began, None if ended + 2 * step > end else ended)
        for labels, points in storage.query_range(query, start, end, round(step))
        for began, ended in _runs(points, step)
    ]
    return sorted(found, key=lambda e: (e.start_timestamp_seconds, sorted(e.labels.items())))


def _runs(points: Points, step: float) -> Iterator[tuple[float, float]]:
    """The first and last moments of what has no gap."""
    began = ended = None
    for at, _ in points:
        if began is None or ended is None or at - ended > 1.5 * step:
            if began is not None and ended is not None:
                yield began, ended
            began = at
        ended = at
    if began is not None and ended is not None:
        yield began, ended


def _known(labels: dict[str, str]) -> dict[str, str]:
    return {n: v for n, v in labels.items() if n not in ("__name__", "alertstate", "alertgroup")}


def _table(found: Iterable[Episode], now: float) -> str:
    rows: list[tuple[str, ...]] = [("BEGAN", "LASTED", "SEVERITY", "ALERT", "NODE", "GPU", "XID")]
    for episode in found:
        began, ended = episode.start_timestamp_seconds, episode.end_timestamp_seconds
        lasted = ago((now if ended is None else ended) - began)
        names = ("severity", "alertname", "node", "gpu", "xid")
        rows.append(
            (
                moment(began),
                f"{lasted}, fires" if ended is None else lasted,
                *(episode.labels.get(name) or "-" for name in names),
            )
        )
    return aligned(rows)
