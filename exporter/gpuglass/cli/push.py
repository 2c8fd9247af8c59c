"""``gpuglass push``: on a worker that pushes, whether the monitoring host takes it."""

import sys
import time
from pathlib import Path
from typing import Any

import click

from gpuglass.cli.settings import SettingsCommand, duration, url
from gpuglass.push import contact, credentials, queue

_PAUSE = 0.5
# Keeper and vmauth look at what is new every two seconds.
_NEW_SECONDS = 10.0

push_url_option = click.option(
    "--push.url",
    "push_url",
    type=url,
    help="Address of the monitoring host that takes what this machine pushes.",
)
vmagent_option = click.option(
    "--push.vmagent-url",
    "push_vmagent",
    default="http://127.0.0.1:8429",
    show_default=True,
    help="Address of the vmagent that pushes, for how much waits in its queue.",
)
push_dir_option = click.option(
    "--push.dir",
    "push_dir",
    type=click.Path(path_type=Path),
    help="Folder with the token, the CA and the name that this machine was given.",
)


@click.group("push")
def command() -> None:
    """Look after a worker that pushes."""


@command.command(cls=SettingsCommand)
@click.argument("source", metavar="FILE|-", type=click.Path(path_type=Path))
@push_url_option
@push_dir_option
def join(source: Path, push_url: str | None, push_dir: Path | None) -> None:
    """Take what gpuglass workers add printed, once the host has been seen to know it."""
    address, folder = _needed(push_url, push_dir)
    try:
        content = (
            sys.stdin.buffer.read(credentials.MOST) if str(source) == "-" else source.read_bytes()
        )
        given = credentials.parse(content)
        made = _made(address, given)
        credentials.store(given, folder)
    except credentials.CredentialsError as error:
        raise click.ClickException(f"{source}: {error}") from None
    except OSError as error:
        raise click.ClickException(_line(error)) from None
    click.echo(_taken(given.node, address, made))


def _made(address: str, given: credentials.Credentials) -> contact.Contact:
    """Reach the host, which knows a token some seconds after ``gpuglass workers add``."""
    end = time.monotonic() + _NEW_SECONDS
    while True:
        try:
            return contact.make(address, given)
        except contact.RefusedError:
            if time.monotonic() > end:
                raise
        time.sleep(_PAUSE)


@command.command(cls=SettingsCommand)
@push_url_option
@push_dir_option
@vmagent_option
@click.option(
    "--wait",
    type=duration(0, 3600),
    default="0s",
    show_default=True,
    help="How long to wait until something has been pushed.",
)
def check(push_url: str | None, push_dir: Path | None, push_vmagent: str, wait: float) -> None:
    """Say whether the host takes what this machine pushes, and how its clock is."""
    address, folder = _needed(push_url, push_dir)
    end = time.monotonic() + wait
    try:
        given = credentials.load(folder)
        made = contact.make(address, given)
    except credentials.CredentialsError as error:
        raise click.ClickException(f"{folder}: {error}") from None
    except OSError as error:
        raise click.ClickException(_line(error)) from None
    while (queued := queue.ask(push_vmagent, folder)) is None or not queued.taken:
        if time.monotonic() >= end:
            raise click.ClickException(_not_yet(queued, push_vmagent))
        time.sleep(_PAUSE)
    click.echo(_taken(given.node, address, made))


def _not_yet(queued: queue.Queue | None, address: str) -> str:
    if queued is None:
        return f"vmagent does not answer at {address}, so nothing is pushed; see its log"
    return "the host would take it, but vmagent has pushed nothing yet; see its log"


def _needed(address: str | None, folder: Path | None) -> tuple[str, Path]:
    if address is None or folder is None:
        raise click.UsageError("this machine does not push; --push.url and --push.dir say so")
    return address, folder


def _taken(node: str, address: str, made: contact.Contact) -> str:
    return f"{address} takes what {node} pushes; this clock is {made.offset:+.1f} s off"


def _line(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"


def collectors(push_url: str | None, push_dir: Path | None, vmagent_url: str) -> list[Any]:
    """The collector of a machine that pushes; none of another.

    Raises:
        click.UsageError: One of the two is missing.
    """
    if push_url is None and push_dir is None:
        return []
    from gpuglass.push.collector import PushCollector

    return [PushCollector(*_needed(push_url, push_dir), vmagent_url)]
