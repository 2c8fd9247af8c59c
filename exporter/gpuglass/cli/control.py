"""Where commands reach the exporter of this machine."""

import os
from collections.abc import Sequence
from pathlib import Path

import click

from gpuglass.control import places


def _found(
    context: click.Context, parameter: click.Parameter, chosen: Path | None
) -> Sequence[Path]:
    return [chosen] if chosen else places.to_ask(os.environ, os.getuid())


# Gives a command ``sockets``: the paths at which the exporter's may be.
sockets_option = click.option(
    "--control.socket",
    "sockets",
    type=click.Path(path_type=Path),
    callback=_found,
    show_default="found by itself",
    help="The exporter's control socket.",
)
