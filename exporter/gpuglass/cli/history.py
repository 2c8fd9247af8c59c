"""``gpuglass alerts history``: what fired, as vmalert wrote it into the storage."""

import dataclasses
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import click

from gpuglass.cli.settings import SettingsCommand, duration
from gpuglass.cli.storage import tier_options, victoriametrics_option, way_option
from gpuglass.cli.tables import ago, aligned, moment
from gpuglass.keeper.http import Way
from gpuglass.keeper.victoriametrics import Labels, QueryError, VictoriaMetrics

_LONGEST = 400 * 86400.0
_MOST_MOMENTS = 2000
# The alert that always fires: where it is, alerts were evaluated.
_ALWAYS = 'ALERTS{alertname="GPUStackWatchdog",alertstate="firing"}'


@dataclass(frozen=True)
class Source:
    """A storage with alerts.

    Attributes:
        step: Seconds between two of its values at most: what it cannot tell apart.
    """

    storage: VictoriaMetrics
    step: float


def sources(raw: str, minute: str | None, hour: str | None, way: Way) -> list[Source]:
    """The storages by their addresses, the one that tells most first."""
    # vmalert evaluates the slowest of our rules once a minute.
    places = (
        (raw, "--victoriametrics.url", 60.0),
        (minute, "--rollup.minute-url", 60.0),
        (hour, "--rollup.hour-url", 3600.0),
    )
    return [Source(VictoriaMetrics(url, flag, way=way), step) for url, flag, step in places if url]


@dataclass(frozen=True)
class History:
    """What fired.

    Attributes:
        start_timestamp_seconds: From when on it is known, as Unix time; None if it never is.
        episodes: In the order of their beginning.
    """

    start_timestamp_seconds: float | None
    episodes: "list[Episode]"


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
@victoriametrics_option()
@tier_options
@way_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, in base units.")
def command(
    seconds: float,
    node: str | None,
    victoriametrics_url: str,
    minute_url: str | None,
    hour_url: str | None,
    way: Way,
    as_json: bool,
) -> None:
    """Print what fired and for how long, the latest at the end.

    Begin and end are exact to a minute within a day, to a 2000th of a longer time, and to an hour
    where only hours are kept.
    """
    now = time.time()
    asked = sources(victoriametrics_url, minute_url, hour_url, way)
    try:
        told = history(asked, now - seconds, now, node)
    except QueryError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(told), indent=2))
        return
    click.echo(_table(told.episodes, now) if told.episodes else "no alert fired")
    if told.start_timestamp_seconds is None:
        click.echo("Nothing is known of this time: no alerts were evaluated, or none are kept.")
    elif told.start_timestamp_seconds > now - seconds:
        click.echo(f"Nothing is known of the time before {moment(told.start_timestamp_seconds)}.")


def history(
    sources: Iterable[Source], start: float, end: float, node: str | None = None
) -> History:
    """What fired, each time asked of the first storage that knows of it.

    Args:
        sources: The storages, the one that tells most first.
        start: The beginning of the time of interest, as Unix time.
        end: Its end, as Unix time.
        node: A node's name, if only its alerts are wanted.

    Raises:
        QueryError: VictoriaMetrics cannot be asked.
    """
    runs: dict[str, list[_Run]] = {}
    until, known = end, None
    for source in sources:
        first = _first(source, start, until)
        since = start if first is None else first
        for labels, run in _asked(source, since, until, node):
            runs.setdefault(json.dumps(labels, sort_keys=True), []).append(run)
        known = known if first is None else first
        until = since if first is not None else until
        if until <= start:
            break
    found = [
        Episode(json.loads(labels), run.start, None if run.end + 2 * run.step > end else run.end)
        for labels, pieces in runs.items()
        for run in _joined(pieces)
    ]
    found.sort(key=lambda e: (e.start_timestamp_seconds, sorted(e.labels.items())))
    return History(known, found)


@dataclass(frozen=True)
class _Run:
    """The first and the last moment of what has no gap, as Unix times; less than a step is none."""

    start: float
    end: float
    step: float


def _first(source: Source, start: float, end: float) -> float | None:
    """From when on a storage knows of alerts; ``start`` if it is about from there on."""
    query = f"min(tfirst_over_time({_ALWAYS}[{max(1, round(end - start))}s]))"
    for _, first in source.storage.query(query, end):
        return start if first <= start + 2 * source.step else first
    return None


def _asked(
    source: Source, start: float, end: float, node: str | None
) -> Iterator[tuple[Labels, _Run]]:
    step = max(source.step, (end - start) / _MOST_MOMENTS)
    of_node = f",node={json.dumps(node)}" if node is not None else ""
    # What always fires is no news.
    series = f'ALERTS{{alertstate="firing",severity!="none"{of_node}}}'
    query = f"last_over_time({series}[{step:.0f}s])"
    for labels, points in source.storage.query_range(query, start, end, round(step)):
        for run in _joined(_Run(at, at, step) for at, _ in points):
            yield _known(labels), run


def _joined(runs: Iterable[_Run]) -> list[_Run]:
    """Runs without those gaps that are none at their steps."""
    found: list[_Run] = []
    for run in sorted(runs, key=lambda run: run.start):
        last = found[-1] if found else None
        if last is not None and run.start - last.end <= 1.5 * max(run.step, last.step):
            # Its end is as exact as the piece that has it.
            found[-1] = dataclasses.replace(run, start=last.start)
        else:
            found.append(run)
    return found


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
