"""``gpuglass serve``: the exporter."""

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click

from gpuglass.catalogue.groups import CORE, GROUPS, intervals
from gpuglass.cli import logs
from gpuglass.cli.push import collectors as push_collectors
from gpuglass.cli.push import push_dir_option, push_url_option, vmagent_option
from gpuglass.cli.settings import FileError, SettingsCommand, config_file_option, duration
from gpuglass.host import registry
from gpuglass.host.cards import Cards
from gpuglass.owners import OwnerPaths


def address(value: Any) -> tuple[str, int]:
    """An option's type: ``HOST:PORT``; for every interface ``:PORT`` or ``*:PORT``."""
    host, colon, port = str(value).rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isdigit() or (":" in bare and bare == host):
        raise click.BadParameter(f"{value!r} is no address; write HOST:PORT, :PORT or [IPV6]:PORT")
    if int(port) > 65535:
        raise click.BadParameter(f"{value!r}: a port is at most 65535")
    return "" if bare == "*" else bare, int(port)


def path(value: Any) -> str:
    """An option's type: an absolute URL path that nothing else of the exporter uses."""
    text = str(value)
    if not text.startswith("/") or any(c in text for c in "{}?# "):
        raise click.BadParameter(f"{text!r} is no path; write one such as /metrics")
    if text in ("/-/healthy", "/-/ready"):
        raise click.BadParameter(f"{text} is taken by the health check")
    if text.startswith(("/api/", "/static/")):
        raise click.BadParameter(f"{text} is taken by the live page")
    return text


def _collector_flags(command: Any) -> Any:
    optional = {group.name: group.help for group in GROUPS if group.name != CORE}
    optional["xid"] = "the XIDs of GPUs"
    hosts = {name: f"the host's {name} facts" for name in registry.names()}
    for name, what in reversed({"nvml": "the GPUs", **optional, **hosts}.items()):
        command = click.option(
            f"--collector.{name}/--no-collector.{name}",
            f"collector_{name}",
            default=True,
            show_default=True,
            help=f"Publish {what}.",
        )(command)
    return command


def _interval_flags(command: Any) -> Any:
    for group in reversed(GROUPS):
        if group.name != CORE:
            command = click.option(
                f"--interval.{group.name}",
                f"interval_{group.name}",
                type=duration(0.05, 3600),
                show_default=group.tempo.value,
                help=f"Time between two readings of {group.name}.",
            )(command)
    return command


