"""Settings with one name in three places: flag, environment and YAML file.

The flag ``--web.telemetry-path`` is ``GPUGLASS_WEB_TELEMETRY_PATH`` in the environment and
``telemetry-path`` under ``web`` in the file. A flag wins over the environment, the environment
over the file, the file over the default. Click knows the first, second and last of these; the
file becomes click's ``default_map``, after each of its values has passed the check that the same
value would pass as a flag. It stays as it was written: click converts it again.
"""

import re
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

FILE_OPTION = "config.file"


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def _short(seconds: float) -> str:
    """A duration in days where it is a whole number of them."""
    return f"{seconds / 86400:g}d" if seconds and seconds % 86400 == 0 else f"{seconds:g}s"


def duration(least: float, most: float) -> Callable[[Any], float]:
    """An option's type: a Prometheus duration (``500ms``, ``5m``, ``2h``, ``7d``), as seconds.

    Args:
        least: The shortest that is accepted, in seconds.
        most: The longest that is accepted, in seconds.
    """

    def duration(value: Any) -> float:
        match = _DURATION.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise click.BadParameter(f"{value!r} is no duration; write one such as 500ms or 5m")
        seconds = float(match[1]) * _UNITS[match[2]]
        if not least <= seconds <= most:
            raise click.BadParameter(f"{value} is not between {_short(least)} and {_short(most)}")
        return seconds

    return duration


_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
# Other characters are written as %XX, or as xn-- in names of hosts.
_URL = re.compile(r"[!-~]+")


def number(least: float, most: float) -> Callable[[Any], float]:
    """An option's type: a decimal number without an exponent.

    Args:
        least: The smallest that is accepted.
        most: The largest that is accepted.
    """

    def number(value: Any) -> float:
        if not isinstance(value, str) or not _NUMBER.fullmatch(value):
            raise click.BadParameter(f"{value!r} is no number; write one such as 0.31")
        found = float(value)
        if not least <= found <= most:
            raise click.BadParameter(f"{value} is not between {least:g} and {most:g}")
        return found

    return number


def url(value: Any) -> str:
    """An option's type: where something answers by HTTP, without a slash at its end."""
    if not isinstance(value, str) or not value.startswith(("http://", "https://")):
        raise click.BadParameter(f"{value!r} is no URL; begin it with http://")
    if "@" in value:
        # Its password is not for the screen.
        raise click.BadParameter("the URL has a user or an @, which is not supported; remove it")
    try:
        parts = urllib.parse.urlsplit(value)
        whole = parts.hostname and parts.port != 0 and not parts.query and not parts.fragment
    except ValueError:  # of brackets that are no IPv6 address, and of ports
        whole = None
    if not whole or not _URL.fullmatch(value):
        raise click.BadParameter(f"{value!r} is no URL; write one such as http://HOST:PORT")
    return value.rstrip("/")


class SettingsCommand(click.Command):
    """A command whose options are also read from ``GPUGLASS_*`` and from ``--config.file``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, option in settings_of(self).items():
            option.envvar = option.envvar or environment_name(name)
            option.show_envvar = True

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line; a mistake in it becomes one line.

        Raises:
            click.UsageError: A flag, a variable or the file is wrong.
        """
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            # One line is enough: the usage text that click would add hides the message.
            raise click.UsageError(
                f"{error.format_message()} (see {ctx.command_path} --help)"
            ) from None


def config_file_option(command: Any) -> Any:
    """Give a ``SettingsCommand`` the option that names its YAML file."""
    return click.option(
        f"--{FILE_OPTION}",
        "config_file",
        type=click.Path(path_type=Path),
        is_eager=True,
        expose_value=False,
        callback=_read_file,
        help="YAML file with these same settings.",
    )(command)


def settings_of(command: click.Command) -> dict[str, click.Option]:
    """The options of a command by their setting's name, such as ``web.listen-address``."""
    return {
        option.opts[0].removeprefix("--"): option
        for option in command.params
        if isinstance(option, click.Option) and option.opts[0].startswith("--")
    }


def environment_name(setting: str) -> str:
    """The environment variable of a setting: ``web.listen-address`` -> its name in capitals."""
    return "GPUGLASS_" + re.sub(r"[.-]", "_", setting).upper()


def _read_file(ctx: click.Context, param: click.Parameter, path: Path | None) -> None:
    if path is None:
        return
    from gpuglass.cli import settings_file  # PyYAML takes memory and time to start that few need

    values, problems = settings_file.load(ctx.command, ctx, path)
    if problems:
        raise FileError("\n".join(problems))
    ctx.default_map = values


class FileError(click.ClickException):
    """What is wrong with a file, a line each."""

    exit_code = 2
