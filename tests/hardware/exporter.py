"""The exporter itself on this machine: its pages, what it costs, and what fails."""

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tests.hardware import commands, comparison
from tests.hardware.job import Job, Json, Steps
from tests.hardware.page import Page

_START_SECONDS = 30.0
_ONCE_SECONDS = 30.0
_TICKS = os.sysconf("SC_CLK_TCK")
# Mounts carry names of other machines, and say nothing of GPUs.
_FLAGS = ("--node.name", "node", "--no-probe.sleep", "--no-collector.filesystem")
_PROBE = b"gpuglass.probe"


def steps(job: Job) -> Steps:
    """A page, then a minute of service."""
    yield "once", partial(_once, job)
    yield "serve", partial(_serve, job)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "gpuglass", "serve", *_FLAGS, *arguments]


def _environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GPUGLASS_")}
    # The stand-in driver's own settings.
    kept |= {k: v for k, v in os.environ.items() if k.startswith("GPUGLASS_SIM_")}
    return kept | {"GPUGLASS_CONTROL_SOCKET": "none"}


def _once(job: Job) -> Json:
    begin = time.monotonic()
    try:
        done = commands.run(_command("--once"), _ONCE_SECONDS, _environment())
    except OSError as error:
        return {"refused": f"the exporter cannot be started: {error.strerror}"}
    seconds = round(time.monotonic() - begin, 2)
    job.file("once.prom", done.output)
    return {
        "status": done.status,
        "seconds": seconds,
        "log": done.log[-2000:].splitlines(),
        **_said(Page(done.output)),
    }


def _said(page: Page) -> dict[str, Json]:
    """What a page says of the exporter, and of what is not there."""
    return {
        "samples": len(page.samples),
        "gpus_up": [value for _, value in page.matching("gpu_up")],
        "failures": [labels for labels, _ in page.matching("gpuglass_collector_failure_info")],
        "capabilities": [
            [labels.get("gpu"), labels.get("group"), value, labels.get("why", "")]
            for labels, value in page.matching("gpu_capability")
        ],
        "restarts": [
            [labels["cause"], value]
            for labels, value in page.matching("gpuglass_probe_restarts_total")
            if value
        ],
        "waiting": [
            [labels.get("call"), value]
            for labels, value in page.matching("gpuglass_probe_waiting_seconds")
        ],
        "xid_source": [labels for labels, _ in page.matching("gpuglass_xid_source_info")],
        "collector_seconds": {
            labels["collector"]: value
            for labels, value in page.matching("gpuglass_collector_duration_seconds")
        },
    }


def _serve(job: Job) -> Json:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    # As nobody it is only seen to work.
    seconds = job.pace.serve / 3 if job.asked.nobody else job.pace.serve
    with tempfile.TemporaryFile("w+") as log:
        try:
            with _running(port, log) as process:
                found = _watch(job, process, port, seconds)
        except OSError as error:
            found = {"refused": f"the exporter cannot be started: {error.strerror}"}
        log.seek(0)
        found["log"] = log.read()[-2000:].splitlines()
    return found


@contextlib.contextmanager
def _running(port: int, log: Any) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        _command("--web.listen-address", f"127.0.0.1:{port}"),
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=log,
    )
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)


def _get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def _wait_ready(job: Job, process: "subprocess.Popen[bytes]", port: int) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if _get(port, "/-/ready")[0] == 200:
                return True
        job.sleep(0.05)
    return False


def _watch(job: Job, process: "subprocess.Popen[bytes]", port: int, seconds: float) -> Json:
    begin = time.monotonic()
    is_ready = _wait_ready(job, process, port)
    if process.poll() is not None:
        return {"refused": f"the exporter has ended with status {process.returncode}"}
    first = Page(_get(port, "/metrics")[1])
    job.file("first.prom", first.text)
    if not is_ready:
        return {"refused": f"not ready within {_START_SECONDS:g} s", **_said(first)}
    found: dict[str, Json] = {"seconds_to_ready": round(time.monotonic() - begin, 2)}
    found["comparison"] = _compared(job, port)
    page = first
    rows: list[list[float]] = []
    begin, used = time.monotonic(), _cpu_seconds(process.pid)
    while (passed := time.monotonic() - begin) < seconds:
        asked_at = time.perf_counter()
        page = Page(_get(port, "/metrics")[1])
        milliseconds = 1000 * (time.perf_counter() - asked_at)
        cpu = _cpu_seconds(process.pid)
        rows.append([round(passed, 2), round(milliseconds, 2), len(page.text), *map(_2, cpu)])
        job.sleep(1.0 if seconds >= 10 else seconds / 10)
    length, spent = time.monotonic() - begin, _cpu_seconds(process.pid)
    job.file("last.prom", page.text)
    return found | {
        "seconds": round(length, 2),
        "cpu_seconds_per_minute": [
            _2((after - before) * 60 / length) for before, after in zip(used, spent, strict=True)
        ],
        "cpu_is_of": ["exporter", "probe"],
        "pss_mib": {name: _pss(pid) for name, pid in _processes(process.pid).items()},
        "columns": ["seconds", "scrape_ms", "bytes", "exporter_cpu_s", "probe_cpu_s"],
        "rows": rows,
        **_said(page),
    }


def _compared(job: Job, port: int) -> Json:
    """What nvidia-smi says between two pages."""
    # The pages' utilisation and power are of the last second.
    job.sleep(job.pace.apart)
    before = Page(_get(port, "/metrics")[1])
    try:
        rows = comparison.ask_nvidia_smi()
    except comparison.SmiError as error:
        return {"refused": str(error)}
    job.sleep(min(1.1, job.pace.apart))
    return comparison.compare(before, rows, Page(_get(port, "/metrics")[1]))


def _2(value: float) -> float:
    return round(value, 2)


def _processes(pid: int) -> dict[str, int]:
    """The exporter and its probe."""
    found = {"exporter": pid}
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            if _PROBE in Path(f"/proc/{child}/cmdline").read_bytes():
                found["probe"] = int(child)
    return found


def _cpu_seconds(pid: int) -> list[float]:
    """User and system time so far of the exporter and of its probe."""
    processes = _processes(pid)
    return [_times(processes[name]) if name in processes else 0.0 for name in ("exporter", "probe")]


def _times(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _pss(pid: int) -> float | None:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return round(int(line.split()[1]) / 1024, 1)
    return None
