"""What is looked at: the machine, and the addresses of an install's programs."""

import ctypes
import re
import socket
import ssl
import subprocess
import time
import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from gpuglass.control import client, commands
from gpuglass.keeper.http import PLAIN, HttpError, Way, ask
from gpuglass.keeper.victoriametrics import VictoriaMetrics

_TIMEOUT = 10.0
# What adjtimex() returns where nothing keeps the clock right (linux/timex.h).
_TIME_ERROR = 5
# More than its structure takes.
_TIMEX_SIZE = 512


@dataclass(frozen=True)
class Addresses:
    """Where the programs answer, as URLs; None for what this install has not."""

    exporter: str = "http://127.0.0.1:9400"
    keeper: str = "http://127.0.0.1:9401"
    victoriametrics: str = "http://127.0.0.1:8428"
    minute: str | None = None
    hour: str | None = None
    vmagent: str = "http://127.0.0.1:8429"
    vmalert: str = "http://127.0.0.1:8880"
    alertmanager: str = "http://127.0.0.1:9093"
    grafana: str | None = None


@dataclass(frozen=True)
class Sample:
    """One line of a page of metrics."""

    name: str
    labels: dict[str, str]
    value: float


def is_clock_kept() -> bool | None:
    """Whether the kernel says that something, such as NTP, keeps its clock; None if it does not."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_SIZE))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR


def docker_runtimes() -> str | None:
    """What Docker says of its runtimes, as JSON; None where it does not answer."""
    command = ["docker", "info", "--format", "{{json .Runtimes}}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 and done.stdout.strip() else None


@dataclass
class Install:
    """One install on one machine.

    Attributes:
        addresses: Where its programs answer.
        targets: The folder of its targets files.
        procfs: The machine's ``/proc``.
        sysfs: The machine's ``/sys``.
        rootfs: The machine's root directory.
        sockets: Where the exporter's control socket may be.
        way: How to get to those that ask for a password.
        grafana_password: The file with the password of Grafana's user admin.
        push: Where a worker pushes, and the folder with what it was given for that.
        clock: Gives Unix time in seconds.
        is_clock_kept: See there.
        docker_runtimes: See there.
    """

    addresses: Addresses = field(default_factory=Addresses)
    targets: Path = Path("victoriametrics/targets")
    procfs: Path = Path("/proc")
    sysfs: Path = Path("/sys")
    rootfs: Path = Path("/")
    sockets: Sequence[Path] = ()
    way: Way = PLAIN
    grafana_password: Path | None = None
    push: tuple[str, Path] | None = None
    clock: Callable[[], float] = time.time
    is_clock_kept: Callable[[], bool | None] = is_clock_kept
    docker_runtimes: Callable[[], str | None] = docker_runtimes

    @cached_property
    def storage(self) -> VictoriaMetrics:
        """The storage of the samples."""
        url = self.addresses.victoriametrics
        return VictoriaMetrics(url, "--victoriametrics.url", _TIMEOUT, self.way)

    @cached_property
    def page(self) -> list[Sample] | None:
        """What the exporter of this machine tells; None if it does not tell it to us."""
        answer = self._over_http
        text = answer if isinstance(answer, str) else self._through_socket()
        if text is None:
            return None
        try:
            families = list(text_string_to_metric_families(text))
        except ValueError:
            return None
        return [Sample(s.name, s.labels, s.value) for f in families for s in f.samples]

    @cached_property
    def asks_for(self) -> str:
        """What the exporter wants of who asks it; empty if nothing, or if nobody answers."""
        error = self._over_http
        if not isinstance(error, HttpError):
            return ""
        if error.status == HTTPStatus.UNAUTHORIZED:
            return "a password"
        return "TLS" if error.status is None and self._speaks_tls() else ""

    @cached_property
    def _over_http(self) -> str | HttpError:
        try:
            page = ask(f"{self.addresses.exporter}/metrics", timeout=_TIMEOUT)
        except HttpError as error:
            return error
        return page.decode(errors="replace")

    def _through_socket(self) -> str | None:
        """The page as root and its own user get it; None for others, or if it is not so guarded."""
        if not self.asks_for:
            return None
        try:
            answer = client.ask(self.sockets, commands.metrics())
        except client.AskError:
            return None
        # Where several run, one may be reached by the socket, and another be the one meant.
        port = urllib.parse.urlsplit(self.addresses.exporter).port
        return str(answer.get("metrics")) if port in answer.get("ports", ()) else None

    def _speaks_tls(self) -> bool:
        place = urllib.parse.urlsplit(self.addresses.exporter)
        trusting = ssl.create_default_context()
        trusting.check_hostname = False
        trusting.verify_mode = ssl.CERT_NONE
        try:
            address = (place.hostname or "", place.port or 443)
            with socket.create_connection(address, _TIMEOUT) as plain, trusting.wrap_socket(plain):
                return True
        except ssl.SSLError as error:
            # It refuses us in the words of TLS, as for want of a certificate.
            return "ALERT" in (error.reason or "")
        except (OSError, ValueError):
            return False

    def told(self, name: str, **labels: str) -> list[Sample]:
        """What the exporter's page has of a metric, with these labels; nothing without a page."""
        return [
            sample
            for sample in self.page or ()
            if sample.name == name and labels.items() <= sample.labels.items()
        ]

    def gpus_on_bus(self) -> int:
        """How many of NVIDIA's display controllers there are, with a driver or without."""
        return sum(
            _read(device / "vendor") == "0x10de" and _read(device / "class").startswith("0x03")
            for device in self.sysfs.glob("bus/pci/devices/*")
        )

    def driver_version(self) -> str | None:
        """The version of the driver that is loaded; None if none is."""
        text = _read(self.procfs / "driver/nvidia/version")
        found = re.search(r"Kernel Module.*?\s(\d+\.[\d.]+)", text)
        if found:
            return found[1]
        return "of Windows" if (self.rootfs / "dev/dxg").exists() else None


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
