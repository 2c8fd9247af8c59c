"""`gpuglass alerts history`, on real storages."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.integration.stack import Stack

from gpuglass.cli import gpuglass_command

Storages = Callable[[], Stack]
WATCHDOG = ("GPUStackWatchdog", "n1", "none")
HOUR, DAY = 60, 1440


@pytest.fixture
def storage(tmp_path_factory: pytest.TempPathFactory, components: Path) -> Iterator[Storages]:
    made: list[Stack] = []

    def start() -> Stack:
        made.append(Stack(tmp_path_factory.mktemp("stack"), components))
        made[-1].victoriametrics.start()
        return made[-1]

    yield start
    for stack in made:
        stack.stop()


def fill(stack: Stack, now: float, alerts: Mapping[tuple[str, str, str], Iterable[int]]) -> None:
    """Alerts by name, node and severity, and how many minutes ago they fired."""
    stack.write(
        *(
            f'ALERTS{{alertname="{name}",node="{node}",gpu="0",severity="{severity}",'
            f'alertstate="firing"}} 1 {(now - 60 * minute - 5) * 1000:.0f}'
            for (name, node, severity), fired in alerts.items()
            for minute in fired
        )
    )


def history(raw: str, *arguments: str, hour: str | None = None) -> Result:
    env = {"GPUGLASS_VICTORIAMETRICS_URL": raw, "GPUGLASS_ROLLUP_HOUR_URL": hour}
    return CliRunner(env=env).invoke(gpuglass_command, ["alerts", "history", *arguments])


def check(
    told: Result, now: float, expected: list[tuple[str, int, int | None]], within: int
) -> None:
    """That episodes began and ended so many minutes ago."""
    found = json.loads(told.output)["episodes"]
    assert [episode["labels"]["alertname"] for episode in found] == [name for name, *_ in expected]
    for episode, (_, began, ended) in zip(found, expected, strict=True):
        times = [episode[f"{which}_timestamp_seconds"] for which in ("start", "end")]
        ago = [at and (now - at) / 60 for at in times]
        assert ago == [at and pytest.approx(at, abs=within) for at in (began, ended)]


def test_it_tells_what_fired_and_for_how_long(storage: Storages) -> None:
    raw, now = storage(), time.time()
    fired: dict[tuple[str, str, str], Iterable[int]] = {
        ("GPULost", "n1", "critical"): [*range(200, 190, -1), *range(100, 80, -1)],
        ("GPUXidInspect", "n2", "warning"): range(30, -1, -1),
        WATCHDOG: range(200, -1, -1),
    }
    fill(raw, now, fired)
    told = history(raw.url, "--since", "1d", "--json")
    expected = [("GPULost", 200, 191), ("GPULost", 100, 81), ("GPUXidInspect", 30, None)]
    check(told, now, expected, within=2)

    table = history(raw.url, "--since", "3h", "--node", "n2").output.splitlines()
    assert len(table) == 2
    assert "fires" in table[1] and "GPUXidInspect  n2" in table[1]
    assert history(raw.url, "--since", "3h", "--node", 'n"3').output == "no alert fired\n"


def test_what_is_older_than_the_samples_comes_from_the_tiers(storage: Storages) -> None:
    raw, hour, now = storage(), storage(), time.time()
    recent = ("GPULost", "n1", "critical")
    fill(raw, now, {recent: range(300, 200, -1), WATCHDOG: range(300, -1, -1)})
    fill(
        hour,
        now,
        {
            recent: range(9 * HOUR, 3 * HOUR, -HOUR),
            ("GPUXidInspect", "n2", "warning"): range(10 * DAY, 10 * DAY - 5 * HOUR, -HOUR),
            WATCHDOG: range(20 * DAY, HOUR, -HOUR),
        },
    )
    whole = history(raw.url, "--since", "30d", "--json", hour=hour.url)
    first = json.loads(whole.output)["start_timestamp_seconds"]
    assert (now - first) / 60 == pytest.approx(20 * DAY, abs=1)
    inspected = ("GPUXidInspect", 10 * DAY, 10 * DAY - 4 * HOUR)
    check(whole, now, [inspected, ("GPULost", 9 * HOUR, 201)], within=61)
    assert "Nothing is known" not in history(raw.url, "--since", "15d", hour=hour.url).output

    part = history(raw.url, "--since", "30d", "--json")
    check(part, now, [("GPULost", 300, 201)], within=2)
    last = history(raw.url, "--since", "30d").output.splitlines()[-1]
    assert last.startswith("Nothing is known of the time before ")


def test_an_empty_storage_is_not_taken_for_silence(storage: Storages) -> None:
    lines = history(storage().url).output.splitlines()
    assert (lines[0], lines[1][:16]) == ("no alert fired", "Nothing is known")


def test_without_victoriametrics_there_is_one_line() -> None:
    away = history("http://127.0.0.1:1")
    assert away.exit_code == 1
    assert away.output.startswith("Error: VictoriaMetrics at http://127.0.0.1:1 cannot be reached")
    assert away.output.count("\n") == 1
