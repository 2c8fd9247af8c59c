"""``gpuglass config``: the exporter's files."""

from pathlib import Path

import click

from gpuglass.cli import serve, settings_file
from gpuglass.web import configuration
from gpuglass.web.terms import ConfigurationError

_WEB_CONFIG = "web_config"


@click.group("config")
def command() -> None:
    """Work with the exporter's files."""


@command.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_context
def check(ctx: click.Context, file: Path) -> None:
    """Say what is wrong with a settings file or a web configuration, or that it is good.

    Of a settings file, the web configuration that it names is checked too.
    """
    problems, warnings = _look_at(file)
    for line in [*problems, *(f"{warning} (warning)" for warning in warnings)]:
        click.echo(line, err=True)
    if problems:
        ctx.exit(2)
    click.echo(f"{file}: ok")


def _look_at(file: Path) -> tuple[list[str], list[str]]:
    """What is wrong with a file, and what its author should know."""
    if configuration.is_one(file):
        return _look_at_web(file)
    values, problems = settings_file.load(serve.command, click.Context(serve.command), file)
    if problems or not values.get(_WEB_CONFIG):
        return problems, []
    return _look_at_web(Path(values[_WEB_CONFIG]))


def _look_at_web(file: Path) -> tuple[list[str], list[str]]:
    try:
        return [], [str(warning) for warning in configuration.load(file).warnings]
    except ConfigurationError as error:
        return [str(problem) for problem in error.problems], []
