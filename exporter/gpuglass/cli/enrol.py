"""``gpuglass enrol``: what a node needs to be scraped over TLS, with a password."""

from pathlib import Path
from typing import Any

import click

from gpuglass.cli.settings import SettingsCommand
from gpuglass.keeper.enrolment import Enrolment, EnrolmentError, checked
from gpuglass.text.files import replace

tls_dir_option = click.option(
    "--tls.dir",
    "tls_dir",
    type=click.Path(path_type=Path),
    help="Folder with the CA and the password for scrapes; made if it is not there.",
)


def _name(value: Any) -> str:
    try:
        return checked(str(value))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command("enrol", cls=SettingsCommand)
@click.argument("names", metavar="HOST...", type=_name, nargs=-1, required=True)
@tls_dir_option
@click.option(
    "--days",
    type=click.IntRange(1, 7300),
    default=3650,
    show_default=True,
    help="How long the node's certificate is good.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Write the web configuration to this file instead, for ./setup.sh --worker --tls FILE; "
    "- prints it and nothing else.",
)
def command(names: tuple[str, ...], tls_dir: Path | None, days: int, output: Path | None) -> None:
    """Print what to type on a node to have it scraped over TLS, with a password.

    HOST... are the names and addresses of one node by which targets files may call it. The node
    gets a certificate of the installation's CA for them. What is printed holds its key.
    """
    if tls_dir is None:
        raise click.UsageError("--tls.dir is missing; name the monitoring host's folder")
    is_written = False
    try:
        configuration = Enrolment(tls_dir).web_configuration(names, days)
        if str(output) == "-":
            click.echo(configuration, nl=False)
            return
        if output:
            is_written = True
            replace(output, configuration.encode(), 0o600)
    except EnrolmentError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        option = "--output, or --output - >FILE" if is_written else "--tls.dir"
        raise click.ClickException(f"{where}{error.strerror or error}; see {option}") from None
    host = f"[{names[0]}]" if ":" in names[0] else names[0]
    if output:
        click.echo(f"# Take {output} to {names[0]} by a safe way; there, in the clone of gpuglass:")
        click.echo(f"./setup.sh --worker --tls {output.name}")
    else:
        click.echo(f"# Type this on {names[0]}, in the clone of gpuglass:")
        click.echo(f"./setup.sh --worker --tls - <<'END'\n{configuration}END")
    click.echo("\n# Then, here:")
    click.echo(f"gpuglass targets add {host}:9400 --label __scheme__=https")
