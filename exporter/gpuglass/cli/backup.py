"""``gpuglass backup`` and ``gpuglass restore``."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from gpuglass.cli.settings import SettingsCommand, url
from gpuglass.cli.storage import victoriametrics_option, way_option
from gpuglass.cli.tables import moment
from gpuglass.keeper.backup import manifest, shelf
from gpuglass.keeper.backup.layout import HOUR, MINUTE, RAW, Layout
from gpuglass.keeper.backup.make import Maker
from gpuglass.keeper.backup.manifest import BackupError
from gpuglass.keeper.backup.programs import Tool
from gpuglass.keeper.backup.restore import Restorer, check_whole
from gpuglass.keeper.backup.shelf import Shelf
from gpuglass.keeper.http import Way
from gpuglass.keeper.victoriametrics import QueryError, VictoriaMetrics

# To take a snapshot, VictoriaMetrics writes what it holds to the disk.
_TIMEOUT = 300.0
_FOLDER = click.Path(path_type=Path, file_okay=False)
_LAYOUT = (
    click.option(
        "--source.dir",
        "source",
        type=_FOLDER,
        default=".",
        show_default=True,
        help="The clone of gpuglass, with what people write.",
    ),
    click.option(
        "--data.dir",
        "data",
        type=_FOLDER,
        default=".gpuglass/data",
        show_default=True,
        help="Folder of the data, with a folder for each program.",
    ),
    click.option(
        "--rollup.minute-url",
        "minute_url",
        type=url,
        help="Address of the tier of minutes; without it, there is none.",
    ),
    click.option(
        "--rollup.hour-url",
        "hour_url",
        type=url,
        help="Address of the tier of hours; without it, there is none.",
    ),
)
T = TypeVar("T")


def _layout_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_LAYOUT):
        command = option(command)
    return command


@click.command("backup", cls=SettingsCommand)
@click.argument("destination", type=_FOLDER)
@click.option(
    "--check", is_flag=True, help="Make none; read the newest one, or that which is named."
)
@click.option(
    "--keep",
    type=click.IntRange(1),
    metavar="NUMBER",
    help="Remove all but so many of the newest backups afterwards; without it, none.",
)
@_layout_options
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
    layout = _layout(chosen)
    storages = {
        name: VictoriaMetrics(urls[name], _FLAGS[name], _TIMEOUT, way) for name in layout.stores()
    }
    made = _done(
        lambda: Maker(layout, storages, _tool(program, "vmbackup")).make(Shelf(destination))
    )
    click.echo(f"{made.folder}: {_size(made.manifest.size)}, {_size(made.new)} of it new")
    if keep is not None:
        removed = _done(lambda: Shelf(destination).thin_out(keep))
        if removed:
            click.echo(f"Removed {removed} older; {keep} stay.")


@click.command("restore", cls=SettingsCommand)
@click.argument("source_backup", metavar="BACKUP", type=_FOLDER)
@click.option("--replace", is_flag=True, help="Give up the data that are here.")
@_layout_options
@click.option(
    "--vmrestore.path",
    "program",
    default="vmrestore",
    show_default=True,
    help="vmrestore, which copies what was stored.",
)
def restore_command(source_backup: Path, replace: bool, program: str, **chosen: Any) -> None:
    """Put BACKUP, or the newest one of a folder of backups, in place of what is here.

    The installation has to be stopped (./setup.sh --stop). The backup is read and checked as a
    whole. If anything fails, all stays as it was; if this command is killed, run it again.
    """
    restorer = Restorer(_layout(chosen), _done(lambda: _tool(program, "vmrestore")))
    backup = _done(lambda: shelf.newest(source_backup))
    told = _done(lambda: restorer.restore(backup, replace))
    click.echo(f"Restored what {told.machine} had on {moment(told.moment)}, from {backup}.")
    click.echo("Start it: ./setup.sh with --single-node or --host, as before")


_FLAGS = {RAW: "--victoriametrics.url", MINUTE: "--rollup.minute-url", HOUR: "--rollup.hour-url"}


def _check(folder: Path) -> None:
    def checked() -> tuple[Path, manifest.Manifest]:
        backup = shelf.newest(folder)
        told = manifest.read(backup)
        check_whole(backup, told)
        return backup, told

    backup, told = _done(checked)
    click.echo(
        f"{backup}: whole; {_size(told.size)} of {told.machine} on {moment(told.moment)}, "
        f"{told.profile} storage"
    )


def _layout(chosen: dict[str, Any]) -> Layout:
    urls = [chosen["minute_url"], chosen["hour_url"]]
    if any(urls) and not all(urls):
        raise click.UsageError("--rollup.minute-url and --rollup.hour-url go together")
    return Layout(chosen["source"], chosen["data"], tiered=all(urls))


def _tool(program: str, name: str) -> Tool:
    return Tool(program, f"--{name}.path")


def _done(work: Callable[[], T]) -> T:
    """Do it, and clean up also when we are told to end."""
    signal.signal(signal.SIGTERM, _end)
    try:
        return work()
    except (BackupError, QueryError) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise click.ClickException(f"{where}{error.strerror or error}") from None


def _end(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def _size(size: int) -> str:
    if size < 1_000_000:
        return f"{-(-size // 1000)} kB"
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
