"""``gpuglass backup``: all that an installation holds, while it runs."""

from pathlib import Path
from typing import Any

import click

from gpuglass.cli.saving import FOLDER, done, layout, layout_options
from gpuglass.cli.settings import SettingsCommand
from gpuglass.cli.storage import victoriametrics_option, way_option
from gpuglass.cli.tables import moment
from gpuglass.keeper.backup import manifest, shelf
from gpuglass.keeper.backup.layout import HOUR, MINUTE, RAW
from gpuglass.keeper.backup.make import Made, Maker
from gpuglass.keeper.backup.programs import Tool
from gpuglass.keeper.backup.restore import check_whole
from gpuglass.keeper.backup.shelf import Shelf
from gpuglass.keeper.http import Way
from gpuglass.keeper.victoriametrics import VictoriaMetrics

# To take a snapshot, VictoriaMetrics writes what it holds to the disk.
_TIMEOUT = 300.0
_FLAGS = {RAW: "--victoriametrics.url", MINUTE: "--rollup.minute-url", HOUR: "--rollup.hour-url"}


@click.command("backup", cls=SettingsCommand)
@click.argument("destination", type=FOLDER)
@click.option(
    "--check", is_flag=True, help="Make none; read the newest one, or that which is named."
)
@click.option(
    "--keep",
    type=click.IntRange(1),
    metavar="NUMBER",
    help="Remove all but so many of the newest backups afterwards; without it, none.",
)
@layout_options
@victoriametrics_option()
@way_option
@click.option(
    "--vmbackup.path",
    "program",
    default="vmbackup",
    show_default=True,
    help="vmbackup, which copies what is stored.",
)
def command(
    destination: Path,
    check: bool,
    keep: int | None,
    victoriametrics_url: str,
    way: Way,
    program: str,
    **chosen: Any,
) -> None:
    """Back up this installation to a folder of DESTINATION, while it runs.

    It holds what all storages have at one moment; settings, targets, rules, receivers; keys and
    passwords; silences; Grafana's database. What is in an earlier backup of DESTINATION is linked,
    not copied. It appears there once it is whole. Keep it from others, as it holds secrets.
    """
    if check:
        _check(destination)
        return
    urls = {HOUR: chosen["hour_url"], MINUTE: chosen["minute_url"], RAW: victoriametrics_url}
    here, place = layout(chosen), Shelf(destination)
    storages = {
        name: VictoriaMetrics(urls[name], _FLAGS[name], _TIMEOUT, way) for name in here.stores()
    }

    def make() -> Made:
        return Maker(here, storages, Tool(program, "--vmbackup.path")).make(place)

    made = done(make)
    click.echo(f"{made.folder}: {_size(made.manifest.size)}, {_size(made.new)} of it new")
    removed = 0 if keep is None else done(lambda: place.thin_out(keep))
    if removed:
        click.echo(f"Removed {removed} older; {keep} stay.")


def _check(folder: Path) -> None:
    def checked() -> tuple[Path, manifest.Manifest]:
        backup = shelf.newest(folder)
        told = manifest.read(backup)
        check_whole(backup, told)
        return backup, told

    backup, told = done(checked)
    click.echo(
        f"{backup}: whole; {_size(told.size)} of {told.machine} on {moment(told.moment)}, "
        f"{told.profile} storage"
    )


def _size(size: int) -> str:
    if size < 1_000_000:
        return f"{-(-size // 1000)} kB"
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
