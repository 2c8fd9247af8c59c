"""The YAML file of settings."""

import difflib
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import yaml

from gpuglass.cli.settings import FILE_OPTION, settings_of

_MOST_BYTES = 1_000_000


def load(
    command: click.Command, ctx: click.Context, path: Path
) -> tuple[dict[str, Any], list[str]]:
    """Read a settings file.

    Args:
        command: Whose settings they are.
        ctx: What the values are checked in.
        path: The file.

    Returns:
        The values by the names of the command's parameters, as they were written; and what is
        wrong, a line each.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            return {}, [f"{path}: is larger than {_MOST_BYTES // 1_000_000} MB"]
        root = yaml.compose(content.decode("utf-8"), Loader=yaml.SafeLoader)
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
            groups = {known.rpartition(".")[0] for known in settings} - {""}
            near = difflib.get_close_matches(name, [*settings, *sorted(groups)], 1)
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
