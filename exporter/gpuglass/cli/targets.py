"""``gpuglass targets``: the files that say which nodes are scraped."""

import json
from pathlib import Path
from typing import Any

import click

from gpuglass.cli import targets_edit
from gpuglass.cli.paths import files
from gpuglass.cli.settings import SettingsCommand
from gpuglass.cli.tables import aligned
from gpuglass.cli.targets_options import PATH, asking_options, dir_option, heed, told
from gpuglass.keeper.targets import plan
from gpuglass.keeper.targets.file import Target
from gpuglass.keeper.targets.keeper import IS_TARGETS_NAME, read
from gpuglass.keeper.targets.store import Store
from gpuglass.keeper.words import counted


@click.group("targets")
def command() -> None:
    """Look after the targets files, which say which nodes are scraped."""


for _each in (targets_edit.add, targets_edit.remove, targets_edit.import_):
    command.add_command(_each)


@command.command("list", cls=SettingsCommand)
@dir_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(directory: Path, as_json: bool) -> None:
    """Print all targets with their labels, and where they are written.

    A file with a mistake is named with what is wrong, its targets are left out, and the exit code
    is 1.
    """
    with told():
        store = Store(directory)
    checked = [each.file for each in plan.make(store.files.values(), {}).values()]
    found = [(file.name, t) for file in checked if not file.problems for t in file.targets]
    if as_json:
        click.echo(json.dumps({"targets": [_as_json(*each) for each in found]}, indent=2))
    elif found:
        rows = [("NODE", "ADDRESS", "LABELS", "FILE")]
        click.echo(aligned([*rows, *(_row(*each) for each in found)]))
    else:
        click.echo("no targets; see gpuglass targets add --help")
    problems = [problem for file in checked for problem in file.problems]
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        raise click.exceptions.Exit(1)


def _row(name: str, target: Target) -> tuple[str, str, str, str]:
    labels = dict(target.labels)
    node = labels.pop("node")
    told = ", ".join(f"{k}={v}" for k, v in labels.items())
    return node, target.address, told or "-", f"{name}:{target.line}"


def _as_json(name: str, target: Target) -> dict[str, Any]:
    labels = dict(target.labels)
    return {"address": target.address, "labels": labels, "file": name, "line": target.line}


@command.command(cls=SettingsCommand)
@click.argument("paths", metavar="[FILE|DIR]...", nargs=-1, type=PATH)
@dir_option
@asking_options
def check(paths: tuple[Path, ...], directory: Path, **asked: Any) -> None:
    """Check targets files as the keeper does, and ask each target whether it is as they say.

    Without FILE or DIR the whole folder is checked; files that are given together are also checked
    for double targets. What is wrong is printed as FILE:LINE: WHAT, and the exit code is 1.
    """
    given = files(paths or (directory,), IS_TARGETS_NAME)
    plans = plan.make((read(path, str(path)) for path in given), {})
    problems = 0
    good = []
    for file in (file_plan.file for file_plan in plans.values()):
        for problem in file.problems:
            click.echo(problem)
        if not file.problems:
            click.echo(f"{file.name}: ok, {counted(len(file.targets), 'target')}")
            good += [(file.name, target) for target in file.targets]
        problems += len(file.problems)
    if not plans:
        click.echo("no targets files (*.yml, *.yaml, *.json) there", err=True)
    with told():
        grave = heed(good, asked)
    if grave or problems:
        raise click.exceptions.Exit(1)
