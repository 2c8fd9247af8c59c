"""``gpuglass alerts``: what fires, and who sees to it."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

from gpuglass.cli import history
from gpuglass.cli.named import NamedAlert, find
from gpuglass.cli.settings import SettingsCommand
from gpuglass.cli.silencing import alertmanager_option, asked, author_option, short, word
from gpuglass.cli.storage import way_option
from gpuglass.cli.tables import ago, aligned, moment
from gpuglass.keeper.alertmanager import silences
from gpuglass.keeper.alertmanager.api import Alert, Alertmanager, Silence
from gpuglass.keeper.http import Way

_SEVERITIES = ("critical", "warning", "info")


@click.group("alerts")
def command() -> None:
    """See what fires, and say who sees to it.

    An ALERT is the ID that `gpuglass alerts list` shows, or the beginning of one; or its name, with
    the node and the GPU where that is not enough: GPULost, GPULost/gpu01, GPULost/gpu01/3.
    """


command.add_command(history.command)


@dataclass(frozen=True)
class _Listed:
    """One alert, or the acknowledgement of one that is gone."""

    labels: dict[str, str]
    alert: Alert | None
    held_by: tuple[Silence, ...]

    @property
    def id(self) -> str:
        return self.alert.fingerprint if self.alert else silences.fingerprint(self.labels)

    @property
    def state(self) -> str:
        if self.alert is None:
            return "ended"
        if self.held_by:
            return "silenced"
        if self.alert.inhibited_by:
            return "inhibited"
        # For a reason that is not told, such as a silence that was made since.
        return "suppressed" if self.alert.state == "suppressed" else "firing"


@command.command("list", cls=SettingsCommand)
@alertmanager_option
@way_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, in base units.")
def list_command(alertmanager_url: str, way: Way, as_json: bool) -> None:
    """Print each alert that fires, and what holds its messages back."""
    listed = asked(alertmanager_url, way, _listed)
    if as_json:
        click.echo(json.dumps({"alerts": [_as_json(entry) for entry in listed]}, indent=2))
    elif listed:
        click.echo(_table(listed, time.time()))
    else:
        click.echo("no alert fires")


@command.command(cls=SettingsCommand)
@click.argument("alerts", metavar="ALERT...", nargs=-1, required=True, type=word)
@click.option("--comment", required=True, help="What is being done about it.")
@author_option
@alertmanager_option
@way_option
def ack(
    alerts: tuple[str, ...], comment: str, author: str, alertmanager_url: str, way: Way
) -> None:
    """Acknowledge alerts: nobody is told of them again until they end.

    Each is silenced with your name and comment, and no other alert is. The keeper ends the silence
    some minutes after the alert has; where no keeper runs, it ends within a day.
    """
    if not comment.strip():
        raise click.UsageError("--comment is empty; say what is being done")
    for line in asked(alertmanager_url, way, lambda am: _acknowledge(am, alerts, author, comment)):
        click.echo(line)


@command.command(cls=SettingsCommand)
@click.argument("alerts", metavar="ALERT...", nargs=-1, required=True, type=word)
@alertmanager_option
@way_option
def unack(alerts: tuple[str, ...], alertmanager_url: str, way: Way) -> None:
    """Take acknowledgements back: messages are sent again."""
    for line in asked(alertmanager_url, way, lambda am: _take_back(am, alerts)):
        click.echo(line)


def _listed(alertmanager: Alertmanager) -> list[_Listed]:
    made = {silence.id: silence for silence in alertmanager.silences()}
    firing = [
        _Listed(alert.labels, alert, tuple(made[s] for s in alert.silenced_by if s in made))
        for alert in alertmanager.alerts()
    ]
    known = [entry.labels for entry in firing]
    acks = {
        silences.fingerprint(silences.acknowledged(silence)): silence
        for silence in made.values()
        if silences.is_acknowledgement(silence)
    }
    ended = [
        _Listed(silences.acknowledged(ack), None, (ack,))
        for ack in acks.values()
        if silences.acknowledged(ack) not in known
    ]
    return sorted(firing + ended, key=_urgency)


def _urgency(entry: _Listed) -> tuple[Any, ...]:
    severity = entry.labels.get("severity", "")
    rank = _SEVERITIES.index(severity) if severity in _SEVERITIES else len(_SEVERITIES)
    names = [entry.labels.get(name, "") for name in ("alertname", "node", "gpu")]
    return entry.state != "firing", rank, *names, entry.id


def _acknowledge(
    alertmanager: Alertmanager, words: Sequence[str], author: str, comment: str
) -> list[str]:
    firing = [NamedAlert(alert.fingerprint, alert.labels) for alert in alertmanager.alerts()]
    wanted = _found(words, firing, "fires now")
    held = [s for s in alertmanager.silences() if silences.is_acknowledgement(s)]
    lines = []
    for alert in wanted:
        made = silences.acknowledgement(alert.labels, author, comment, time.time())
        alertmanager.put(made)
        for silence in held:
            if silences.acknowledged(silence) == alert.labels:
                alertmanager.expire(silence.id)
        lines.append(
            f"{alert.title} is acknowledged; to take that back: "
            f"gpuglass alerts unack {short(alert.id, [other.id for other in firing])}"
        )
    return lines


def _found(words: Sequence[str], alerts: Sequence[NamedAlert], state: str) -> list[NamedAlert]:
    """The alerts that the words mean, each once."""
    found = {alert.id: alert for alert in (find(each, alerts, state) for each in words)}
    return list(found.values())


def _take_back(alertmanager: Alertmanager, words: Sequence[str]) -> list[str]:
    acks = [s for s in alertmanager.silences() if silences.is_acknowledgement(s)]
    held = {
        silences.fingerprint(silences.acknowledged(ack)): silences.acknowledged(ack) for ack in acks
    }
    known = [NamedAlert(id, labels) for id, labels in held.items()]
    wanted = _found(words, known, "is acknowledged")
    for alert in wanted:
        for ack in acks:
            if silences.acknowledged(ack) == alert.labels:
                alertmanager.expire(ack.id)
    return [f"{alert.title} is not acknowledged any more" for alert in wanted]


def _table(listed: list[_Listed], now: float) -> str:
    ids = [entry.id for entry in listed]
    rows: list[tuple[str, ...]] = [
        ("ID", "SEVERITY", "ALERT", "NODE", "GPU", "FOR", "STATE", "WHAT")
    ]
    for entry in listed:
        labels, alert = entry.labels, entry.alert
        rows.append(
            (
                short(entry.id, ids),
                *(labels.get(n) or "-" for n in ("severity", "alertname", "node", "gpu")),
                ago(now - alert.starts) if alert else "-",
                _state(entry),
                (alert.annotations.get("summary", "") if alert else "") or "-",
            )
        )
    return aligned(rows)


def _state(entry: _Listed) -> str:
    for silence in entry.held_by:
        if silences.is_acknowledgement(silence):
            state = f"acknowledged by {silence.author}: {silence.comment}"
            return state if entry.alert else f"ended, {state}"
    for silence in entry.held_by:
        if silences.is_maintenance(silence):
            return f"maintenance until {moment(silence.ends)}"
    return f"silenced by {entry.held_by[0].author}" if entry.held_by else entry.state


def _as_json(entry: _Listed) -> dict[str, Any]:
    return {
        "id": entry.id,
        "state": entry.state,
        "labels": entry.labels,
        "annotations": entry.alert.annotations if entry.alert else {},
        "start_timestamp_seconds": entry.alert.starts if entry.alert else None,
        "silences": [
            {
                "id": silence.id,
                "kind": _kind(silence),
                "author": silence.author,
                "comment": silence.comment,
                "end_timestamp_seconds": silence.ends,
            }
            for silence in entry.held_by
        ],
    }


def _kind(silence: Silence) -> str:
    if silences.is_acknowledgement(silence):
        return "acknowledgement"
    return "maintenance" if silences.is_maintenance(silence) else "silence"
