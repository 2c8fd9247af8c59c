"""What targets themselves say: whether they answer, as whom, and with what."""

import re
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import gpuglass
from gpuglass.catalogue import device, exporter
from gpuglass.keeper.http import HttpError, Way, ask
from gpuglass.keeper.targets.file import GPUS_LABEL, Target

# Further off, and times that the node tells are not to be relied on.
MOST_CLOCK_OFFSET = 5.0
_TOGETHER = 32
# A page of the largest node has less than a tenth of it.
_MOST_PAGE = 32 << 20
_SEE = "see gpuglass enrol and the scrape config"
_BUILD = exporter.BUILD_INFO.name
_CLOCK = exporter.COLLECTOR_LAST_SUCCESS.name
_NUMBER = r"-?\d{1,20}(?:\.\d{1,20})?(?:e[+-]?\d{1,3})?"
_LINE = re.compile(rf"^({_BUILD}|{_CLOCK}|{device.UP.name})\{{(.*)\}} ({_NUMBER})$", re.MULTILINE)
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


class Finding(NamedTuple):
    """What is to be said of a target.

    Attributes:
        what: What is wrong and what to do.
        grave: Whether it is wrong; else it is only worth a look.
    """

    what: str
    grave: bool = True


@dataclass(frozen=True)
class Page:
    """What a node says of itself; what it does not say is None.

    Attributes:
        node: Its name.
        version: Its version of gpuglass.
        gpus: How many of its GPUs answer.
        clock: The newest of what it tells, as Unix time by its own clock.
    """

    node: str | None
    version: str | None
    gpus: int
    clock: float | None


def ask_all(
    targets: Iterable[Target], ways: Mapping[str, Way], timeout: float
) -> Iterator[tuple[Target, list[Finding]]]:
    """Ask targets, many at once.

    Args:
        targets: Which.
        ways: With which password and certificates, by scheme.
        timeout: Seconds that one may take.

    Returns:
        What is to be said of each, in their order.
    """
    asked = tuple(targets)
    with ThreadPoolExecutor(_TOGETHER) as pool:
        yield from zip(
            asked, pool.map(lambda t: ask_one(t, ways[scheme(t)], timeout), asked), strict=True
        )


def ask_one(target: Target, way: Way, timeout: float) -> list[Finding]:
    """Ask one target for its page, and compare that with what the file says."""
    unknown = unresolvable(target)
    if unknown is not None:
        return [Finding(unknown)]
    began = time.time()
    try:
        page = ask(_url(target), timeout=timeout, way=way, most=_MOST_PAGE)
    except HttpError as error:
        return [_shown(Finding(_refusal(target, error)))]
    told = read_page(page.decode("utf-8", "replace"))
    return [_shown(finding) for finding in _compared(target, told, began, time.time())]


def _shown(finding: Finding) -> Finding:
    """Without what would reach a terminal as a command: a target says what it likes."""
    return finding._replace(what="".join(c if c.isprintable() else "?" for c in finding.what))


def unresolvable(target: Target) -> str | None:
    """Why the name of a target's host leads nowhere; None if it does, or is an address."""
    host, port = target.identity
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        return (
            f"cannot be found: this machine does not know the name {host} ({why}); "
            "correct it, or use an address"
        )
    return None


def read_page(text: str) -> Page:
    """What a page of metrics says of its node."""
    node, version, clock, gpus = None, None, None, 0
    for name, rest, value in _LINE.findall(text):
        labels = dict(_LABEL.findall(rest))
        node = labels.get("node", node)
        if name == _BUILD:
            version = labels.get("version")
        elif name == _CLOCK:
            clock = max(clock or 0.0, float(value))
        elif float(value) == 1:
            gpus += 1
    return Page(node, version, gpus, clock)


def _compared(target: Target, page: Page, began: float, ended: float) -> Iterator[Finding]:
    if page.version is None:
        yield Finding("answers, but not as gpuglass does; correct the port, or end what is there")
        return
    labels = dict(target.labels)
    if page.node is not None and page.node != labels["node"]:
        yield Finding(
            f"calls itself {page.node}, not {labels['node']}; write the label node: {page.node}, "
            "or start its exporter with --node.name"
        )
    if page.clock is not None:
        # Its newest fact is from some time during our question.
        offset = max(page.clock - ended, min(page.clock - began, 0.0))
        if abs(offset) > MOST_CLOCK_OFFSET:
            way = "ahead" if offset > 0 else "behind"
            yield Finding(f"its clock is {abs(offset):.0f} s {way} of ours; let NTP set it")
    if page.version != gpuglass.__version__:
        yield Finding(f"runs gpuglass {page.version}, here is {gpuglass.__version__}", grave=False)
    wanted = labels.get(GPUS_LABEL)
    if wanted is not None and int(wanted) != page.gpus:
        yield Finding(
            f"{page.gpus} of {wanted} GPUs answer; see gpuglass doctor there, "
            f"or correct the label {GPUS_LABEL}"
        )


def scheme(target: Target) -> str:
    """How a target is asked: http or https."""
    return dict(target.labels).get("__scheme__", "http")


def _url(target: Target) -> str:
    path = dict(target.labels).get("__metrics_path__", "/metrics")
    return f"{scheme(target)}://{target.address}{path}"


def _refusal(target: Target, error: HttpError) -> str:
    if error.status in (401, 403):
        return (
            f"refuses our password (HTTP {error.status}); see gpuglass enrol and the scrape config"
        )
    if error.status is not None:
        return f"answers HTTP {error.status} to {_url(target)}; correct port or __metrics_path__"
    reason = error.reason
    hangs_up = "closed connection" in reason or "reset" in reason
    if hangs_up and not _url(target).startswith("https"):
        return "hangs up; write the label __scheme__: https if it asks for TLS"
    if "WRONG_VERSION_NUMBER" in reason or "record layer failure" in reason.lower():
        return "speaks no TLS; remove the label __scheme__, or start its exporter with TLS"
    if "certificate" in reason.lower() or "ssl" in reason.lower():
        return f"TLS fails ({reason}); {_SEE}"
    return f"does not answer ({reason}); see that its exporter runs and no firewall is between"
