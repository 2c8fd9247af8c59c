"""A `gpuglass` process, and the page that it serves."""

import http.client
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil
from prometheus_client.parser import text_string_to_metric_families
from tests.ports import free_port

GPUGLASS = (sys.executable, "-m", "gpuglass")
PATIENCE = 40.0


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class Labels(dict[str, str]):
    """Labels of a sample: one that is not there is empty."""

    def __missing__(self, name: str) -> str:
        return ""


class Page:
    """The samples of a page."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples = [
            sample._replace(labels=Labels(sample.labels))
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        ]

    def values(self, name: str, /, **labels: str) -> list[float]:
        return [
            sample.value
            for sample in self.samples
            if sample.name == name
            and all(sample.labels[label] == value for label, value in labels.items())
        ]

    def value(self, name: str, /, **labels: str) -> float:
        (value,) = self.values(name, **labels)
        return value


def shown(page: Page, gpu: str) -> set[str]:
    """The names of what is shown of a GPU."""
    names = {sample.name for sample in page.samples if sample.labels.get("gpu") == gpu}
    return {name for name in names if name.startswith("gpu_")}


class Counters:
    """Every counter of the pages that are watched; none may fall."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}

    def take(self, page: Page) -> Page:
        for sample in page.samples:
            if sample.name.endswith("_total"):
                labels = dict(sample.labels)
                if labels.get("uuid"):  # that is the GPU; its index may change
                    labels.pop("gpu")
                key = sample.name, frozenset(labels.items())
                assert sample.value >= self._last.get(key, 0), key
                self._last[key] = sample.value
        return page

    def names(self) -> set[str]:
        return {name for name, _ in self._last}


def play(scenario: Path, text: str) -> None:
    """Give a driver that runs another scenario, all of it at once."""
    new = scenario.with_suffix(".new")
    new.write_text(text)
    new.replace(scenario)


def environment(driver: Path | None, scenario: Path, **more: str) -> dict[str, str]:
    """The environment of a process whose driver is in a folder; none of our own settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GPUGLASS_")}
    kept.pop("LD_LIBRARY_PATH", None)
    if driver:
        kept["LD_LIBRARY_PATH"] = str(driver)
    settled = {
        "GPUGLASS_SIM_SCENARIO": str(scenario),
        "GPUGLASS_CONTROL_SOCKET": "none",
        # The cards of the machine that runs the tests may sleep, those of the stand-in driver not.
        "GPUGLASS_PROBE_SLEEP": "false",
    }
    return {**kept, **settled, **more}


def run(
    *arguments: str, driver: Path | None = None, scenario: Path = Path("/nonexistent"), **more: str
) -> "subprocess.CompletedProcess[str]":
    """Run a command of gpuglass to its end."""
    return subprocess.run(
        [*GPUGLASS, *arguments],
        env=environment(driver, scenario, **more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Serve:
    """`gpuglass serve` on a free port of the loopback, asked over TLS where there is a context."""

    def __init__(
        self,
        arguments: Sequence[str],
        driver: Path | None,
        scenario: Path,
        more: Mapping[str, str],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.tls = tls
        self.port = free_port()
        command = [*GPUGLASS, "serve", "--web.listen-address", f"127.0.0.1:{self.port}"]
        self._log = ""
        self.process = subprocess.Popen(
            [*command, *arguments],
            env=environment(driver, scenario, **more),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.wait(lambda: self.get("/-/healthy").status == 200)

    def get(self, path: str = "/metrics", **headers: str) -> Answer:
        connection = self.connection()
        try:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request("GET", path, headers=names)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def connection(self) -> http.client.HTTPConnection:
        if self.tls:
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=5, context=self.tls)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)

    def page(self) -> Page:
        answer = self.get()
        assert answer.status == 200
        return Page(answer.text)

    def wait(self, condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Wait until something is true."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                if condition():
                    return
            except (OSError, http.client.HTTPException):
                pass
            if self.process.poll() is not None:
                raise AssertionError(f"the exporter has ended: {self.process.communicate()[1]}")
            if time.monotonic() > deadline:
                raise AssertionError("it did not become true in time")
            time.sleep(0.05)

    def wait_ready(self) -> None:
        """Wait until everything is on the page, the GPUs too."""
        self.wait(lambda: self.get("/-/ready")[::2] == (200, b"ready\n"))

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def probe(self) -> psutil.Process:
        """The child that reads the GPUs."""
        (probe,) = [child for child in self.children() if "gpuglass.probe" in child.cmdline()]
        return probe

    def log(self) -> str:
        """What it has written to stderr, once it has ended."""
        self._log += self.process.communicate(timeout=PATIENCE)[1]
        return self._log

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.log()
