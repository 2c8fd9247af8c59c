"""``gpuglass config``: the settings file."""

from pathlib import Path

import click

from gpuglass.cli import serve, settings_file


@click.group("config")
def command() -> None:
    """Work with the exporter's settings file."""


@command.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_context
def check(ctx: click.Context, file: Path) -> None:
    """Say what is wrong with a settings file, or that it is good."""
    problems = settings_file.problems(serve.command, file)
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        ctx.exit(2)
    click.echo(f"{file}: ok")