@click.command("serve", cls=SettingsCommand)
@config_file_option
@click.option(
    "--web.listen-address",
    "listen_addresses",
    type=address,
    multiple=True,
    default=[":9400"],
    show_default=True,
    help="Where to listen; may be given more than once.",
)
@click.option(
    "--web.telemetry-path",
    "telemetry_path",
    type=path,
    default="/metrics",
    show_default=True,
    help="Path of the metrics.",
)
@click.option(
    "--web.config.file",
    "web_config",
    type=click.Path(path_type=Path),
    help="TLS, users and headers, as Prometheus's exporters take them; read again when it changes.",
)
@click.option(
    "--web.max-requests",
    "max_requests",
    type=click.IntRange(1, 10_000),
    default=40,
    show_default=True,
    help="Answers under way at once; who comes over it gets 503 and Retry-After.",
)
@click.option(
    "--web.max-pages",
    "max_pages",
    type=click.IntRange(0, 1000),
    default=32,
    show_default=True,
    help="Live pages that are open at once; who comes over it gets 503 and Retry-After.",
)
@click.option(
    "--web.timeout",
    "web_timeout",
    type=duration(1, 600),
    default="30s",
    show_default=True,
    help="Time that a client has to send its request, and again to take the answer, or a part.",
)
@click.option(
    "--node.name",
    "node_name",
    default=socket.gethostname,
    show_default="the machine's host name",
    help="The node label of every series.",
)
@click.option(
    "--probe.interval",
    "interval",
    type=duration(0.05, 60),
    default="1s",
    show_default=True,
    help="Time between two readings of the GPUs and the host.",
)
@click.option(
    "--probe.slow-interval",
    "slow_interval",
    type=duration(0.05, 600),
    default="10s",
    show_default=True,
    help="Time between two readings of what changes rarely, such as limits.",
)
@click.option(
    "--probe.deadline",
    "deadline",
    type=duration(1, 600),
    default="15s",
    show_default=True,
    help="Silence after which the process that reads the GPUs is replaced.",
)
@click.option(
    "--nvlink.links",
    "nvlinks",
    type=click.Choice(["sum", "each"]),
    default="sum",
    show_default=True,
    help="Whether to publish the sum over a GPU's NVLinks, or each of them.",
)
@click.option(
    "--probe.sleep/--no-probe.sleep",
    "sleep",
    default=True,
    show_default=True,
    help="Let GPUs sleep that may, as a laptop's: wake none, and let go of those that are idle.",
)
@click.option(
    "--probe.sleep-after",
    "sleep_after",
    type=duration(1, 3600),
    default="30s",
    show_default=True,
    help="Time without work or processes after which GPUs that may sleep are let go.",
)
@click.option(
    "--path.procfs",
    "procfs",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default="/proc",
    show_default=True,
    help="Where the machine's /proc is.",
)
@click.option(
    "--path.sysfs",
    "sysfs",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default="/sys",
    show_default=True,
    help="Where the machine's /sys is.",
)
@click.option(
    "--path.rootfs",
    "rootfs",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default="/",
    show_default=True,
    help="Where the machine's root directory is.",
)
@click.option(
    "--path.kmsg",
    "kmsg",
    type=click.Path(path_type=Path),
    default="/dev/kmsg",
    show_default=True,
    help="Where the kernel log is, or the socket of its reader, python -m gpuglass.kernel; XIDs "
    "come from NVML's events if it may not be read.",
)
@click.option(
    "--path.job-files",
    "job_files",
    type=click.Path(path_type=Path),
    multiple=True,
    show_default="run/gpustat in the root directory",
    help="Folder in which Slurm's prolog writes a file for each GPU; may be given more than once.",
)
@click.option(
    "--processes.most",
    "most_processes",
    type=click.IntRange(0, 1000),
    default=32,
    show_default=True,
    help="Processes of a GPU that have series of their own, the largest; the rest is summed.",
)
@click.option(
    "--processes.commands/--no-processes.commands",
    "commands",
    default=False,
    show_default=True,
    help="Publish command lines too; they may hold secrets.",
)
@click.option(
    "--control.socket",
    "control_socket",
    type=click.Path(path_type=Path),
    show_default="a file in the user's runtime directory",
    help="Where gpuglass release and doctor reach this exporter, a Unix socket; "
    '"none" to have none.',
)
@push_url_option
@push_dir_option
@vmagent_option
@_collector_flags
@_interval_flags
@click.option(
    "--log.level",
    "log_level",
    type=click.Choice(logs.LEVELS),
    default="info",
    show_default=True,
    help="The least severe messages to write.",
)
@click.option(
    "--log.format",
    "log_format",
    type=click.Choice(logs.FORMATS),
    default="logfmt",
    show_default=True,
    help="How to write them.",
)
@click.option("--once", is_flag=True, help="Print the metrics once and exit.")
def command(
    listen_addresses: list[tuple[str, int]],
    telemetry_path: str,
    web_config: Path | None,
    max_requests: int,
    max_pages: int,
    web_timeout: float,
    node_name: str,
    interval: float,
    slow_interval: float,
    deadline: float,
    nvlinks: str,
    sleep: bool,
    sleep_after: float,
    procfs: Path,
    sysfs: Path,
    rootfs: Path,
    kmsg: Path,
    job_files: tuple[Path, ...],
    most_processes: int,
    commands: bool,
    control_socket: Path | None,
    push_url: str | None,
    push_dir: Path | None,
    push_vmagent: str,
    log_level: str,
    log_format: str,
    once: bool,
    **others: Any,
) -> None:
    """Publish this machine's GPUs and host facts for Prometheus."""
    from gpuglass.pipeline.exporter import Exporter, Settings

    if not node_name.strip():
        raise click.UsageError("node.name is empty; give the node a name")
    if slow_interval < interval:
        raise click.UsageError("probe.slow-interval is shorter than probe.interval")
    logs.configure(log_level, log_format)
    wanted = [
        collector
        for collector in registry.collectors(registry.Paths(procfs, sysfs, rootfs))
        if others[f"collector_{collector.name}"]
    ]
    wanted += push_collectors(push_url, push_dir, push_vmagent)
    settings = Settings(
        node_name,
        _gpu_intervals(interval, slow_interval, others),
        interval,
        slow_interval,
        deadline,
        OwnerPaths(procfs, rootfs, rootfs / "var/log", job_files or (rootfs / "run/gpustat",)),
        commands,
        most_processes,
        kmsg if others["collector_xid"] else None,
        nvlinks == "each",
        cards=Cards(procfs, sysfs) if sleep else None,
        sleep_after=sleep_after,
    )
    exporter = Exporter(settings, wanted)
    if once:
        asyncio.run(_print(exporter))
    else:
        limits = (max_requests, web_timeout, max_pages)
        web = _Web(listen_addresses, telemetry_path, web_config, limits)
        asyncio.run(_serve(exporter, web, control_socket))


