"""``gpuglass keeper``: what runs beside vmagent on the monitoring host."""

import logging
import signal
import threading
from pathlib import Path
from typing import Any

import click
from prometheus_client import start_http_server

from gpuglass.cli import alertmanager, logs
from gpuglass.cli.choices import choice_options, choices
from gpuglass.cli.enrol import tls_dir_option
from gpuglass.cli.ruling import rules_keeper, rules_options
from gpuglass.cli.settings import SettingsCommand, config_file_option, duration
from gpuglass.cli.silencing import alertmanager_option
from gpuglass.cli.storage import way_option
from gpuglass.cli.tiering import rollup_keepers, rollup_options
from gpuglass.cli.workers import workers_dir_option
from gpuglass.keeper import metrics
from gpuglass.keeper.alertmanager.acknowledgements import AcknowledgementsKeeper
from gpuglass.keeper.alertmanager.api import Alertmanager
from gpuglass.keeper.duty import Duty
from gpuglass.keeper.enrolment import Certificates, Enrolment, EnrolmentError
from gpuglass.keeper.http import Way
from gpuglass.keeper.runner import Runner
from gpuglass.keeper.targets import address
from gpuglass.keeper.targets.keeper import TargetsKeeper
from gpuglass.keeper.victoriametrics import VictoriaMetrics
from gpuglass.keeper.workers.attendance import Attendance
from gpuglass.keeper.workers.keeper import WorkersKeeper

_log = logging.getLogger(__name__)

_DIRECTORY = click.Path(path_type=Path)


class _WrongSettingError(click.ClickException):
    exit_code = 2


@click.command("keeper", cls=SettingsCommand)
@config_file_option
@click.option(
    "--targets.dir",
    "source",
    type=_DIRECTORY,
    default="victoriametrics/targets",
    show_default=True,
    help="Folder with the targets files that people edit.",
)
@click.option(
    "--targets.published-dir",
    "published",
    type=_DIRECTORY,
    required=True,
    help="Folder that vmagent reads; made if it is not there.",
)
@click.option(
    "--targets.check-interval",
    "interval",
    type=duration(0.1, 60),
    default="2s",
    show_default=True,
    help="Time between two looks; a change is taken when it has looked the same twice.",
)
@tls_dir_option
@workers_dir_option
@choice_options
@rules_options
@alertmanager_option
@alertmanager.keeper_options
@rollup_options
@way_option
@click.option(
    "--web.listen-address",
    "listen_address",
    default="127.0.0.1:9401",
    show_default=True,
    help="Address of the keeper's own /metrics.",
)
@click.option(
    "--log.level",
    "log_level",
    type=click.Choice(logs.LEVELS),
    default="info",
    show_default=True,
    help="Least severe level to log.",
)
@click.option(
    "--log.format",
    "log_format",
    type=click.Choice(logs.FORMATS),
    default="logfmt",
    show_default=True,
    help="Form of the log lines.",
)
def command(
    source: Path,
    published: Path,
    interval: float,
    tls_dir: Path | None,
    workers_dir: Path | None,
    alertmanager_url: str,
    listen_address: str,
    log_level: str,
    log_format: str,
    **chosen: Any,
) -> None:
    """Publish what people write: targets, rules, receivers of alerts.

    The last good version of each file stays in force. Ends acknowledgements in time, too, and keeps
    the long-term tiers complete.
    """
    logs.configure(log_level, log_format)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    host, port = _listen_address(listen_address)
    _prepare(tls_dir, workers_dir is not None)
    told = choices(chosen)
    way: Way = chosen["way"]
    workers = _workers(workers_dir, chosen["storage_url"], interval, way)
    duties: list[Duty] = [
        _targets(source, published, interval),
        *_attendance(workers, workers_dir, chosen["storage_url"], way),
        AcknowledgementsKeeper(Alertmanager(alertmanager_url, way)),
        *rollup_keepers(chosen, stop, lambda: _names(workers)),
    ]
    receivers = alertmanager.receivers_keeper(chosen, alertmanager_url, interval, way)
    if receivers is not None:
        duties.append(receivers)
    rules = rules_keeper(chosen)
    if rules is not None:
        duties.append(rules)
    runner = Runner(duties)
    certificates = [Certificates(tls_dir)] if tls_dir else []
    page = metrics.registry([*duties, runner, told, *certificates])
    try:
        server, thread = start_http_server(port, host, registry=page)
    except OSError as error:
        raise click.ClickException(
            f"cannot listen on {listen_address} ({error.strerror or error}); "
            "is another keeper running? See --web.listen-address"
        ) from None
    runner.run(stop)
    server.shutdown()
    server.server_close()
    thread.join()


def _prepare(tls_dir: Path | None, push: bool) -> None:
    """Make the CA and the password for scrapes; the rest of the keeper's work needs neither."""
    try:
        if tls_dir and Enrolment(tls_dir).prepare():
            _log.info("%s has a CA and a password for scrapes; see gpuglass enrol", tls_dir)
        if tls_dir and push and Enrolment(tls_dir).prepare_push():
            _log.info("%s has a certificate for workers that push", tls_dir)
    except (EnrolmentError, OSError) as error:
        _log.error("no CA and no password for scrapes in %s: %s", tls_dir, error)


def _listen_address(text: str) -> tuple[str, int]:
    try:
        return address.split(f"0.0.0.0{text}" if text.startswith(":") else text)
    except ValueError as error:
        raise _WrongSettingError(f"--web.listen-address: {text!r} {error}") from None


def _targets(source: Path, published: Path, interval: float) -> TargetsKeeper:
    if source.resolve() == published.resolve():
        raise _WrongSettingError("--targets.published-dir is --targets.dir; name another folder")
    keeper = TargetsKeeper(source, published, interval)
    try:
        keeper.start()
    except OSError as error:
        raise _WrongSettingError(
            f"{error.filename or published}: {error.strerror or error}; "
            "see --targets.dir and --targets.published-dir"
        ) from None
    return keeper


def _workers(
    directory: Path | None, storage_url: str, interval: float, way: Way
) -> WorkersKeeper | None:
    """What sees to the list of those who push; none without a folder for it."""
    if directory is None:
        return None
    login = way.login
    keeper = WorkersKeeper(directory, storage_url, login.headers if login else dict, interval)
    try:
        keeper.start()
    except OSError as error:
        raise _WrongSettingError(
            f"{error.filename or directory}: {error.strerror or error}; see --workers.dir"
        ) from None
    return keeper


def _attendance(
    workers: WorkersKeeper | None, directory: Path | None, storage_url: str, way: Way
) -> list[Duty]:
    if workers is None or directory is None:
        return []
    storage = VictoriaMetrics(storage_url, "--storage.url", way=way)
    return [workers, Attendance(directory, lambda: workers.workers, storage)]


def _names(workers: WorkersKeeper | None) -> set[str]:
    return {worker.name for worker in workers.workers} if workers else set()
