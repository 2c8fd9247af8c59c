"""``gpuglass release``: the GPUs are let go for a while."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from gpuglass.cli.control import sockets_option
from gpuglass.cli.settings import SettingsCommand, duration
from gpuglass.cli.tables import moment
from gpuglass.control import client, commands


@click.command("release", cls=SettingsCommand)
@click.option(
    "--for",
    "seconds",
    type=duration(1, commands.LONGEST_SECONDS),
    show_default="10m",
    help="How long from now; asked again, the end changes.",
)
@click.option("--end", "end", is_flag=True, help="Take the GPUs back now.")
@sockets_option
def command(seconds: float | None, end: bool, sockets: Sequence[Path]) -> None:
    """Make the exporter of this machine let go of its GPUs for a while.

    Before `nvidia-smi -r`, a change of MIG or a new driver: no process of gpuglass holds a GPU from
    the moment at which this returns. Host facts go on, and the GPUs come back by themselves.
    """
    if end and seconds is not None:
        raise click.UsageError("--for and --end: choose one of them")
    if end:
        was_released = _ask(sockets, commands.take_back()).get("was_released")
        click.echo("the GPUs are read again" if was_released else "the GPUs were not let go")
        return
    answer = _ask(sockets, commands.release(600.0 if seconds is None else seconds))
    until, left_behind = answer.get("until"), answer.get("left_behind")
    if until is None:
        click.echo("this exporter reads no GPUs: there is nothing to let go")
        return
    if left_behind:
        pids = ", ".join(str(int(pid)) for pid in left_behind)
        raise click.ClickException(
            f"a process of the exporter does not end and may still hold GPUs: {pids}; it hangs in "
            f"the driver, and is not killed. No other one is started until {moment(float(until))}"
        )
    click.echo(
        f"the GPUs are let go until {moment(float(until))}; before that: gpuglass release --end"
    )


def _ask(sockets: Sequence[Path], request: dict[str, Any]) -> dict[str, Any]:
    try:
        return client.ask(sockets, request)
    except client.AskError as error:
        raise click.ClickException(str(error)) from None
