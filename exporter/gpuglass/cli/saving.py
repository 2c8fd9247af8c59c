"""What ``gpuglass backup`` and ``gpuglass restore`` have in common."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from gpuglass.cli.storage import tier_options
from gpuglass.keeper.backup.layout import Layout
from gpuglass.keeper.backup.manifest import BackupError
from gpuglass.keeper.victoriametrics import QueryError

FOLDER = click.Path(path_type=Path, file_okay=False)
_OPTIONS = (
    click.option(
        "--source.dir",
        "source",
        type=FOLDER,
        default=".",
        show_default=True,
        help="The clone of gpuglass, with what people write.",
    ),
    click.option(
        "--data.dir",
        "data",
        type=FOLDER,
        default=".gpuglass/data",
        show_default=True,
        help="Folder of the data, with a folder for each program.",
    ),
    tier_options,
)
T = TypeVar("T")


def layout_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say where an installation lies."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def layout(chosen: dict[str, Any]) -> Layout:
    """What these options say.

    Raises:
        click.UsageError: Only one of the tiers is there.
    """
    urls = [chosen["minute_url"], chosen["hour_url"]]
    if any(urls) and not all(urls):
        raise click.UsageError("--rollup.minute-url and --rollup.hour-url go together")
    return Layout(chosen["source"], chosen["data"], tiered=all(urls))


def done(work: Callable[[], T]) -> T:
    """Do it; clean up also where we are told to end.

    Raises:
        click.ClickException: It failed; the text says why.
    """
    signal.signal(signal.SIGTERM, _end)
    try:
        return work()
    except (BackupError, QueryError) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise click.ClickException(f"{where}{error.strerror or error}") from None


def _end(number: int, frame: object) -> None:
    raise SystemExit(128 + number)
