"""``gpuglass workers``: who may push to this monitoring host."""

import json
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from gpuglass.cli.enrol import tls_dir_option
from gpuglass.cli.settings import SettingsCommand, url
from gpuglass.cli.storage import victoriametrics_option, way_option
from gpuglass.cli.tables import ago, aligned
from gpuglass.cli.targets_options import label_option
from gpuglass.keeper.enrolment import Enrolment, EnrolmentError
from gpuglass.keeper.http import Way
from gpuglass.keeper.lock import locked
from gpuglass.keeper.victoriametrics import QueryError, VictoriaMetrics
from gpuglass.keeper.workers import edit
from gpuglass.keeper.workers.file import FILE, Worker, life, name_error, parse
from gpuglass.keeper.workers.keeper import MODE, prepare, read
from gpuglass.push import credentials
from gpuglass.text.files import replace

_PORT = 8427
workers_dir_option = click.option(
    "--workers.dir",
    "workers_dir",
    type=click.Path(path_type=Path),
    help="Folder with the list of workers that push; made if it is not there.",
)


@click.group("workers")
def command() -> None:
    """Say which machines may push, where nobody can reach them to scrape."""


def _push_url(value: Any) -> str:
    found = url(value)
    if not found.startswith("https://"):
        raise click.BadParameter(f"{value!r}: workers push over TLS alone; begin it with https://")
    return found if re.search(r":\d+$", found) else f"{found}:{_PORT}"


def _name(value: Any) -> str:
    wrong = name_error(str(value))
    if wrong:
        raise click.BadParameter(wrong)
    return str(value)


def _life(value: Any) -> float:
    try:
        return life(str(value))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@command.command(cls=SettingsCommand)
