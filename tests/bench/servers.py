"""What is measured, and how it is started and stopped."""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from tests.bench.client import scrape
from tests.bench.stage import GPUS, ROOT
from tests.ports import free_port

NVITOP_EXPORTER = "1.7.2"
_PINS = ("nvitop==1.7.2", f"nvitop-exporter=={NVITOP_EXPORTER}")
_PATIENCE = 30.0
_POLL_SECONDS = 0.005


@dataclass(frozen=True)
class Server:
    """A server.

    Attributes:
        command: Makes its command line for a port.
        complete: Whether a page of it shows all GPUs.
    """

    command: Callable[[int], list[str]]
    complete: Callable[[str], bool]


@dataclass(frozen=True)
class Running:
    """A server that runs.

    Attributes:
        pid: The process that was started.
        port: Where it listens.
        start: Seconds from its start to its first complete page.
    """

    pid: int
    port: int
    start: float


def gpuglass(off: Sequence[str], *arguments: str, gpus: int = GPUS) -> Server:
    """The exporter of the running Python.

    Args:
        off: Which of its collectors are off.
        arguments: More of its command line.
        gpus: How many GPUs the driver has.
    """
    return Server(
        lambda port: [
            *(str(_bin("gpuglass")), "serve"),
            *("--web.listen-address", f"127.0.0.1:{port}"),
            *("--log.level", "warn"),
            *(f"--no-collector.{name}" for name in off),
            *arguments,
        ],
        lambda page: (
            len(re.findall(r"^gpu_up\{.*\} 1(\.0)?$", page, re.MULTILINE)) == gpus
            and page.count("\ngpu_power_watts{") == gpus
        ),
    )


def constant(plain: Path, compressed: Path) -> Server:
    """The floor: aiohttp and two files."""
    return Server(
        lambda port: [
            *(sys.executable, "-m", "tests.bench.constant"),
            *(str(port), str(plain), str(compressed)),
        ],
        lambda page: True,
    )


def nvitop_exporter(program: Path) -> Server:
    """nvitop-exporter as it comes; it reads once a second."""
    return Server(
        lambda port: [str(program), "--port", str(port)],
        lambda page: len(re.findall(r"^gpu_power_usage_W\{.*\} \d", page, re.MULTILINE)) == GPUS,
    )


def install_nvitop_exporter() -> Path:
    """The program, in an environment of its own that is kept; the tests' one will do.

    Returns:
        Its path.
    """
    version = ".".join(map(str, sys.version_info[:2]))
    package = f"lib/python{version}/site-packages/nvitop_exporter-{NVITOP_EXPORTER}.dist-info"
    ours = ROOT / ".cache" / f"bench-venv-{version}"
    for folder in (ours, *(ROOT / ".cache").glob("third-party-venv-*")):
        if (folder / package).exists() and (folder / "complete").exists():
            return folder / "bin" / "nvitop-exporter"
    venv.create(ours, with_pip=True, clear=True)
    subprocess.run([str(ours / "bin" / "pip"), "install", "--quiet", *_PINS], check=True)
    (ours / "complete").touch()
    return ours / "bin" / "nvitop-exporter"


@contextlib.contextmanager
def running(server: Server, driver: Path, scenario: Path) -> Iterator[Running]:
    """Start a server on a free port, wait for its first complete page, and stop it at the end.

    Args:
        server: Which.
        driver: The folder of the stand-in library.
        scenario: What it plays.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GPUGLASS_")}
    environment |= {"LD_LIBRARY_PATH": str(driver), "GPUGLASS_SIM_SCENARIO": str(scenario)}
    port = free_port()
    command = server.command(port)
    begin = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, env=environment, cwd=ROOT, stdin=subprocess.DEVNULL, stderr=log
        )
        try:
            if not _wait(process, port, server.complete):
                _stop(process)
                log.seek(0)
                message = log.read().decode(errors="replace")
                raise RuntimeError(f"{command!r} shows no complete page: {message}")
            yield Running(process.pid, port, time.perf_counter() - begin)
        finally:
            _stop(process)


def _wait(process: "subprocess.Popen[bytes]", port: int, complete: Callable[[str], bool]) -> bool:
    """Wait for a complete page; whether it has come."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if complete(scrape(port, False).body.decode()):
                return True
        if process.poll() is not None:
            break
        time.sleep(_POLL_SECONDS)
    return False


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is not None:
        return
    tree = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in psutil.wait_procs(tree, timeout=5)[1]:
        child.kill()


def _bin(name: str) -> Path:
    # Not resolved: the interpreter of a virtual environment is a link out of it.
    return Path(sys.executable).parent / name
