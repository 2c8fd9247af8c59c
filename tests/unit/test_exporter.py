"""The exporter's own tasks and figures."""

import asyncio
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.unit.devices import UTILIZATION, announce, driver, reading

from gpuglass.catalogue import exporter as metrics
from gpuglass.catalogue.model import Sample
from gpuglass.pipeline import exporter as module
from gpuglass.pipeline.exporter import Exporter, Settings
from gpuglass.pipeline.itself import Itself
from gpuglass.probe import frames

SETTINGS = Settings("n", groups={}, fast=60.0, slow=60.0, deadline=15.0)


async def until(condition: Callable[[], bool]) -> None:
    async def look() -> None:
        while not condition():
            await asyncio.sleep(0.001)

    await asyncio.wait_for(look(), 20)


class Broken:
    name = "broken"
    slow = False

    def read(self) -> list[Sample]:
        raise PermissionError(13, "no")


async def test_a_task_that_fails_is_logged_and_starts_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_SELF_SECONDS", 0.01)
    exporter = Exporter(SETTINGS, [])
    runs = 0

    def fail(probes: list[int]) -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise RuntimeError("a fault")

    monkeypatch.setattr(exporter._self, "read_processes", fail)
    exporter.start()
    await until(lambda: runs >= 3)
    await exporter.stop()
    assert "a fault" in caplog.text


async def test_a_collector_that_fails_says_why() -> None:
    exporter = Exporter(SETTINGS, [Broken()])
    exporter.start()
    await until(exporter.complete)
    page = exporter.page().decode()
    await exporter.stop()
    assert 'gpuglass_collector_success{collector="broken",node="n"} 0.0' in page
    reason = 'collector="broken",node="n",reason="no_permission"'
    assert f"gpuglass_collector_failure_info{{{reason}}} 1.0" in page


async def test_every_form_of_a_page_is_the_same_page() -> None:
    exporter = Exporter(SETTINGS, [])
    for openmetrics in (True, False):
        compressed = exporter.page(openmetrics, gzip=True)
        assert zlib.decompress(compressed, 31) == exporter.page(openmetrics)
    assert exporter.page(openmetrics=True).endswith(b"# EOF\n")
    assert b"# EOF" not in exporter.page()


def test_news_of_the_host_wait_a_moment_for_those_of_the_gpus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that a second of readings is written once, and a scrape in between waits for nothing."""
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    exporter = Exporter(replace(SETTINGS, groups={"core": 1.0}), [])
    written = 0

    def count(blocks: object) -> None:
        nonlocal written
        written += 1

    monkeypatch.setattr(exporter._forms._page, "update", count)
    exporter.page()
    now += 1
    exporter._hosts.changed_at = now
    now += 0.05
    exporter.page()
    assert written == 1
    now += 0.06
    exporter.page()
    assert written == 2
    now += 1
    exporter._hosts.changed_at = exporter._devices.changed_at = now
    now += 0.01
    exporter.page()
    assert written == 3


async def test_a_round_is_written_when_it_is_in_and_not_again_when_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exporter = Exporter(replace(SETTINGS, groups={"core": 60.0}), [])
    written: list[str] = []
    monkeypatch.setattr(exporter._forms._page, "update", lambda blocks: written.append("lines"))
    monkeypatch.setattr(
        exporter._forms._page, "text", lambda openmetrics: str(openmetrics).encode()
    )

    def compress(page: bytes) -> bytes:
        written.append("gzip")
        return page

    monkeypatch.setattr("gpuglass.pipeline.compression.gzip", compress)
    exporter.page(gzip=True)
    assert written == ["lines", "gzip"]
    told = asyncio.StreamReader()
    tasks = [
        asyncio.create_task(exporter._follow()),
        asyncio.create_task(exporter._supervisor._listen(told)),
    ]
    one_round: list[frames.Frame] = [driver(), announce(UTILIZATION), reading(1.0, 0.5)]
    one_round.append(frames.Alive([]))
    told.feed_data(b"".join(map(frames.encode, one_round)))
    await until(lambda: len(written) == 4)
    await asyncio.sleep(0.05)
    exporter.page(gzip=True)
    exporter.page()
    assert written == ["lines", "gzip"] * 2
    exporter.page(openmetrics=True, gzip=True)
    assert written == ["lines", "gzip"] * 2 + ["gzip"]
    for task in tasks:
        task.cancel()


def test_cpu_of_probes_never_falls_and_counts_all_that_live() -> None:
    itself = Itself()
    code = "import sys\nfor i in range(3_000_000): pass\nprint(flush=True)\nsys.stdin.read()"
    probes = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for probe in probes:
        assert probe.stdout
        probe.stdout.readline()

    def figures(*pids: int) -> tuple[float, float | None]:
        itself.read_processes(list(pids))
        block = itself.blocks([])[1]
        found = dict(zip(block.series, block.values, strict=True))
        by_name = {(s.metric, s.labels[0]): value for s, value in found.items()}
        cpu = by_name[metrics.PROCESS_CPU, "probe"]
        assert cpu is not None
        return cpu, by_name[metrics.PROCESS_MEMORY, "probe"]

    first, second = (probe.pid for probe in probes)
    one, memory_of_one = figures(first)
    both, memory_of_both = figures(first, second)
    assert both > one
    assert memory_of_one and memory_of_both and memory_of_both > memory_of_one
    for probe in probes:
        probe.communicate()
    ended, memory = figures()
    assert ended >= both
    assert memory is None
