"""The settings of rules."""

from pathlib import Path
from typing import Any

import click

from gpuglass.cli.settings import duration, url
from gpuglass.keeper.rules.check import Checker
from gpuglass.keeper.rules.keeper import RulesKeeper

custom_dir_option = click.option(
    "--rules.custom-dir",
    "rules_custom",
    type=click.Path(path_type=Path),
    default="victoriametrics/rules/custom",
    show_default=True,
    help="Folder with the rule files that people edit.",
)
_OPTIONS = (
    custom_dir_option,
    click.option(
        "--rules.published-dir",
        "rules_published",
        type=click.Path(path_type=Path),
        help="Folder that vmalert reads them from; made if it is not there. "
        "Without it, rules are not looked after.",
    ),
    click.option(
        "--rules.check-interval",
        "rules_interval",
        type=duration(0.1, 60),
        default="2s",
        show_default=True,
        help="Time between two looks; a change is taken when it has looked the same twice.",
    ),
    click.option(
        "--vmalert.url",
        "vmalert_url",
        type=url,
        default="http://127.0.0.1:8880",
        show_default=True,
        help="Address of the vmalert that is told of new rules.",
    ),
)


def vmalert_option(command: Any) -> Any:
    """Give a command the option that names the program which judges rules."""
    return click.option(
        "--vmalert.path",
        "vmalert",
        default="vmalert",
        show_default=True,
        help="Name or path of vmalert, which computes the rollups and checks rules.",
    )(command)


def rules_options(command: Any) -> Any:
    """Give the keeper's command the options of its duty on the users' own rules."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def rules_keeper(chosen: dict[str, Any]) -> RulesKeeper | None:
    """The duty that these options ask for, checked for the first time; None without a folder.

    Args:
        chosen: The values of the options.

    Raises:
        click.UsageError: An option is wrong.
    """
    custom, published = chosen["rules_custom"], chosen["rules_published"]
    if published is None:
        return None
    if custom.resolve() == published.resolve():
        raise click.UsageError("--rules.published-dir is --rules.custom-dir; name another folder")
    checker = Checker(chosen["vmalert"])
    keeper = RulesKeeper(
        custom,
        published,
        checker,
        chosen["vmalert_url"],
        chosen["rules_interval"],
        way=chosen["way"],
    )
    try:
        keeper.start()
    except OSError as error:
        raise click.UsageError(
            f"{error.filename or published}: {error.strerror or error}; "
            "see --rules.custom-dir and --rules.published-dir"
        ) from None
    return keeper
