"""The keeper's options for the long-term tiers."""

import shutil
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import click

from gpuglass.cli.ruling import vmalert_option
from gpuglass.cli.settings import duration, url
from gpuglass.cli.storage import tier_options
from gpuglass.keeper.http import Way
from gpuglass.keeper.rollups.keeper import RollupKeeper
from gpuglass.keeper.rollups.ledger import Ledger
from gpuglass.keeper.rollups.plan import HOUR, MINUTE
from gpuglass.keeper.rollups.replay import Replayer
from gpuglass.keeper.victoriametrics import VictoriaMetrics

# A query of a week's samples of a large fleet takes its time.
_TIMEOUT = 120.0
_STORAGE = click.option(
    "--storage.url",
    "storage_url",
    type=url,
    default="http://127.0.0.1:8428",
    show_default=True,
    help="Address of the VictoriaMetrics with the raw samples.",
)
_LOOK_BACK = click.option(
    "--rollup.look-back",
    "rollup_look_back",
    type=duration(2 * 86400, 400 * 86400),
    default="6d",
    show_default=True,
    help="How far back a missing rollup is made; less than the raw samples are kept.",
)
# What says how the tiers are made, for whoever makes them.
_MAKING = (
    tier_options,
    click.option(
        "--rollup.rules-dir",
        "rollup_rules",
        type=click.Path(path_type=Path),
        default="victoriametrics/rules/rollups",
        show_default=True,
        help="Folder with the rules of the rollups.",
    ),
    vmalert_option,
)
TIERS = ((MINUTE, "minute_url", "minute"), (HOUR, "hour_url", "hour"))


def rollup_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give the keeper's command the options of the tiers."""
    return _STORAGE(making_options(_LOOK_BACK(command)))


def making_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say how the tiers are made."""
    for option in reversed(_MAKING):
        command = option(command)
    return command


def rollup_keepers(
    chosen: dict[str, Any],
    stop: threading.Event,
    pushed: Callable[[], Collection[str]] = frozenset,
) -> list[RollupKeeper]:
    """The duties of the tiers whose addresses are given.

    Args:
        chosen: The values of the options.
        stop: Set when the keeper is to end.
        pushed: Gives the names of the nodes that push.

    Raises:
        click.UsageError: An option is wrong.
    """
    wanted = [(t, option, name) for t, option, name in TIERS if chosen[option] is not None]
    addresses = [chosen["storage_url"], *(chosen[option] for _, option, _ in wanted)]
    for at, (_, _, name) in enumerate(wanted, 1):
        if addresses[at] in addresses[:at]:
            raise click.UsageError(
                f"--rollup.{name}-url: {addresses[at]} keeps other samples already; "
                "give each tier a VictoriaMetrics of its own"
            )
    return [
        RollupKeeper(
            tier,
            *books_and_replayer(chosen, name, stop),
            chosen["rollup_look_back"],
            stop,
            pushed=pushed,
        )
        for tier, _, name in wanted
    ]


def books_and_replayer(
    chosen: dict[str, Any], name: str, stop: threading.Event
) -> tuple[Ledger, Replayer]:
    """What knows of one tier, and what fills it.

    Args:
        chosen: The values of the options.
        name: The tier as its options call it: ``minute`` or ``hour``.
        stop: Set when work is to end.

    Raises:
        click.UsageError: An option is wrong.
    """
    address = chosen[f"{name}_url"]
    rules = chosen["rollup_rules"] / f"{name}.yml"
    if not rules.is_file():
        raise click.UsageError(f"--rollup.rules-dir: {rules} is not there")
    program = shutil.which(chosen["vmalert"])
    if program is None:
        raise click.UsageError(
            f"--vmalert.path: {chosen['vmalert']} is not there or cannot be run; "
            "it computes the rollups"
        )
    way: Way = chosen["way"]
    storage = VictoriaMetrics(chosen["storage_url"], "--storage.url", _TIMEOUT, way)
    own = VictoriaMetrics(address, f"--rollup.{name}-url", _TIMEOUT, way)
    replayer = Replayer(Path(program), rules, chosen["storage_url"], address, stop, way.login)
    return Ledger(storage, own), replayer
