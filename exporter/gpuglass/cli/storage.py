"""What the commands that ask VictoriaMetrics have in common."""

from collections.abc import Callable
from typing import Any

import click

from gpuglass.cli.settings import url


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
