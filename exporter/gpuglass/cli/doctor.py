"""``gpuglass doctor``: what is wrong with this install, and what to do about it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gpuglass.cli.control import sockets_option
from gpuglass.cli.push import push_dir_option, push_url_option
from gpuglass.cli.settings import SettingsCommand, url
from gpuglass.cli.silencing import alertmanager_option
from gpuglass.cli.storage import tier_options, victoriametrics_option, way_option
from gpuglass.cli.targets_options import dir_option
from gpuglass.doctor.install import Addresses, Install
from gpuglass.doctor.model import ROLES, Result, Status, examine
from gpuglass.doctor.registry import CHECKS

_IDS = {check.id: check for check in CHECKS}
_PATH = click.Path(path_type=Path)


def _url_option(program: str, default: str | None, what: str) -> Callable[[Any], Any]:
    return click.option(
        f"--{program}.url",
        f"{program}_url",
        type=url,
        default=default,
        show_default=default is not None,
        help=f"Address of {what}.",
    )


_OPTIONS = (
    click.option(
        "--role",
        type=click.Choice(list(ROLES)),
        default="single-node",
        show_default=True,
        help="What this machine is: it decides which checks make sense.",
    ),
    _url_option("exporter", "http://127.0.0.1:9400", "this machine's exporter"),
    sockets_option,
    _url_option("keeper", "http://127.0.0.1:9401", "the keeper"),
    victoriametrics_option(),
    _url_option("vmagent", "http://127.0.0.1:8429", "vmagent"),
    _url_option("vmalert", "http://127.0.0.1:8880", "vmalert"),
    alertmanager_option,
    tier_options,
    way_option,
    _url_option("grafana", None, "Grafana; without it, there is none"),
    click.option(
        "--grafana.password-file",
        "grafana_password",
        type=_PATH,
        help="File with the password of Grafana's user admin.",
    ),
    push_url_option,
    push_dir_option,
    dir_option,
    click.option(
        "--path.rootfs",
        "rootfs",
        type=_PATH,
        default="/",
        show_default=True,
        help="Where the machine's root directory is seen, for a container.",
    ),
    click.option(
        "--container.runtimes",
        "runtimes",
        help="What Docker says of its runtimes; asked if not given.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
)


def _options(command: Any) -> Any:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command("doctor", cls=SettingsCommand)
@click.argument("ids", metavar="[CHECK]...", nargs=-1)
@_options
def command(ids: tuple[str, ...], role: str, as_json: bool, **chosen: Any) -> None:
    """Look this install over: what is wrong, why it matters, and what to type.

    Without CHECK, all checks are done that make sense for the role. Nothing is changed. The exit
    code is 1 if a check fails; warnings do not count.
    """
    for id in ids:
        if id not in _IDS:
            raise click.UsageError(f"there is no check {id}; there are: {', '.join(_IDS)}")
    wanted = [_IDS[id] for id in ids] or [c for c in CHECKS if c.parts & ROLES[role]]
    results = []
    for result in examine(_install(chosen), wanted):
        results.append(result)
        if not as_json:
            click.echo(_written(result))
    wrong = sum(result.finding.status is Status.FAILED for result in results)
    if as_json:
        told = {"failed": wrong, "checks": [_as_json(result) for result in results]}
        click.echo(json.dumps(told, indent=2))
    if wrong:
        raise click.exceptions.Exit(1)


def _install(chosen: dict[str, Any]) -> Install:
    programs = ("exporter", "keeper", "victoriametrics", "minute", "hour", "vmagent", "vmalert")
    places = {name: chosen[f"{name}_url"] for name in (*programs, "alertmanager", "grafana")}
    install = Install(
        Addresses(**places),
        chosen["directory"],
        rootfs=chosen["rootfs"],
        sockets=chosen["sockets"],
        way=chosen["way"],
        grafana_password=chosen["grafana_password"],
        # A host has the address alone, for those who push to it.
        push=(chosen["push_url"], chosen["push_dir"]) if chosen["push_dir"] else None,
    )
    runtimes = chosen["runtimes"]
    if runtimes is not None:
        install.docker_runtimes = lambda: runtimes or None
    return install


def _written(result: Result) -> str:
    finding = result.finding
    lines = [f"{finding.status.value:<8} {result.check.id:<18} {finding.what}"]
    if finding.do:
        lines += [f"{'':<27} why: {result.check.why}", f"{'':<27} do:  {finding.do}"]
    return "\n".join(lines)


def _as_json(result: Result) -> dict[str, str]:
    check, finding = result.check, result.finding
    return {
        "id": check.id,
        "status": finding.status.value,
        "finding": finding.what,
        "why": check.why,
        "do": finding.do,
    }
