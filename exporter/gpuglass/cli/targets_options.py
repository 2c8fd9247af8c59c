"""What the commands on targets have in common."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from gpuglass.cli.settings import duration
from gpuglass.keeper.targets import access, asking, edit, importing
from gpuglass.keeper.targets.file import Target
from gpuglass.keeper.targets.keeper import IS_TARGETS_NAME

PATH = click.Path(path_type=Path)


def _file_name(value: str) -> str:
    if "/" in value or not IS_TARGETS_NAME(value):
        raise click.BadParameter(f"{value!r} is no name of a targets file; end it with .yml")
    return value


def _label(value: str) -> tuple[str, str]:
    name, equals, text = value.partition("=")
    if not equals:
        raise click.BadParameter(f"{value!r} is no label; write NAME=VALUE")
    return name, text


dir_option = click.option(
    "--targets.dir",
    "directory",
    type=PATH,
    default="victoriametrics/targets",
    show_default=True,
    help="Folder with the targets files.",
)
file_option = click.option(
    "--file",
    type=_file_name,
    metavar="NAME",
    default="nodes.yml",
    show_default=True,
    help="File of the folder that gets them; made if it is not there.",
)
label_option = click.option(
    "--label",
    "labels",
    type=_label,
    multiple=True,
    metavar="NAME=VALUE",
    help="Label of all their series, such as cluster=prod; may be repeated.",
)
_ASKING = (
    click.option("--no-ask", is_flag=True, help="Ask no target whether it answers."),
    click.option(
        "--timeout",
        type=duration(0.1, 60),
        default="5s",
        show_default=True,
        help="Time that one target may take to answer.",
    ),
    click.option(
        "--scrape.config",
        "scrape_config",
        type=PATH,
        default="victoriametrics/scrape.yml",
        show_default=True,
        help="vmagent's scrape config, for the password and the certificates of its job gpu.",
    ),
)


def asking_options(command: Any) -> Any:
    """Give a command the options that say how targets are asked."""
    for option in reversed(_ASKING):
        command = option(command)
    return command


def heed(targets: Iterable[tuple[str, Target]], options: dict[str, Any], err: bool = False) -> bool:
    """Ask targets, and print what is to be said of them.

    Args:
        targets: Each with the name of the file that it is written in.
        options: The values of ``asking_options``.
        err: Whether to print to stderr.

    Returns:
        Whether anything is wrong.

    Raises:
        AccessError: The scrape config cannot be followed.
    """
    if options["no_ask"]:
        return False
    given = list(targets)
    schemes = {asking.scheme(target) for _, target in given}
    ways = {scheme: access.read(options["scrape_config"], scheme) for scheme in schemes}
    grave = False
    answers = asking.ask_all((target for _, target in given), ways, options["timeout"])
    for (name, target), (_, findings) in zip(given, answers, strict=True):
        for finding in findings:
            level = "" if finding.grave else "warning: "
            click.echo(f"{name}:{target.line}: {level}{target.address} {finding.what}", err=err)
            grave = grave or finding.grave
    return grave


@contextmanager
def told() -> Iterator[None]:
    """What hinders a command becomes one line."""
    try:
        yield
    except (edit.EditError, importing.ImportFailedError, access.AccessError) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise click.ClickException(f"{where}{error.strerror or error}; see --targets.dir") from None
