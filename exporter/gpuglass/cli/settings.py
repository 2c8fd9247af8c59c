"""Settings with one name in three places: flag, environment and YAML file.

The flag ``--web.telemetry-path`` is ``GPUGLASS_WEB_TELEMETRY_PATH`` in the environment and
``telemetry-path`` under ``web`` in the file. A flag wins over the environment, the environment
over the file, the file over the default. Click knows the first, second and last of these; the
file becomes click's ``default_map``, after each of its values has passed the check that the same
value would pass as a flag. It stays as it was written: click converts it again.
"""

import difflib
import re
import reprlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import yaml

FILE_OPTION = "config.file"


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")


def duration(least: float, most: float) -> Callable[[Any], float]:
    """An option's type: a Prometheus duration (``500ms``, ``1s``, ``5m``, ``2h``), as seconds.

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
            raise click.BadParameter(f"{value} is not between {least:g}s and {most:g}s")
        return seconds

    return duration


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


def file_problems(command: click.Command, path: Path) -> list[str]:
    """What is wrong with a settings file, a line each; empty where it is good."""
    return _load(command, click.Context(command), path)[1]


def _read_file(ctx: click.Context, param: click.Parameter, path: Path | None) -> None:
    if path is None:
        return
    values, problems = _load(ctx.command, ctx, path)
    if problems:
        raise _FileError("\n".join(problems))
    ctx.default_map = values


class _FileError(click.ClickException):
    exit_code = 2


def _load(
    command: click.Command, ctx: click.Context, path: Path
) -> tuple[dict[str, Any], list[str]]:
    try:
        root = yaml.compose(path.read_text("utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        return {}, [f"{path}: cannot be read: {error.strerror}"]
    except UnicodeDecodeError:
        return {}, [f"{path}: is not UTF-8 text"]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        what = getattr(error, "problem", None) or getattr(error, "reason", "it cannot be read")
        return {}, [f"{path}{line}: is not YAML: {what}"]
    except RecursionError:
        return {}, [f"{path}: is nested too deep"]
    values: dict[str, Any] = {}
    problems: list[str] = []
    settings = {n: o for n, o in settings_of(command).items() if n != FILE_OPTION}
    for name, node, complaint in _leaves(root, settings):
        where = f"{path}:{node.start_mark.line + 1}"
        if complaint:
            problems.append(f"{where}: {complaint}")
        elif name in values:
            problems.append(f"{where}: {name} is set twice; keep one")
        else:
            try:
                values[name] = _checked(settings[name], ctx, node)
            except click.BadParameter as error:
                problems.append(f"{where}: {name}: {error.message}")
    return {settings[name].name or "": value for name, value in values.items()}, problems


def _leaves(
    node: yaml.Node | None, settings: dict[str, click.Option], prefix: str = ""
) -> Iterator[tuple[str, yaml.Node, str]]:
    """Each setting in the file: its name, its value's node, and what is wrong with the key."""
    if node is None or node.tag == "tag:yaml.org,2002:null":  # nothing, or only comments
        return
    if not isinstance(node, yaml.MappingNode):
        what = f"{prefix[:-1]} groups settings" if prefix else "a settings file holds a mapping"
        yield prefix, node, f"{what}; write 'name: value' lines under it"
        return
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            yield prefix, key, "a setting's name is text, not a list or a mapping"
            continue
        name = f"{prefix}{key.value}"
        if name in settings:
            yield name, value, ""
        elif any(known.startswith(f"{name}.") for known in settings):
            yield from _leaves(value, settings, f"{name}.")
        else:
            near = difflib.get_close_matches(name, settings, 1)
            hint = f"; did you mean {near[0]}?" if near else "; see gpuglass serve --help"
            yield name, key, f"unknown setting {name}{hint}"


def _checked(option: click.Option, ctx: click.Context, node: yaml.Node) -> Any:
    """The value as it stands in the file, if the setting accepts it."""
    value = _plain(node)
    if option.multiple:
        items = value if isinstance(value, list) else [value]
        if not items:
            raise click.BadParameter("the list is empty; give at least one")
        for item in items:
            option.type.convert(_typed(option, item), option, ctx)
        return items
    option.type.convert(_typed(option, value), option, ctx)
    return value


def _plain(node: yaml.Node) -> Any:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node, deep=True)
    except yaml.MarkedYAMLError as error:
        raise click.BadParameter(f"is not a plain value: {error.problem}") from None
    except (ValueError, LookupError, AttributeError):  # what PyYAML makes of a wrong tag
        raise click.BadParameter("is not a plain value") from None


def _typed(option: click.Option, value: Any) -> Any:
    """The value, if it has the YAML type that the setting asks for."""
    if option.is_flag:
        wanted, fits = "true or false", isinstance(value, bool)
    elif isinstance(option.type, click.IntRange):
        wanted, fits = "a whole number", isinstance(value, int) and not isinstance(value, bool)
    else:
        wanted, fits = "text; put it in quotes", isinstance(value, str)
    if not fits:
        raise click.BadParameter(f"{reprlib.repr(value)} is not {wanted}")
    return value
