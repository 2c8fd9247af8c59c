"""``gpuglass alertmanager``: the file that says who is told of alerts."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gpuglass.cli.settings import SettingsCommand
from gpuglass.keeper.http import Way
from gpuglass.keeper.receivers.amtool import AmtoolError
from gpuglass.keeper.receivers.check import Checker, ReceiversError
from gpuglass.keeper.receivers.compose import BaseError
from gpuglass.keeper.receivers.keeper import ReceiversKeeper, read

_PATH = click.Path(path_type=Path)

_amtool_option = click.option(
    "--alertmanager.amtool-path",
    "alertmanager_amtool",
    default="amtool",
    show_default=True,
    help="Name or path of amtool, which checks the receivers file.",
)
_receivers_option = click.option(
    "--alertmanager.receivers-file",
    "alertmanager_receivers",
    type=_PATH,
    default="victoriametrics/alertmanager/receivers.yml",
    show_default=True,
    help="File that says who is told of alerts, with our base.yml beside it.",
)
_OPTIONS = (
    _receivers_option,
    click.option(
        "--alertmanager.published-dir",
        "alertmanager_published",
        type=_PATH,
        help="Folder that Alertmanager reads; made if it is not there. Without it, no receivers.",
    ),
    _amtool_option,
)


def keeper_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give the keeper's command the options of its duty on receivers."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def receivers_keeper(
    chosen: dict[str, Any], url: str, interval: float, way: Way
) -> ReceiversKeeper | None:
    """The duty that these options ask for, checked for the first time; None without a folder.

    Args:
        chosen: The values of the options.
        url: Where Alertmanager is.
        interval: Seconds between two checks.
        way: How to get to Alertmanager.

    Raises:
        click.UsageError: An option is wrong.
    """
    published = chosen["alertmanager_published"]
    if published is None:
        return None
    keeper = ReceiversKeeper(
        chosen["alertmanager_receivers"],
        published,
        chosen["alertmanager_amtool"],
        url,
        interval,
        way=way,
    )
    try:
        keeper.start()
    except OSError as error:
        raise click.UsageError(
            f"--alertmanager.published-dir: {published}: {error.strerror or error}"
        ) from None
    return keeper


@click.group("alertmanager")
def command() -> None:
    """Look after the file that says who is told of alerts."""


@command.command(cls=SettingsCommand)
@click.argument("file", type=_PATH, required=False)
@_receivers_option
@_amtool_option
def check(file: Path | None, alertmanager_receivers: Path, alertmanager_amtool: str) -> None:
    """Check a receivers file as the keeper does; base.yml has to be beside it.

    Without FILE, that is the file that the keeper takes. What is wrong is printed as
    FILE:LINE: WHAT, and the exit code is 1.
    """
    file = file or alertmanager_receivers
    if not file.exists():
        raise click.UsageError(
            f"{file}: there is no such file; receivers.example.yml is a beginning"
        )
    try:
        base, users = read(file)
        with tempfile.TemporaryDirectory() as scratch:
            checker = Checker(alertmanager_amtool, file.parent, Path(scratch))
            checker.configuration(base, users)
    except ReceiversError as error:
        for problem in error.problems:
            click.echo(problem)
        raise click.exceptions.Exit(1) from None
    except (BaseError, AmtoolError) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        what = f"{error.filename or file}: {error.strerror or error}"
        raise click.ClickException(f"{what}; the check needs a temporary file") from None
    click.echo(f"{file}: ok, {', '.join(users.receivers) or 'nobody is told'}")
