"""From the nodes to the storage: the programs, their ports, targets, series, clocks."""

import ipaddress
import json
import shlex
import urllib.parse
from collections.abc import Iterable, Iterator
from http import HTTPStatus

from gpuglass.catalogue import exporter
from gpuglass.doctor.install import Install
from gpuglass.doctor.model import Finding, check, failed, ok, skipped, warning
from gpuglass.keeper.http import PLAIN, HttpError, Way, ask
from gpuglass.keeper.targets import plan
from gpuglass.keeper.targets.asking import MOST_CLOCK_OFFSET
from gpuglass.keeper.targets.store import Store
from gpuglass.keeper.words import counted

# An alert fires from here on: GPUClockWrong.
_WRONG_CLOCK = 60.0
_LATE = 60.0
_MOST_TOLD = 5
_LISTEN = "0A"
_OFFSETS = (
    f"max by (instance) ({exporter.COLLECTOR_LAST_SUCCESS.name})"
    ' - on (instance) group_right () timestamp(up{job="gpu"})'
)
# Whose series should be there.
_EXPECTED = 'up{job="gpu"} or gpuglass_keeper_worker_silent_seconds'
_STORAGE = ("/metrics", "vm_rows")
# What only this program tells, and where.
_SIGNS = {
    "victoriametrics": _STORAGE,
    "minute": _STORAGE,
    "hour": _STORAGE,
    "vmagent": ("/metrics", "vmagent_"),
    "vmalert": ("/metrics", "vmalert_"),
    "alertmanager": ("/metrics", "alertmanager_"),
    "keeper": ("/metrics", "gpuglass_keeper_"),
    "grafana": ("/api/health", '"database"'),
}
# Who asks for the installation's password.
_PROTECTED = ("victoriametrics", "minute", "hour", "vmagent", "vmalert", "alertmanager")
# What Grafana, which asks for its own, tells to nobody else; its metrics are open to all.
_GRAFANAS_OWN = "/api/org"
# As their supervisor and Compose know them.
_CALLED = {
    "victoriametrics": "victoria-metrics",
    "minute": "victoria-metrics-1m",
    "hour": "victoria-metrics-1h",
}


def programs(install: Install, names: Iterable[str] = _SIGNS) -> dict[str, str]:
    """Where the host's programs answer, by what their supervisor calls them."""
    places = {name: getattr(install.addresses, name) for name in names}
    return {_CALLED.get(name, name): url for name, url in places.items() if url is not None}


@check("ports", "a program that does not answer does nothing for anybody")
def ports(install: Install) -> Finding:
    """Whether each of the host's programs answers at its port, and nobody else."""
    silent, strangers = [], []
    protected = programs(install, _PROTECTED)
    for name, url in programs(install).items():
        path, sign = _SIGNS.get(name, _STORAGE)
        try:
            way = install.way if name in protected else PLAIN
            if sign.encode() not in ask(url + path, way=way):
                strangers.append(f"{name} at {url}")
        except HttpError as error:
            if error.status is None:
                silent.append(f"{name} at {url} ({error.reason})")
            # Who asks for a password that we do not have is the finding of another check.
            elif error.status != HTTPStatus.UNAUTHORIZED or name not in protected:
                strangers.append(f"{name} at {url}")
    if silent:
        return failed(f"no answer from {', '.join(silent)}", "./setup.sh --status; then the log")
    if strangers:
        return failed(
            f"something else answers for {', '.join(strangers)}",
            "end it, or set another port in gpuglass.env and run setup.sh again",
        )
    return ok(f"{counted(len(programs(install)), 'program')} answer")


@check("exposure", "whoever reaches these ports can read, and some let them change things")
def exposure(install: Install) -> Finding:
    """Whether a program of the host listens beyond this machine, without a password."""
    wanted = {urllib.parse.urlsplit(url).port: name for name, url in programs(install).items()}
    open_ = sorted({wanted[port] for host, port in _listening(install) if port in wanted and host})
    bare = [name for name in open_ if not _is_protected(install, name)]
    if bare:
        return warning(
            f"listening beyond the loopback without a password: {', '.join(bare)}",
            "put a proxy with TLS and passwords before them, or close the ports in the firewall",
        )
    if open_:
        return ok(f"other machines reach {', '.join(open_)} with a password; the rest not at all")
    return ok("the host's programs listen on the loopback alone")


def _is_protected(install: Install, name: str) -> bool:
    url = programs(install)[name]
    return bool(_asks(url, path=_GRAFANAS_OWN) if name == "grafana" else _asks(url))


@check("passwords", "who reaches a program without a password can read, write and silence")
def passwords(install: Install) -> Finding:
    """Whether the programs ask for the installation's password, and nobody else can read it."""
    asking = {name: _asks(url) for name, url in programs(install, _PROTECTED).items()}
    refusing = [
        name
        for name, url in programs(install, _PROTECTED).items()
        if asking[name] and _asks(url, install.way)
    ]
    if refusing:
        more = f"; so with {', '.join(refusing[1:])}" if refusing[1:] else ""
        return failed(
            f"{refusing[0]} {install.way.refused()}{more}",
            "run setup.sh again, as the user who installed gpuglass",
        )
    if False in asking.values():
        open_ = ", ".join(name for name, asks in asking.items() if asks is False)
        return warning(f"no password is asked for by {open_}", "run setup.sh again, with --secure")
    if not any(asking.values()):
        return skipped("none of the programs answers")
    file = install.way.login and install.way.login.file
    if file and file.stat().st_mode & 0o077:
        return failed(
            f"others than its owner may read {file}", f"chmod 600 {shlex.quote(str(file))}"
        )
    return ok(f"{counted(sum(map(bool, asking.values())), 'program')} ask for it")


