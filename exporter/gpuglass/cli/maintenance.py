"""``gpuglass maintenance``: nobody is told of a node for a while."""

import difflib
import json
import time
from collections.abc import Sequence
from typing import Any

import click

from gpuglass.cli.nodes import names
from gpuglass.cli.settings import SettingsCommand, duration
from gpuglass.cli.silencing import alertmanager_option, asked, author_option, short, word
from gpuglass.cli.storage import victoriametrics_option, way_option
from gpuglass.cli.tables import aligned, moment
from gpuglass.keeper.alertmanager import silences
from gpuglass.keeper.alertmanager.api import Alertmanager, Silence
from gpuglass.keeper.http import Way
from gpuglass.keeper.victoriametrics import QueryError

_LONGEST = 365 * 86400.0


class _Group(click.Group):
    """Takes what is none of its commands for `start`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = ["start", *args]
        return super().parse_args(ctx, args)


@click.group("maintenance", cls=_Group)
def command() -> None:
    """Hold back all messages of a node for a while.

    `gpuglass maintenance NODE... --for 2h` is short for `gpuglass maintenance start NODE...`, which
    a node needs that is called list, end or start.
    """


@command.command(cls=SettingsCommand)
@click.argument("nodes", metavar="NODE...", nargs=-1, required=True, type=word)
@click.option(
    "--for",
    "seconds",
    type=duration(60, _LONGEST),
    required=True,
    help="How long from now, such as 2h; asked again, the end changes.",
)
@click.option("--comment", default="maintenance", show_default=True, help="What is being done.")
@author_option
@alertmanager_option
@victoriametrics_option(", which knows the nodes")
@way_option
def start(
    nodes: tuple[str, ...],
    seconds: float,
    comment: str,
    author: str,
    alertmanager_url: str,
    victoriametrics_url: str,
    way: Way,
) -> None:
    """Silence every alert whose label `node` is one of the names of a NODE."""
    known = _known(victoriametrics_url, way)
    now = time.time()
    called = dict.fromkeys(tuple(sorted(_names(node, known))) for node in dict.fromkeys(nodes))
    wanted = [
        silences.maintenance(known_as, author, comment or "maintenance", now, now + seconds)
        for known_as in called
    ]
    asked(alertmanager_url, way, lambda am: _start(am, wanted))
    for known_as in called:
        click.echo(
            f"{' or '.join(known_as)}: no messages until {moment(now + seconds)}; before that: "
            f"gpuglass maintenance end {known_as[0]}"
        )


@command.command("list", cls=SettingsCommand)
@alertmanager_option
@way_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, in base units.")
def list_command(alertmanager_url: str, way: Way, as_json: bool) -> None:
    """Print the nodes that are in maintenance."""
    held = asked(alertmanager_url, way, _held)
    if as_json:
        click.echo(json.dumps({"maintenance": [_as_json(silence) for silence in held]}, indent=2))
    elif held:
        click.echo(_table(held))
    else:
        click.echo("no node is in maintenance")


@command.command(cls=SettingsCommand)
@click.argument("what", metavar="NODE|ID...", nargs=-1, required=True, type=word)
@alertmanager_option
@way_option
def end(what: tuple[str, ...], alertmanager_url: str, way: Way) -> None:
    """End the maintenance of a node, or the one with an ID of `list`."""
    for silence in asked(alertmanager_url, way, lambda am: _end(am, what)):
        click.echo(f"{' or '.join(silences.nodes(silence))}: messages are sent again")


def _known(victoriametrics_url: str, way: Way) -> list[set[str]] | None:
    """The names of each node; None, and a warning, if VictoriaMetrics does not tell."""
    try:
        return names(victoriametrics_url, way)
    except QueryError as error:
        click.echo(
            f"gpuglass: warning: whether there is such a node is not known: {error}", err=True
        )
        return None


def _names(node: str, known: list[set[str]] | None) -> set[str]:
    """Every name of a node, whichever of them is given."""
    found = set[str]().union(*(names for names in known or () if node in names))
    if known is not None and not found:
        near = difflib.get_close_matches(node, set[str]().union(*known), 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        click.echo(f"gpuglass: warning: no target is called {node}{hint}", err=True)
    return found or {node}


def _start(alertmanager: Alertmanager, wanted: Sequence[Silence]) -> None:
    before = _held(alertmanager)
    meant: set[str] = set()
    for silence in wanted:
        alertmanager.put(silence)
        meant.update(silences.nodes(silence))
    # A node may have had fewer names, or others besides.
    for silence in before:
        if not meant.isdisjoint(silences.nodes(silence)):
            alertmanager.expire(silence.id)


def _held(alertmanager: Alertmanager) -> list[Silence]:
    held = [s for s in alertmanager.silences() if silences.is_maintenance(s)]
    return sorted(held, key=lambda s: (silences.nodes(s), s.ends))


def _end(alertmanager: Alertmanager, what: Sequence[str]) -> list[Silence]:
    held = _held(alertmanager)
    found: dict[str, Silence] = {}
    for each in what:
        meant = [s for s in held if each in silences.nodes(s)]
        meant = meant or [s for s in held if s.id.startswith(each)]
        if not meant:
            raise click.ClickException(
                f"{each}: no such maintenance; see gpuglass maintenance list"
            )
        if len({tuple(silences.nodes(s)) for s in meant}) > 1:
            ids = ", ".join(short(s.id, [other.id for other in held]) for s in meant)
            raise click.ClickException(
                f"{each}: {len(meant)} maintenances are that: {ids}; say which"
            )
        found.update((silence.id, silence) for silence in meant)
    for silence in found.values():
        alertmanager.expire(silence.id)
    return list(found.values())


def _table(held: list[Silence]) -> str:
    rows: list[tuple[str, ...]] = [("ID", "NODE", "UNTIL", "BY", "COMMENT")]
    ids = [silence.id for silence in held]
    rows += [
        (
            short(silence.id, ids),
            ", ".join(silences.nodes(silence)),
            moment(silence.ends),
            silence.author,
            silence.comment,
        )
        for silence in held
    ]
    return aligned(rows)


def _as_json(silence: Silence) -> dict[str, Any]:
    return {
        "id": silence.id,
        "nodes": silences.nodes(silence),
        "author": silence.author,
        "comment": silence.comment,
        "start_timestamp_seconds": silence.starts,
        "end_timestamp_seconds": silence.ends,
    }
