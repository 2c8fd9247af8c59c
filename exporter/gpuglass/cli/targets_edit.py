"""``gpuglass targets add``, ``remove`` and ``import``."""

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from gpuglass.cli.settings import SettingsCommand
from gpuglass.cli.targets_options import (
    PATH,
    asking_options,
    dir_option,
    file_option,
    heed,
    label_option,
    told,
)
from gpuglass.keeper.lock import locked
from gpuglass.keeper.targets import access, address, edit, importing
from gpuglass.keeper.targets.file import GPUS_LABEL, Target, parse
from gpuglass.keeper.targets.store import Place, Store
from gpuglass.keeper.words import counted
from gpuglass.text import document

_PORT = 9400
_MOST_TOLD = 5


@click.command("add", cls=SettingsCommand)
@click.argument("addresses", metavar="HOST:PORT...", nargs=-1, required=True)
@label_option
@click.option("--gpus", type=click.IntRange(0, 999), help="How many GPUs each of them has.")
@file_option
@dir_option
@asking_options
def add(
    addresses: tuple[str, ...],
    labels: tuple[tuple[str, str], ...],
    gpus: int | None,
    file: str,
    directory: Path,
    **asked: Any,
) -> None:
    """Add nodes to a targets file; all else in it stays as it is.

    They are scraped within 30 seconds. One that does not answer yet is added, too; what is wrong
    with it is said.
    """
    counts = () if gpus is None else ((GPUS_LABEL, str(gpus)),)
    targets = _good(addresses, _no_label_twice((*labels, *counts)))
    with told(), locked(directory):
        store = Store(directory)
        places = store.places()
        for target in targets:
            if target.identity in places:
                there = places[target.identity]
                what = f"{target.address} is already a target at {there}"
                raise click.ClickException(f"{what}; edit it there, or remove it first")
        _write(store, file, targets)
    click.echo(f"{directory / file}: {counted(len(targets), 'target')} added")
    written = Store(directory).places()
    try:
        heed(((file, written[t.identity].target) for t in targets), asked, err=True)
    except access.WithheldError:
        # With Docker, what writes files as their owner is not shown the installation's password.
        click.echo("whether they answer: gpuglass targets check", err=True)
    except access.AccessError as error:
        click.echo(f"they cannot be asked: {error}", err=True)


def _no_label_twice(labels: Iterable[tuple[str, str]]) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, value in labels:
        if name in given:
            raise click.UsageError(f"label {name} is given twice; keep one")
        given[name] = value
    return given


def _good(addresses: Iterable[str], labels: Mapping[str, str]) -> tuple[Target, ...]:
    """Targets as the keeper would take them.

    Raises:
        click.UsageError: It would not.
    """
    group = [{"targets": list(addresses), "labels": dict(labels)}]
    file = parse("given.json", json.dumps(group).encode())
    if file.problems:
        raise click.UsageError(file.problems[0].what.replace("is also on line 1", "is given twice"))
    return file.targets


@click.command("remove", cls=SettingsCommand)
@click.argument("words", metavar="HOST:PORT|NODE...", nargs=-1, required=True)
@dir_option
def remove(words: tuple[str, ...], directory: Path) -> None:
    """Take nodes out of the targets files; all else in them stays as it is."""
    with told(), locked(directory):
        store = Store(directory)
        gone = {place.target.identity: place for place in _meant(words, store.places())}
        contents: dict[str, bytes] = {}
        for name in sorted({place.file for place in gone.values()}):
            leaving = [identity for identity, place in gone.items() if place.file == name]
            contents[name] = edit.remove(name, store.content(name), leaving)
        for name, content in contents.items():
            store.write(name, content)
    for name in contents:
        number = sum(place.file == name for place in gone.values())
        click.echo(f"{directory / name}: {counted(number, 'target')} removed")


def _meant(words: Iterable[str], places: Mapping[edit.Identity, Place]) -> Iterable[Place]:
    """The places of the targets that the words mean, one each."""
    for word in words:
        found = [place for place in places.values() if _is_called(word, place.target)]
        if not found:
            raise click.ClickException(
                f"{word}: no such target in a file without mistakes; see gpuglass targets list"
            )
        if len(found) > 1:
            some = ", ".join(place.target.address for place in found[:_MOST_TOLD])
            raise click.ClickException(f"{word}: several targets are that: {some}; say which")
        yield found[0]


def _is_called(word: str, target: Target) -> bool:
    try:
        return address.identity(word) == target.identity
    except ValueError:
        return word == dict(target.labels)["node"]


@click.command("import", cls=SettingsCommand)
@click.argument("source", metavar="FILE|-", type=PATH)
@click.option("--job", help="Job of a Prometheus configuration whose targets are meant.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Port of gpuglass on all of them, where FILE has another exporter's; "
    f"if not given, the ports stay, and {_PORT} is where none is.",
)
@label_option
@click.option("--dry-run", is_flag=True, help="Print what would be added, and change nothing.")
@file_option
@dir_option
def import_(
    source: Path,
    job: str | None,
    port: int | None,
    labels: tuple[tuple[str, str], ...],
    dry_run: bool,
    file: str,
    directory: Path,
) -> None:
    """Take over the targets of other monitoring; "-" is the standard input.

    FILE is a file of Prometheus's file_sd, such as Algalon's, a Prometheus configuration with
    scrape_configs, or a list of hosts, one a line. What is a target already is passed over.
    """
    with told():
        name, content = _source(source)
        found = importing.read(name, content, port or _PORT, port is not None, job)
    for problem in found.problems:
        click.echo(problem, err=True)
    if found.problems:
        raise click.exceptions.Exit(1)
    for note in found.notes:
        click.echo(note, err=True)
    if not found.targets:
        raise click.ClickException(f"{name}: no targets are in it")
    targets = _labelled(found.targets, _no_label_twice(labels))
    with told(), locked(directory):
        store = Store(directory)
        places = store.places()
        new = [target for target in targets if target.identity not in places]
        if new and dry_run:
            click.echo(edit.add(file, b"", edit.groups(new)), nl=False)
        elif new:
            _write(store, file, new)
    known = len(targets) - len(new)
    passed = f", {known} there already" if known else ""
    done = "would be added" if dry_run else "added"
    click.echo(f"{directory / file}: {counted(len(new), 'target')} {done}{passed}", err=dry_run)


def _source(path: Path) -> tuple[str, bytes]:
    if str(path) == "-":
        return "standard input", sys.stdin.buffer.read(document.MAX_BYTES + 1)
    if not path.exists():
        raise click.UsageError(
            f"{path}: there is no such file; with Docker: gpuglass targets import - <FILE"
        )
    return str(path), path.read_bytes()


def _labelled(targets: Iterable[Target], more: Mapping[str, str]) -> list[Target]:
    """The same targets with more labels."""
    made = []
    for target in targets:
        (good,) = _good([target.address], {**dict(target.labels), **more})
        made.append(replace(target, labels=good.labels))
    return made


def _write(store: Store, file: str, targets: Iterable[Target]) -> None:
    unreadable = store.unreadable(file)
    if unreadable is not None:
        raise click.ClickException(f"{unreadable}; nothing is changed before that")
    store.write(file, edit.add(file, store.content(file), edit.groups(targets)))
