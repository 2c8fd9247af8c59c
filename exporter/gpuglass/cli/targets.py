"""``gpuglass targets``: the files that say which nodes are scraped."""

from collections.abc import Iterable
from pathlib import Path

import click

from gpuglass.keeper import folder
from gpuglass.keeper.targets import plan
from gpuglass.keeper.targets.file import TargetsFile
from gpuglass.keeper.targets.keeper import IS_TARGETS_NAME, counted, read

_DEFAULT = "victoriametrics/targets"


@click.group("targets")
def command() -> None:
    """Look after the targets files."""


@command.command()
@click.argument("paths", metavar="[FILE|DIR]...", nargs=-1, type=click.Path(path_type=Path))
def check(paths: tuple[Path, ...]) -> None:
    """Check targets files as the keeper does, and those given together for double targets.

    Without FILE or DIR, victoriametrics/targets is checked.
    """
    problems = 0
    plans = plan.make(_files(paths or (Path(_DEFAULT),)), {})
    for file in (file_plan.file for file_plan in plans.values()):
        for problem in file.problems:
            click.echo(problem)
        if not file.problems:
            click.echo(f"{file.name}: ok, {counted(file.targets)}")
        problems += len(file.problems)
    if not plans:
        click.echo("no targets files (*.yml, *.yaml, *.json) there", err=True)
    if problems:
        raise click.exceptions.Exit(2)


def _files(paths: Iterable[Path]) -> list[TargetsFile]:
    found: dict[str, Path] = {}
    for path in paths:
        try:
            inside = [path]
            if path.is_dir():
                inside = [path / name for name in folder.scan(path, IS_TARGETS_NAME)]
        except OSError as error:
            raise click.UsageError(f"{path}: {error.strerror or error}") from None
        found.update((str(file), file) for file in inside)
    return [read(path, name) for name, path in found.items()]
