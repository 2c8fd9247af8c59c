"""The ``gpuglass`` command: a module for each subcommand, and others for what these share."""

import sys
from importlib import import_module

import click

import gpuglass

_COMMANDS = (
    *("serve", "config", "release", "push"),
    *("keeper", "targets", "enrol", "workers", "rules", "status", "doctor", "password"),
    *("alerts", "alertmanager", "maintenance"),
    *("backup", "restore", "rollups"),
)


class _LazyGroup(click.Group):
    """Imports a subcommand when it is asked for, so that none pays for the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"gpuglass.cli.{cmd_name}").command
        return command


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(gpuglass.__version__, message="%(prog)s %(version)s")
def gpuglass_command() -> None:
    """Self-hosted, Prometheus-native monitoring for NVIDIA GPUs."""


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 wrong use or configuration."""
    try:
        code = gpuglass_command.main(prog_name="gpuglass", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(2)
    except click.ClickException as error:
        for line in error.format_message().splitlines():
            click.echo(f"gpuglass: error: {line}", err=True)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output went away, as `head` does: nothing is wrong.
        sys.stderr.close()
        sys.exit(0)
    sys.exit(code if isinstance(code, int) else 0)
