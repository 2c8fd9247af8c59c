"""What the benchmark of storage makes of a recording, and what its report says."""

import json
import random
from itertools import pairwise
from pathlib import Path

import pytest
from tests.bench import stage
from tests.bench.storage import fleet, report
from tests.bench.storage.disk import Disk, Part, Stored
from tests.bench.storage.fleet import Answers, Cost
from tests.bench.storage.longer import Line, dated, exported, longer
from tests.bench.storage.node import Recording, scenario
from tests.bench.storage.programs import Size

POWER = (("__name__", "gpu_power_watts"), ("gpu", "0"))
ENERGY = (("__name__", "gpu_energy_joules_total"), ("gpu", "0"))
LIMIT = (("__name__", "gpu_power_limit_watts"), ("gpu", "0"))
WATTS = [100.0 + (7 * number) % 31 for number in range(60)]
JOULES = [round(sum(WATTS[: number + 1]) / 8, 3) for number in range(60)]
RECORDING = Recording(
    1,
    Size(180, 400, 300),
    {
        POWER: [f"{watts + 0.5}" for watts in WATTS],
        ENERGY: [f"{joules:g}" for joules in JOULES],
        LIMIT: ["700"] * 60,
    },
    60,
    0,
)


def series(count: int, step: int) -> dict[str, list[float]]:
    lines = longer(RECORDING, count, step)
    return {line.name: json.loads(f"[{line.values}]") for line in lines}


@pytest.mark.parametrize("step", [1, 5, 300])
def test_what_is_carried_on_is_made_of_what_was_recorded(step: int) -> None:
    found = series(500, step)
    assert {len(values) for values in found.values()} == {500}
    assert set(found["gpu_power_limit_watts"]) == {700}
    assert set(found["gpu_power_watts"]) <= {watts + 0.5 for watts in WATTS}
    assert len(set(found["gpu_power_watts"])) > 20


@pytest.mark.parametrize("step", [1, 5])
def test_counters_go_on_as_the_gauges_beside_them_say(step: int) -> None:
    found = series(500, step)
    joules = found["gpu_energy_joules_total"]
    by_watts: dict[float, set[float]] = {}
    for number, watts in enumerate(WATTS):
        if number >= step:
            grown = round(JOULES[number] - JOULES[number - step], 3)
            by_watts.setdefault(watts + 0.5, set()).add(grown)
    for before, now, watts in zip(joules, joules[1:], found["gpu_power_watts"][1:], strict=False):
        assert round(now - before, 3) in by_watts[watts]


def test_counters_never_run_back_over_steps_longer_than_the_recording() -> None:
    joules = series(500, 300)["gpu_energy_joules_total"]
    a_second: float = JOULES[-1] / 60
    assert all(now > before for before, now in pairwise(joules))
    assert joules[-1] - joules[0] == pytest.approx(499 * 300 * a_second, rel=0.05)


def test_no_stretch_of_it_comes_back_soon() -> None:
    watts = series(60, 1)["gpu_power_watts"]
    assert watts != [value + 0.5 for value in WATTS]
    repeated = [f"{value + 0.5}" for value in WATTS]
    whole = next(iter(longer(RECORDING, 118, 1, piece=59))).values.split(",")
    assert whole[:59] == whole[59:] == repeated[1:]


def test_series_are_read_as_they_are_written() -> None:
    lines = [Line(POWER, "1,2.5"), Line(ENERGY, "1e-3")]
    entries = list(dated(lines, 5, {"gpu_power_watts": 100, "gpu_energy_joules_total": 900}))
    assert json.loads(entries[0])["timestamps"] == [100_000, 105_000]
    assert json.loads(entries[1])["timestamps"] == [900_000]
    assert list(exported("\n".join(entries))) == lines


def test_the_driver_plays_the_node(simulator: Path, tmp_path: Path) -> None:
    stage.play(tmp_path / "node.conf", scenario([], random.Random(1), 1e9), simulator)


def stored(step: int, series: int, days: float, each: float, index: float) -> Stored:
    """A storage with some bytes a sample, and of index a series."""
    samples = round(series * days * 86400 / step)
    size = Size(samples, round(samples * each), round(series * index))
    metrics = {
        "gpu_power_watts": Part(series // 2, samples // 2, round(samples * each * 0.75)),
        "gpu_process_memory_used_bytes": Part(series // 4, samples // 4, 0),
        "host_load1": Part(series // 4, samples // 4, round(samples * each * 0.25)),
    }
    return Stored(step, series, days, size, metrics)


def disk(hour: float) -> Disk:
    raw = stored(5, 800, 1, 0.5, 100)
    return Disk(
        {1: RECORDING, 5: RECORDING},
        *(stored(1, 800, 0.1, 0.1, 100), stored(1, 800, 0.1, 0.4, 100), raw),
        stored(300, 800, 30, 1, 390),
        *(stored(60, 1600, 1, 1, 100), stored(3600, 1200, 30, hour, 360)),
    )


def answers() -> list[Answers]:
    return [
        Answers(
            tier,
            *(Size(9_000, 2_000_000, 1_000_000), 1.0, 1000, 100.0, 0.1),
            {
                (question, name): Cost([3.0, 1.0, 2.0], 8, 4_000, 50)
                for question in fleet.QUESTIONS
                for name, _, _ in tier.steps()
            },
        )
        for tier in fleet.TIERS
    ]


def rows(text: str, start: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith(f"| {start} |")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_sizes_and_goals() -> None:
    text = report.render(disk(hour=2.0), answers(), 3, "bench")
    # 0.5 bytes and 390 / (30 * 17280) of index; 75 % of the data is the GPUs', 5/8 of the index.
    sizes, shares, beside = rows(text, "raw, 5 s")
    assert sizes[1:] == [*("13,824,000", "0.501", "0.649", "6.922"), *("7", "48.5", "2,527")]
    assert shares[1:] == ["400, 75%", "200, 0%", "200, 25%", "0, 0%"]
    assert beside[1:5] == ["8 MB a day", "6.61", "0.501", "1/13.2"]
    assert beside[-1] == "yes"
    # 2 bytes and half a byte of index, of 8.15 that are stated.
    hour = rows(text, "1 hour")[3]
    assert hour[2:5] == ["8.15", "2.500", "1/3.3"]
    assert hour[-1] == "**no**"
    assert rows(report.render(disk(hour=1.0), answers(), 3, "bench"), "1 hour")[3][-1] == "yes"


def test_times_of_questions_by_tier_and_range() -> None:
    text = report.render(disk(2.0), answers(), 3, "bench")
    assert "1,000 GPUs" in text
    hour, day, month, year = (rows(text, name) for name in ("1 h", "24 h", "30 d", "1 year"))
    assert [row[1] for row in hour] == ["5 s", "60 s"]
    assert [row[1] for row in day] == ["90 s", "120 s", "3600 s"]
    assert [row[1] for row in month] == ["2640 s", "3600 s"]
    assert [row[1] for row in year] == ["32400 s"]
    assert {cell for row in year for cell in row[3:]} == {"2 [1 - 3]"}