def _gpu_intervals(fast: float, slow: float, others: Mapping[str, Any]) -> dict[str, float]:
    """Seconds between two readings of each group of a GPU's facts; empty without GPUs."""
    if not others["collector_nvml"]:
        return {}
    optional = [group.name for group in GROUPS if group.name != CORE]
    return intervals(
        fast,
        slow,
        {name: others[f"collector_{name}"] for name in optional},
        {name: others[f"interval_{name}"] for name in optional},
    )


async def _print(exporter: Any) -> None:
    """Wait until everything is read, or it is clear that the GPUs cannot be, and print."""
    exporter.start()
    for _ in range(500):
        if exporter.complete():
            break
        await asyncio.sleep(0.01)
    sys.stdout.write(exporter.page().decode())
    sys.stdout.flush()
    await exporter.stop()


class _Web(NamedTuple):
    """What the user wants of the HTTP side."""

    addresses: list[tuple[str, int]]
    telemetry_path: str
    config: Path | None
    limits: tuple[int, float, int]


async def _serve(exporter: Any, wanted: _Web, control_socket: Path | None) -> None:
    # First of all, so that the probe starts while this process imports its web server.
    exporter.start()
    await asyncio.sleep(0)
    from gpuglass.web.app import build
    from gpuglass.web.connections import Limits
    from gpuglass.web.protection import Protection
    from gpuglass.web.server import Address, ListenError
    from gpuglass.web.terms import ConfigurationError

    public = frozenset({wanted.telemetry_path})
    try:
        protection = Protection(public, wanted.config, exporter.web_configuration)
    except ConfigurationError as error:
        await exporter.stop()
        raise FileError(str(error)) from None
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    listener = build(exporter, wanted.telemetry_path, Limits(*wanted.limits), protection)
    try:
        await listener.start([Address(*a) for a in wanted.addresses])
    except ListenError as error:
        await exporter.stop()
        raise click.ClickException(f"{error}; see --web.listen-address") from None
    control = await _listen_for_commands(exporter, wanted, control_socket)
    # What was imported stays for ever: the garbage collector need not look through it again,
    # which would hold a scrape up now and then.
    gc.collect()
    gc.freeze()
    await stop.wait()
    if control:
        control.stop()
    await listener.close()
    await exporter.stop()


async def _listen_for_commands(exporter: Any, web: _Web, path: Path | None) -> Any:
    from gpuglass.control import commands, places, server

    if path == Path("none"):
        return None
    paths = iter([path]) if path else places.to_listen(os.environ, os.getuid())
    ports = [port for _, port in web.addresses]
    return await server.listen(paths, commands.handler(exporter, ports))
