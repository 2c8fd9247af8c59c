"""What the commands that ask VictoriaMetrics, and the programs beside it, have in common."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gpuglass.cli.settings import url
from gpuglass.keeper.http import PLAIN, Login, Way
from gpuglass.keeper.passwords import USER


def victoriametrics_option(more: str = "") -> Callable[[Any], Any]:
    """Give a command the option that says where VictoriaMetrics is.

    Args:
        more: What its help says besides.
    """
    return click.option(
        "--victoriametrics.url",
        "victoriametrics_url",
        type=url,
        default="http://127.0.0.1:8428",
        show_default=True,
        help=f"Address of VictoriaMetrics{more}.",
    )


def tier_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say where the tiers are: ``minute_url`` and ``hour_url``."""
    for name, kept in (("hour", "an hour"), ("minute", "a minute")):
        command = click.option(
            f"--rollup.{name}-url",
            f"{name}_url",
            type=url,
            help=f"Address of the VictoriaMetrics that keeps a value {kept}; else none does.",
        )(command)
    return command


def way_option(command: Any) -> Any:
    """Give a command the option that names the password, as the ``Way`` to get to the programs."""
    return click.option(
        "--password-file",
        "way",
        type=click.Path(path_type=Path),
        callback=_way,
        help="File with the password of VictoriaMetrics, vmagent, vmalert and Alertmanager.",
    )(command)


def _way(_context: click.Context, _option: click.Parameter, file: Path | None) -> Way:
    return PLAIN if file is None else Way(login=Login(USER, file))