@click.argument("name", type=_name)
@label_option
@click.option(
    "--ephemeral",
    type=_life,
    metavar="TIME",
    help="Take it off the list once it is silent for so long, such as 2h, and raise no alert.",
)
@click.option(
    "--push.url",
    "push_url",
    type=_push_url,
    metavar="URL",
    help="Address by which the worker reaches this host, https://HOST:PORT.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Write what the worker needs to this file instead; - prints it and nothing else.",
)
@workers_dir_option
@tls_dir_option
def add(
    name: str,
    labels: tuple[tuple[str, str], ...],
    ephemeral: float | None,
    push_url: str | None,
    output: Path | None,
    workers_dir: Path | None,
    tls_dir: Path | None,
) -> None:
    """Let a machine push, and print what to type there. It is printed this once.

    NAME is the node of all that it sends, whatever it says itself.
    """
    directory, tls_dir = _folder(workers_dir, "workers"), _folder(tls_dir, "tls")
    if push_url is None:
        raise click.ClickException(
            "workers cannot push to this host yet; put GPUGLASS_PUSH=yes into gpuglass.env and run "
            "./setup.sh with the role of this host again"
        )
    worker = Worker(name, secrets.token_urlsafe(32), time.time() // 1, ephemeral, _sorted(labels))
    with _told():
        enrolment = Enrolment(tls_dir)
        enrolment.prepare()
        given = credentials.text(credentials.Credentials(name, worker.token, enrolment.ca()))
        if output and str(output) != "-":
            replace(output, given.encode(), 0o600)
        _change(directory, lambda content: edit.add(FILE, content, worker))
    _print(name, push_url, given, output)


def _print(name: str, push_url: str, given: str, output: Path | None) -> None:
    if str(output) == "-":
        click.echo(given, nl=False)
        return
    if output:
        click.echo(f"# Take {output} to {name} by a safe way; there, in the clone of gpuglass:")
        click.echo(f"./setup.sh --worker --push {push_url} --credentials {output.name}")
    else:
        click.echo(f"# Type this on {name}, in the clone of gpuglass:")
        click.echo(f"./setup.sh --worker --push {push_url} --credentials - <<'END'\n{given}END")
    click.echo("\n# If it reaches this host by another name or address, write that after --push.")


@command.command("list", cls=SettingsCommand)
@workers_dir_option
@victoriametrics_option()
@way_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(workers_dir: Path | None, victoriametrics_url: str, way: Way, as_json: bool) -> None:
    """Print who may push, and how long each has been silent. No tokens are printed."""
    directory = _folder(workers_dir, "workers")
    with _told():
        found = read(directory / FILE)
    for problem in found.problems:
        click.echo(problem, err=True)
    silent = _silent(victoriametrics_url, way)
    if as_json:
        click.echo(json.dumps({"workers": [_as_json(w, silent) for w in found.workers]}, indent=2))
    elif found.workers:
        rows = [("NODE", "SILENT FOR", "EPHEMERAL", "LABELS")]
        click.echo(aligned([*rows, *(_row(worker, silent) for worker in found.workers)]))
    elif not found.problems:
        click.echo("no workers push; see gpuglass workers add --help")
    if found.problems:
        raise click.exceptions.Exit(1)


def _silent(storage_url: str, way: Way) -> dict[str, float | None]:
    """How long each was silent, as the keeper has it, or None if it has pushed nothing yet.

    Empty where that cannot be asked.
    """
    storage = VictoriaMetrics(storage_url, "--victoriametrics.url", way=way)
    try:
        found = storage.query("last_over_time(gpuglass_keeper_worker_silent_seconds[5m])")
        silent = {labels.get("worker", ""): value for labels, value in found}
        # Who has time yet to push for the first time counts as if it did.
        found = storage.query('max by (node) (last_over_time(up{job="gpu"}[5m]))')
        heard = {labels.get("node", "") for labels, _ in found}
    except QueryError as error:
        click.echo(f"how long they are silent is not known: {error}", err=True)
        return {}
    return {name: seconds if seconds or name in heard else None for name, seconds in silent.items()}


def _row(worker: Worker, silent: dict[str, float | None]) -> tuple[str, ...]:
    quiet = "not known"
    if worker.name in silent:
        seconds = silent[worker.name]
        quiet = "nothing yet" if seconds is None else ago(seconds)
    labels = ", ".join(f"{name}={text}" for name, text in worker.labels)
    return worker.name, quiet, ago(worker.life) if worker.life else "no", labels or "-"


def _as_json(worker: Worker, silent: dict[str, float | None]) -> dict[str, Any]:
    return {
        "node": worker.name,
        "added": worker.added,
        "ephemeral_seconds": worker.life,
        "labels": dict(worker.labels),
        "silent_seconds": silent.get(worker.name),
    }


@command.command(cls=SettingsCommand)
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@workers_dir_option
def revoke(names: tuple[str, ...], workers_dir: Path | None) -> None:
    """Let a machine push no more; what it has sent stays."""
    directory = _folder(workers_dir, "workers")

    def without(content: bytes) -> bytes:
        known = {worker.name for worker in parse(FILE, content).workers}
        strangers = [name for name in names if name not in known]
        if strangers and not parse(FILE, content).problems:
            raise click.ClickException(f"{strangers[0]}: no such worker; see gpuglass workers list")
        return edit.remove(FILE, content, names)

    with _told():
        _change(directory, without)
    for name in names:
        click.echo(f"{name} is refused from now on, within seconds")


def _change(directory: Path, made: Any) -> None:
    prepare(directory)
    with locked(directory):
        path = directory / FILE
        replace(path, made(path.read_bytes()), MODE, path.stat())


def _sorted(labels: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Labels as the list would take them.

    Raises:
        click.UsageError: It would not.
    """
    wanted = dict(labels)
    if len(wanted) < len(labels):
        raise click.UsageError("a label is given twice; keep one")
    text = json.dumps({"worker": {"token": "-" * 32, "labels": wanted}})
    found = parse("given", text.encode())
    if found.problems:
        raise click.UsageError(found.problems[0].what)
    return found.workers[0].labels


def _folder(given: Path | None, name: str) -> Path:
    if given is None:
        raise click.UsageError(f"--{name}.dir is missing; name the monitoring host's folder")
    return given


@contextmanager
def _told() -> Iterator[None]:
    """What hinders a command becomes one line."""
    try:
        yield
    except (edit.EditError, EnrolmentError) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise click.ClickException(f"{where}{error.strerror or error}") from None
