"""``gpuglass targets``: the files that say which nodes are scraped."""

from pathlib import Path

import click

from gpuglass.cli.paths import files
from gpuglass.keeper.targets import plan
from gpuglass.keeper.targets.keeper import IS_TARGETS_NAME, read
from gpuglass.keeper.words import counted

_DEFAULT = "victoriametrics/targets"


@click.group("targets")
def command() -> None:
    """Look after the targets files."""


@command.command()
@click.argument("paths", metavar="[FILE|DIR]...", nargs=-1, type=click.Path(path_type=Path))
def check(paths: tuple[Path, ...]) -> None:
    """Check targets files as the keeper does, and those given together for double targets.

    Without FILE or DIR, victoriametrics/targets is checked. What is wrong is printed as
    FILE:LINE: WHAT, and the exit code is 1.
    """
    problems = 0
    given = files(paths or (Path(_DEFAULT),), IS_TARGETS_NAME)
    plans = plan.make((read(path, str(path)) for path in given), {})
    for file in (file_plan.file for file_plan in plans.values()):
        for problem in file.problems:
            click.echo(problem)
        if not file.problems:
            click.echo(f"{file.name}: ok, {counted(len(file.targets), 'target')}")
        problems += len(file.problems)
    if not plans:
        click.echo("no targets files (*.yml, *.yaml, *.json) there", err=True)
    if problems:
        raise click.exceptions.Exit(1)
