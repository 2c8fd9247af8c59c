"""``gpuglass rules``: rules for vmalert."""

from pathlib import Path

import click

from gpuglass.cli.paths import files
from gpuglass.cli.ruling import custom_dir_option, vmalert_option
from gpuglass.cli.settings import SettingsCommand
from gpuglass.keeper.rules.check import IS_RULES_NAME, Checker, VmalertError, own_names
from gpuglass.keeper.words import counted


@click.group("rules")
def command() -> None:
    """Look after rule files."""


@command.command(cls=SettingsCommand)
@click.argument("paths", metavar="[FILE|DIR]...", nargs=-1, type=click.Path(path_type=Path))
@custom_dir_option
@vmalert_option
def check(paths: tuple[Path, ...], rules_custom: Path, vmalert: str) -> None:
    """Check rule files as the keeper does, each by itself.

    Without FILE or DIR, that is the folder that people edit. What is wrong is printed as
    FILE:LINE: WHAT, and the exit code is 1.
    """
    checker = Checker(vmalert)
    rules, problems = 0, 0
    given = files(paths or (rules_custom,), IS_RULES_NAME)
    for path in given:
        try:
            file = checker.read(path, str(path), own_names(path.parent))
        except VmalertError as error:
            raise click.ClickException(str(error)) from None
        except OSError as error:
            raise click.ClickException(
                f"{error.filename or path}: {error.strerror or error}"
            ) from None
        for problem in file.problems:
            click.echo(problem)
        rules, problems = rules + file.rules, problems + len(file.problems)
    if problems:
        raise click.exceptions.Exit(1)
    click.echo(f"{counted(rules, 'rule')} in {counted(len(given), 'file')}: ok")
