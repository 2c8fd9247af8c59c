"""``gpuglass password``: what the monitoring host's programs ask for, for those who type it."""

from pathlib import Path

import click

from gpuglass.cli.settings import SettingsCommand


@click.command("password", cls=SettingsCommand)
@click.option(
    "--password-file",
    "file",
    type=click.Path(path_type=Path),
    required=True,
    help="File that holds it.",
)
def command(file: Path) -> None:
    """Print the password of the user gpuglass.

    VictoriaMetrics, vmagent, vmalert and Alertmanager ask for it:

    curl -u "gpuglass:$(gpuglass password)" http://127.0.0.1:8428/api/v1/query?query=up
    """
    try:
        click.echo(file.read_text().rstrip())
    except OSError as error:
        raise click.ClickException(
            f"{file}: {error.strerror}; ask as the user who installed gpuglass"
        ) from None
