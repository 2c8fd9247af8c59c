"""The benchmark of storage counts right: on a small node, with the real programs."""

from pathlib import Path

import pytest
from tests.bench.storage import disk, fleet
from tests.bench.storage.node import NODE, Labels, Recording
from tests.bench.storage.programs import Programs, Size

SERIES = {
    "gpu_power_watts": [f"{600 + number * 37 % 100}.5" for number in range(100)],
    "gpu_power_limit_watts": ["700"] * 100,
    "gpu_energy_joules_total": [f"{number * 650.125}" for number in range(100)],
    "gpu_process_memory_used_bytes": ["1000000"] * 100,
    "scrape_samples_scraped": ["4"] * 100,
}


def labels(name: str) -> Labels:
    return (("__name__", name), ("job", "gpu"), ("node", NODE))


@pytest.fixture(scope="module")
def programs(components: Path, tmp_path_factory: pytest.TempPathFactory) -> Programs:
    return Programs(tmp_path_factory.mktemp("storage"))


def test_each_tier_holds_what_the_rules_keep(programs: Programs) -> None:
    series = {labels(name): values for name, values in SERIES.items()}
    recording = Recording(1, Size(1, 1, 1), series, 100, 0)
    found = disk.measure(programs, {1: recording, 5: recording}, 60, 1 / 24, 1)
    assert found.second.size.samples == found.again.size.samples == 60 * 5
    assert found.raw.size.samples == 720 * 5
    assert {name: part[:2] for name, part in found.raw.metrics.items()} == dict.fromkeys(
        SERIES, (1, 720)
    )
    # Least, average and most of a gauge; of a process in minutes only; of vmagent's own nothing.
    kept = {"gpu_power_watts": 3, "gpu_power_limit_watts": 3, "gpu_energy_joules_total": 1}
    hour = {name: (count, 24 * count) for name, count in kept.items()}
    assert {name: part[:2] for name, part in found.hour.metrics.items()} == hour
    kept["gpu_process_memory_used_bytes"] = 3
    minute = {name: (count, 60 * count) for name, count in kept.items()}
    assert {name: part[:2] for name, part in found.minute.metrics.items()} == minute
    assert found.minute.size.samples == 60 * 10
    assert found.minute.series == 10
    watts, limit = (found.raw.metrics[f"gpu_power{name}_watts"] for name in ("", "_limit"))
    assert watts.data > 2 * limit.data > 0


def test_questions_read_the_fleet(programs: Programs) -> None:
    tier = next(tier for tier in fleet.TIERS if tier.step == 60)
    (found,) = fleet.measure(programs, rounds=2, nodes=2, tiers=[tier._replace(days=1)])
    assert found.size.samples == 1440 * 3 * 16
    assert {name for _, name in found.costs} == {"1 h", "24 h"}
    heat_map = found.costs["heat map: every GPU", "24 h"]
    assert (heat_map.series, len(heat_map.milliseconds)) == (16, 2)
    assert 16 * 1400 < heat_map.samples <= 16 * 1440
    one = found.costs["one GPU", "1 h"]
    assert one.series == 1
    assert 60 <= one.samples < 80
