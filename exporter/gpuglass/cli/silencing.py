"""What the commands that speak with Alertmanager have in common."""

import getpass
import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from gpuglass.cli.settings import url
from gpuglass.keeper.alertmanager.api import Alertmanager, AlertmanagerError
from gpuglass.keeper.http import Way

T = TypeVar("T")
SHORT = 8


def alertmanager_option(command: Any) -> Any:
    """Give a command the option that says where Alertmanager is."""
    return click.option(
        "--alertmanager.url",
        "alertmanager_url",
        type=url,
        default="http://127.0.0.1:9093",
        show_default=True,
        help="Address of Alertmanager.",
    )(command)


def author_option(command: Any) -> Any:
    """Give a command the option that says who it is."""
    return click.option("--author", default=login, show_default="your login", help="Who you are.")(
        command
    )


def word(value: str) -> str:
    """An argument's type: the name or the ID of something, which is never empty."""
    if not value.strip():
        raise click.BadParameter("a name or an ID is empty; write it out")
    return value


def login() -> str:
    """The name of the user, or the number of one that has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def asked(alertmanager_url: str, way: Way, question: Callable[[Alertmanager], T]) -> T:
    """Ask Alertmanager; that it does not answer becomes one line.

    Raises:
        click.ClickException: It cannot be asked, or refuses.
    """
    try:
        return question(Alertmanager(alertmanager_url, way))
    except AlertmanagerError as error:
        raise click.ClickException(str(error)) from None


def short(id: str, others: list[str]) -> str:
    """As much of an id as tells it from all others, and 8 characters at least."""
    length = SHORT
    while sum(other.startswith(id[:length]) for other in set(others)) > 1 and length < len(id):
        length += 1
    return id[:length]