def _asks(url: str, way: Way = PLAIN, path: str = "/metrics") -> bool | None:
    """Whether a program does not let us in; None if it does not answer."""
    try:
        ask(url + path, way=way)
    except HttpError as error:
        return None if error.status is None else error.status == HTTPStatus.UNAUTHORIZED
    return False


def _listening(install: Install) -> Iterator[tuple[bool, int]]:
    """Each listening port, with whether others than this machine can reach it."""
    for table in ("tcp", "tcp6"):
        try:
            rows = (install.procfs / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in map(str.split, rows):
            if row[3] == _LISTEN:
                host, _, port = row[1].partition(":")
                yield not _is_loopback(host), int(port, 16)


def _is_loopback(spelled: str) -> bool:
    """Of an address as /proc/net spells it: 32-bit words in the machine's own order."""
    words = [bytes.fromhex(spelled[at : at + 8])[::-1] for at in range(0, len(spelled), 8)]
    address = ipaddress.ip_address(b"".join(words))
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


@check("targets", "what is not scraped is not seen, and nobody is told of it")
def targets(install: Install) -> Finding:
    """Whether the files are right, and every target is scraped and answers."""
    try:
        store = Store(install.targets)
    except OSError as error:
        return failed(f"{install.targets}: {error.strerror}", "see --targets.dir")
    files = [each.file for each in plan.make(store.files.values(), {}).values()]
    problems = [problem for file in files for problem in file.problems]
    if problems:
        more = f" (and {len(problems) - 1} more)" if problems[1:] else ""
        return failed(f"{problems[0]}{more}", "gpuglass targets check")
    listed = sum(len(file.targets) for file in files)
    if not listed:
        pushing = len(list(install.storage.query("gpuglass_keeper_worker_silent_seconds")))
        if pushing:
            return ok(f"{counted(pushing, 'worker')} listed to push, no targets")
        return warning("no targets are listed", "gpuglass targets add HOST:9400")
    up = list(install.storage.query('up{job="gpu"}'))
    down = [labels.get("node", labels["instance"]) for labels, value in up if value != 1]
    if down:
        return failed(
            f"no answer from {len(down)} of {counted(len(up), 'node')}: {_some(down)}",
            "gpuglass targets check",
        )
    if len(up) < listed:
        return failed(
            f"{counted(listed, 'target')} listed, {len(up)} scraped",
            "wait half a minute; then docs/runbooks/GPUStackTargetsNotScraped.md",
        )
    return ok(f"{counted(listed, 'target')} listed, scraped and answering")


def _some(names: list[str]) -> str:
    more = ", ..." if names[_MOST_TOLD:] else ""
    return ", ".join(sorted(names)[:_MOST_TOLD]) + more


@check("series", "dashboards and alerts see what has arrived in the storage, and nothing else")
def series(install: Install) -> Finding:
    """Whether what this node tells arrives; on a host without an exporter, what any node tells."""
    build = install.told(exporter.BUILD_INFO.name)
    node = build[0].labels.get("node") if build else None
    matcher = "" if node is None else f",node={json.dumps(node)}"
    newest = f'max(tlast_over_time({exporter.BUILD_INFO.name}{{job="gpu"{matcher}}}[1d]))'
    whose = "any node" if node is None else node
    arrived = [moment for _, moment in install.storage.query(newest)]
    if not arrived and node is None and not list(install.storage.query(_EXPECTED)):
        return skipped("nothing is scraped, and nobody pushes: see the check targets")
    if not arrived:
        return failed(f"nothing of {whose} has arrived within a day", "gpuglass targets check")
    age = install.clock() - arrived[0]
    if age > _LATE:
        return failed(
            f"the last series of {whose} arrived {age:.0f} s ago",
            "gpuglass targets check; the log of vmagent",
        )
    return ok(f"series of {whose} arrived {max(age, 0):.0f} s ago")


@check("node-clocks", "XIDs of a node with a wrong clock are told late or not at all")
def node_clocks(install: Install) -> Finding:
    """Whether the clocks of the nodes agree with this one's."""
    offsets = {
        labels.get("node", labels["instance"]): value
        for labels, value in install.storage.query(_OFFSETS)
    }
    if not offsets:
        return skipped("no node answers")
    off = {node: value for node, value in offsets.items() if abs(value) > MOST_CLOCK_OFFSET}
    if not off:
        return ok(f"the clocks of {counted(len(offsets), 'node')} agree with this one")
    worst = max(off, key=lambda node: abs(off[node]))
    what = f"the clock of {worst} is {off[worst]:+.0f} s off"
    if off.keys() - {worst}:
        what += f", and {len(off) - 1} more"
    judge = failed if abs(off[worst]) > _WRONG_CLOCK else warning
    return judge(what, "on the node: sudo timedatectl set-ntp true")
