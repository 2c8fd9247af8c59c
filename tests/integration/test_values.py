"""What PromQL answers is what the cards said."""

import subprocess
from collections.abc import Callable

import pytest
from tests.integration.conftest import Fleet
from tests.integration.stack import GPUGLASS, SCRAPE_INTERVAL, environment, wait_for
from tests.simulator import model
from tests.simulator.model import Burst, Constant, Gpu, Wave
from tests.simulator.presets import PRESETS

GIB = 1 << 30
FROZEN_AT = 480.0
FROZEN = (
    Gpu(
        PRESETS["h200"],
        Wave(0.7, 0.98, 60, 0.1),
        memory_base=96 * GIB,
        memory_load=16 * GIB,
    ),
    Gpu(PRESETS["h200"], Constant(0.37)),
    Gpu(PRESETS["rtx4090"], Burst(0.1, 0.9, 25, duty=0.35)),
)
MOVING = (Gpu(PRESETS["h200"], Wave(0.2, 0.9, 20)), Gpu(PRESETS["h200"], Constant(0.5)))
# What a page can be behind the card: the probe's interval, a scrape that meets the end of it,
# and the delays of a busy machine.
BEHIND = 2.5

Reading = Callable[[Gpu], float]
READINGS: dict[str, Reading] = {
    "gpu_utilization_ratio": lambda g: model.utilization_percent(g, FROZEN_AT) / 100,
    "gpu_memory_activity_ratio": lambda g: model.memory_utilization_percent(g, FROZEN_AT) / 100,
    "gpu_memory_used_bytes": lambda g: model.memory_used_bytes(g, FROZEN_AT),
    "gpu_memory_total_bytes": lambda g: g.preset.memory_mib * model.MIB,
    "gpu_power_watts": lambda g: round(model.power_usage_milliwatts(g, FROZEN_AT) / 1000, 1),
    'gpu_power_limit_watts{limit="enforced"}': lambda g: g.limit / 1000,
    "gpu_energy_joules_total": lambda g: model.energy_joules(g, FROZEN_AT),
    'gpu_temperature_celsius{sensor="core"}': lambda g: model.temperature(g, FROZEN_AT),
    'gpu_clock_hertz{domain="sm"}': lambda g: model.sm_clock_mhz(g, FROZEN_AT) * 1e6,
    'gpu_clock_hertz{domain="memory"}': lambda g: model.memory_clock_mhz(g, FROZEN_AT) * 1e6,
}


@pytest.mark.parametrize("selector", READINGS)
def test_a_card_that_stands_still_answers_exactly(fleet: Fleet, selector: str) -> None:
    def answered() -> dict[str, float]:
        found = fleet.stack.query(f'{selector} and on(node) (up{{node="frozen"}} == 1)')
        return {labels["gpu"]: value for labels, value in found if labels["node"] == "frozen"}

    wait_for(f"three answers for {selector}", lambda: len(answered()) == 3)
    assert answered() == {str(i): READINGS[selector](gpu) for i, gpu in enumerate(FROZEN)}


def test_labels_arrive_as_the_exporter_gave_them(fleet: Fleet) -> None:
    (found,) = fleet.stack.query('gpu_info{node="frozen",gpu="2"}')
    labels, _ = found
    assert labels["name"] == FROZEN[2].preset.name
    assert labels["instance"] == fleet.frozen
    assert labels["job"] == "gpu"
    assert not [name for name in labels if name.startswith("exported_")]


@pytest.mark.parametrize("index", [0, 1])
def test_energy_of_a_moving_card_is_the_models(fleet: Fleet, index: int) -> None:
    window = 12
    selector = f'gpu_energy_joules_total{{instance="{fleet.moving}",gpu="{index}"}}'

    def samples() -> list[tuple[float, float]]:
        (series,) = fleet.stack.export(selector).values()
        return series

    wait_for("enough samples", lambda: samples()[-1][0] - samples()[0][0] > window + 2)
    taken = samples()

    def energy(at: float) -> float:
        return model.energy_joules(MOVING[index], at - fleet.start)

    for at, value in taken:
        assert energy(at - BEHIND) <= value <= energy(at) + 0.001

    # At the time of a sample, increase() is the difference of two samples: no extrapolation.
    last_at, last = taken[-1]
    before = [v for at, v in taken if at <= last_at - window][-1]
    (increase,) = [v for _, v in fleet.stack.query(f"increase({selector}[{window}s])", last_at)]
    assert increase == pytest.approx(last - before, abs=1e-6)
    assert increase == pytest.approx(
        energy(last_at) - energy(last_at - window),
        abs=MOVING[index].limit / 1000 * (BEHIND + SCRAPE_INTERVAL),
    )


def test_busy_time_is_the_integral_of_the_load(fleet: Fleet) -> None:
    selector = f'gpu_busy_seconds_total{{instance="{fleet.moving}",gpu="1"}}'

    def seconds_stored() -> float:
        (series,) = fleet.stack.export(selector).values()
        return series[-1][0] - series[0][0]

    wait_for("20 seconds of samples", lambda: seconds_stored() > 20)
    (series,) = fleet.stack.export(selector).values()
    (first_at, first), (last_at, last) = series[0], series[-1]
    assert last - first == pytest.approx(0.5 * (last_at - first_at), abs=0.5 * BEHIND)


def test_status_shows_the_fleet(fleet: Fleet) -> None:
    done = subprocess.run(
        [*GPUGLASS, "status", "--victoriametrics.url", fleet.stack.url, "--wait", "30s"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    gpu = FROZEN[0]
    used, total = model.memory_used_bytes(gpu, FROZEN_AT) / GIB, gpu.preset.memory_mib / 1024
    power = round(model.power_usage_milliwatts(gpu, FROZEN_AT) / 1000, 1)
    expected = (
        f"frozen  0    {gpu.preset.name}",
        f"{model.utilization_percent(gpu, FROZEN_AT)} %",
        f"{used:.1f} / {total:.1f} GiB",
        f"{power:.0f} / {gpu.limit / 1000:.0f} W",
        f"{model.temperature(gpu, FROZEN_AT)} °C",
    )
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("frozen  0")]
    for part in expected:
        assert part in line
