"""``gpuglass restore``: a backup in place of what is here."""

from pathlib import Path
from typing import Any

import click

from gpuglass.cli.saving import FOLDER, done, layout, layout_options
from gpuglass.cli.settings import SettingsCommand
from gpuglass.cli.tables import moment
from gpuglass.keeper.backup import shelf
from gpuglass.keeper.backup.manifest import Manifest
from gpuglass.keeper.backup.programs import Tool
from gpuglass.keeper.backup.restore import Restorer


@click.command("restore", cls=SettingsCommand)
@click.argument("backup", type=FOLDER)
@click.option("--replace", is_flag=True, help="Give up the data that are here.")
@layout_options
@click.option(
    "--vmrestore.path",
    "program",
    default="vmrestore",
    show_default=True,
    help="vmrestore, which copies what was stored.",
)
def command(backup: Path, replace: bool, program: str, **chosen: Any) -> None:
    """Put BACKUP, or the newest one of a folder of backups, in place of what is here.

    The installation has to be stopped (./setup.sh --stop). The backup is read and checked as a
    whole. If anything fails, all stays as it was; if this command is killed, run it again.
    """
    here = layout(chosen)

    def restored() -> tuple[Path, Manifest]:
        restorer = Restorer(here, Tool(program, "--vmrestore.path"))
        found = shelf.newest(backup)
        return found, restorer.restore(found, replace)

    found, told = done(restored)
    click.echo(f"Restored what {told.machine} had on {moment(told.moment)}, from {found}.")
    click.echo("Start it: ./setup.sh with --single-node or --host, as before")
