"""``gpuglass rollups``: the tiers, made from all that single storage has."""

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import click

from gpuglass.cli.settings import SettingsCommand
from gpuglass.cli.storage import victoriametrics_option, way_option
from gpuglass.cli.tiering import TIERS, books_and_replayer, making_options
from gpuglass.keeper.rollups.fill import Filler
from gpuglass.keeper.rollups.plan import Span
from gpuglass.keeper.rollups.replay import StoppedError
from gpuglass.keeper.victoriametrics import QueryError

_WORDS = {"minute": "minutes", "hour": "hours"}


@click.group("rollups")
def command() -> None:
    """Minutes and hours, as tiered storage keeps them."""


@command.command(cls=SettingsCommand)
@making_options
@victoriametrics_option(", which has the samples")
@way_option
def fill(**chosen: Any) -> None:
    """Make the minutes and hours of all samples that there are.

    For the way from single to tiered storage: the keeper looks back some days only. It may be
    stopped and started again at any time, and begins where it was. The exit code is 0 once nothing
    is missing any more.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    fillers = _fillers(chosen, stop)
    _asked(lambda: _fill(fillers))
    _asked(lambda: _told(fillers, Filler.await_complete))


@command.command(cls=SettingsCommand)
@making_options
@victoriametrics_option(", which has the samples")
@way_option
def check(**chosen: Any) -> None:
    """See whether minutes and hours are there for all samples that are older than a day.

    The exit code is 1 if some are missing.
    """
    fillers = _fillers(chosen, threading.Event())
    _asked(lambda: _told(fillers, Filler.lacking))


def _fillers(chosen: dict[str, Any], stop: threading.Event) -> list[tuple[str, Filler]]:
    chosen["storage_url"] = chosen.pop("victoriametrics_url")
    for _, option, name in TIERS:
        if chosen[option] is None:
            raise click.UsageError(
                f"--rollup.{name}-url is not given: this storage has no tiers; "
                "see GPUGLASS_STORAGE in setup.sh --help"
            )
    return [
        (_WORDS[name], Filler(tier, *books_and_replayer(chosen, name, stop), stop))
        for tier, _, name in TIERS
    ]


def _fill(fillers: list[tuple[str, Filler]]) -> None:
    for name, filler in fillers:
        for span, done, troubles in filler.fill():
            click.echo(f"{_day(span.start)} to {_day(span.end)}: {done} {name} of nodes made")
            if troubles:
                raise click.ClickException(f"{name}: {troubles[0]}; run this again to go on")


def _told(fillers: list[tuple[str, Filler]], look: Callable[[Filler], list[Span]]) -> None:
    for name, filler in fillers:
        lacking = look(filler)
        if lacking:
            days = {_day(span.end - 1) for span in lacking}
            raise click.ClickException(
                f"{name} are missing of {len(days)} days from {min(days)} to {max(days)}; "
                "gpuglass rollups fill makes them"
            )
    click.echo("Minutes and hours are there of all samples that are older than a day.")


def _asked(work: Callable[[], None]) -> None:
    try:
        work()
    except QueryError as error:
        raise click.ClickException(str(error)) from None
    except StoppedError:
        raise click.ClickException("stopped; run this again to go on") from None


def _day(moment: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(moment))
