"""The page says what the driver says, of each kind of card, and nothing that it does not say."""

import time
from pathlib import Path

import pytest
from tests.exporter.conftest import Start
from tests.exporter.process import Page, run
from tests.simulator import model
from tests.simulator.model import Constant, Gpu, Wave, Window
from tests.simulator.presets import PRESETS

ALONE = tuple(
    f"--no-collector.{name}"
    for name in ("cpu", "disk", "filesystem", "memory", "network", "pressure", "system")
)
CARDS = ("h200", "a100", "l40s", "rtx4090")
FROZEN_AT = 3600.5
SCENARIO = f"""\
start 1763700000
freeze {FROZEN_AT}
gpus 4
gpu 0 preset=h200 memory-base=8GiB
gpu 1 preset=a100
gpu 2 preset=l40s encoder=0.2 decoder=0.4
gpu 3 preset=rtx4090
load gpu=0 wave min=0.1 max=0.9 period=60s phase=0.25
load gpu=1 constant 0.4
load gpu=2 constant 0.75
load gpu=3 constant 1
at 100s for 50s throttle gpu=3 reason=hw_thermal
at 3000s throttle gpu=1 reason=sw_power_cap
process pid=4242 gpu=0 type=compute memory=10GiB sm=40
"""
GIB = 1 << 30
GPUS = (
    Gpu(
        PRESETS["h200"],
        Wave(0.1, 0.9, 60, 0.25),
        memory_base=8 * GIB,
        process_memory=10 * GIB,
    ),
    Gpu(PRESETS["a100"], Constant(0.4), throttles=(Window(3000, reasons=model.SW_POWER_CAP),)),
    Gpu(PRESETS["l40s"], Constant(0.75)),
    Gpu(
        PRESETS["rtx4090"],
        Constant(1),
        throttles=(Window(100, 50, reasons=model.HW_THERMAL | model.HW_SLOWDOWN),),
    ),
)


@pytest.fixture(scope="module")
def page(simulator: Path, tmp_path_factory: pytest.TempPathFactory) -> Page:
    scenario = tmp_path_factory.mktemp("values") / "scenario.conf"
    scenario.write_text(SCENARIO)
    result = run("serve", "--once", *ALONE, driver=simulator, scenario=scenario)
    assert result.returncode == 0, result.stderr
    return Page(result.stdout)


@pytest.mark.parametrize("index", range(4), ids=CARDS)
def test_values_are_the_models(page: Page, index: int) -> None:
    gpu, t = GPUS[index], FROZEN_AT
    preset = gpu.preset

    def value(name: str, /, **labels: str) -> float:
        return page.value(name, gpu=str(index), **labels)

    assert value("gpu_info", name=preset.name) == value("gpu_up") == 1
    assert value("gpu_utilization_ratio") == model.utilization_percent(gpu, t) / 100
    assert value("gpu_memory_activity_ratio") == model.memory_utilization_percent(gpu, t) / 100
    assert value("gpu_power_watts") == round(model.power_usage_milliwatts(gpu, t) / 1000, 1)
    assert value("gpu_power_instant_watts") == round(model.power_milliwatts(gpu, t) / 1000, 1)
    for limit, milliwatts in (
        *(("enforced", gpu.limit), ("requested", gpu.limit), ("default", preset.power_default)),
        *(("min", preset.power_min), ("max", preset.power_max)),
    ):
        assert value("gpu_power_limit_watts", limit=limit) == milliwatts / 1000
    assert value("gpu_energy_joules_total") == round(model.energy_joules(gpu, t), 3)
    assert value("gpu_temperature_celsius", sensor="core") == model.temperature(gpu, t)
    for limit, celsius in (
        *(("shutdown", preset.temp_shutdown), ("slowdown", preset.temp_slowdown)),
        ("gpu_max", preset.temp_max),
    ):
        assert value("gpu_temperature_limit_celsius", limit=limit) == celsius
    for domain, megahertz, most in (
        ("graphics", model.sm_clock_mhz(gpu, t), preset.sm_max),
        ("sm", model.sm_clock_mhz(gpu, t), preset.sm_max),
        ("memory", model.memory_clock_mhz(gpu, t), preset.mem_max),
    ):
        assert value("gpu_clock_hertz", domain=domain) == megahertz * 1e6
        assert value("gpu_clock_max_hertz", domain=domain) == most * 1e6
    assert value("gpu_clock_hertz", domain="video") == model.video_clock_mhz(gpu, t) * 1e6
    total, used = value("gpu_memory_total_bytes"), value("gpu_memory_used_bytes")
    reserved = value("gpu_memory_reserved_bytes")
    assert total == preset.memory_mib * model.MIB
    assert reserved == preset.memory_reserved_mib * model.MIB
    assert used == model.memory_used_bytes(gpu, t)
    assert value("gpu_memory_free_bytes") == total - used - reserved
    for direction, rate in (("transmit", preset.pcie_tx_bytes), ("receive", preset.pcie_rx_bytes)):
        sent = model.pcie_bytes(gpu, t, rate)
        assert value("gpu_pcie_bytes_total", direction=direction) == sent
    for reason, bit in (
        *(("sw_power_cap", model.SW_POWER_CAP), ("sw_thermal", model.SW_THERMAL)),
        *(("hw_thermal", model.HW_THERMAL), ("hw_power_brake", model.HW_POWER_BRAKE)),
        ("sync_boost", model.SYNC_BOOST),
    ):
        seconds = round(model.reason_nanoseconds(gpu, t, bit) / 1e9, 3)
        assert value("gpu_throttle_seconds_total", reason=reason) == seconds
        active = bool(model.reasons(gpu, t) & bit)
        assert value("gpu_clock_event_reason_active", reason=reason) == active


# For each metric, whether H200, A100, L40S and RTX 4090 give it.
MATRIX: list[tuple[str, dict[str, str], tuple[int, int, int, int]]] = [
    ("gpu_utilization_ratio", {}, (1, 1, 1, 1)),
    ("gpu_engine_utilization_ratio", {"engine": "encoder"}, (0, 0, 1, 1)),
    ("gpu_engine_busy_seconds_total", {"engine": "encoder"}, (0, 0, 1, 1)),
    ("gpu_engine_utilization_ratio", {"engine": "decoder"}, (1, 1, 1, 1)),
    ("gpu_power_instant_watts", {}, (1, 1, 1, 1)),
    ("gpu_temperature_celsius", {"sensor": "memory"}, (1, 1, 0, 0)),
    ("gpu_temperature_limit_celsius", {"limit": "memory_max"}, (1, 1, 0, 0)),
    ("gpu_temperature_margin_celsius", {}, (1, 0, 1, 1)),
    ("gpu_temperature_tlimit_celsius", {"limit": "shutdown"}, (1, 0, 1, 1)),
    ("gpu_fan_speed_ratio", {}, (0, 0, 0, 2)),
    ("gpu_throttle_seconds_total", {"reason": "hw_thermal"}, (1, 1, 1, 1)),
    ("gpu_energy_joules_total", {}, (1, 1, 1, 1)),
    ("gpu_pcie_link_width", {}, (1, 1, 1, 1)),
]


@pytest.mark.parametrize(
    ("name", "labels", "given"), MATRIX, ids=[" ".join((m, *ls.values())) for m, ls, _ in MATRIX]
)
def test_what_a_card_has_not_is_absent(
    page: Page, name: str, labels: dict[str, str], given: tuple[int, ...]
) -> None:
    found = tuple(len(page.values(name, gpu=str(index), **labels)) for index in range(4))
    assert found == given


def test_serial_and_part_number_of_a_gaming_card_are_empty(page: Page) -> None:
    assert page.value("gpu_info", gpu="3", serial="", part_number="", architecture="ada") == 1
    assert page.values("gpu_info", gpu="0", serial="") == []


def test_fans(page: Page) -> None:
    expected = model.fan_percent(GPUS[3], FROZEN_AT) / 100
    assert expected > 0
    for fan in ("0", "1"):
        assert page.value("gpu_fan_speed_ratio", gpu="3", fan=fan) == expected


def test_engines(page: Page) -> None:
    assert page.value("gpu_engine_utilization_ratio", gpu="2", engine="encoder") == 0.15
    assert page.value("gpu_engine_utilization_ratio", gpu="2", engine="decoder") == 0.3
    assert page.value("gpu_engine_utilization_ratio", gpu="3", engine="encoder") == 0


def test_pcie_generation_falls_while_a_gaming_card_idles(simulator: Path, tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.conf"
    scenario.write_text("gpus 1 preset=rtx4090\n")
    page = Page(run("serve", "--once", *ALONE, driver=simulator, scenario=scenario).stdout)
    assert page.value("gpu_pcie_link_generation") == 1
    assert page.value("gpu_pcie_link_generation_max") == 4
    assert page.value("gpu_performance_state") == 8


def test_an_older_driver_gives_what_it_can(simulator: Path, tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.conf"
    missing = (
        "missing nvmlDeviceGetTemperatureV nvmlDeviceGetMemoryInfo_v2 nvmlDeviceGetFieldValues "
        "nvmlDeviceGetCurrentClocksEventReasons nvmlDeviceGetSupportedClocksEventReasons "
        "nvmlDeviceGetMarginTemperature nvmlDeviceGetNumGpuCores\n"
    )
    scenario.write_text(SCENARIO + missing)
    # A second reading would already have something to integrate.
    once = ("serve", "--once", "--probe.interval", "60s", "--probe.slow-interval", "60s")
    page = Page(run(*once, *ALONE, driver=simulator, scenario=scenario).stdout)
    for index, gpu in enumerate(GPUS):
        labels = {"gpu": str(index)}
        power = round(model.power_usage_milliwatts(gpu, FROZEN_AT) / 1000, 1)
        assert page.value("gpu_power_watts", **labels) == power
        energy = round(model.energy_joules(gpu, FROZEN_AT), 3)
        assert page.value("gpu_energy_joules_total", **labels) == energy
        core = page.value("gpu_temperature_celsius", **labels)
        assert core == model.temperature(gpu, FROZEN_AT)
        used = model.memory_used_bytes(gpu, FROZEN_AT)
        used += gpu.preset.memory_reserved_mib * model.MIB
        assert page.value("gpu_memory_used_bytes", **labels) == used
        assert page.value("gpu_power_limit_watts", limit="max", **labels) > 0
        assert page.values("gpu_memory_reserved_bytes", **labels) == []
        assert page.values("gpu_power_instant_watts", **labels) == []
        assert page.values("gpu_cores", **labels) == []
        # What the driver does not count is counted from samples, and said to be.
        for reason in ("sw_power_cap", "hw_thermal"):
            assert page.value("gpu_throttle_seconds_total", reason=reason, **labels) == 0
        throttle = {"metric": "gpu_throttle_seconds_total", **labels}
        assert page.value("gpu_source_info", source="sampled", **throttle) == 1
        pcie = {"metric": "gpu_pcie_bytes_total", **labels}
        if index == 0:  # its performance monitor tells
            assert page.value("gpu_source_info", source="gpm", **pcie) == 1
        else:
            assert page.value("gpu_source_info", why="function_not_found", **pcie) == 1
    assert page.value("gpu_clock_event_reason_active", gpu="1", reason="sw_power_cap") == 1


def test_busy_seconds_are_the_integral_of_the_load(start: Start, scenario: Path) -> None:
    """Energy is exact, and at constant load a clock: joules over watts are seconds."""
    interval = 0.1
    scenario.write_text("gpus 2 preset=h200\nload gpu=0 constant 0.5\nload gpu=1 constant 1\n")
    serve = start("--probe.interval", f"{interval}s", *ALONE)
    serve.wait_ready()

    def read() -> list[tuple[float, float, float]]:
        page = serve.page()
        names = ("energy_joules", "busy_seconds", "memory_activity_seconds")
        return list(zip(*(page.values(f"gpu_{name}_total") for name in names), strict=True))

    before = read()
    time.sleep(2)
    serve.wait(lambda: read() != before)
    for (joules, busy, memory), (joules_then, busy_then, memory_then), load in zip(
        read(), before, (0.5, 1.0), strict=True
    ):
        seconds = (joules - joules_then) / model.power_watts(PRESETS["h200"], load)
        assert seconds > 1.5
        assert busy - busy_then == pytest.approx(load * seconds, abs=load * interval)
        assert memory - memory_then == pytest.approx(0.6 * load * seconds, abs=load * interval)


def test_time_throttled_without_the_drivers_counters(start: Start, scenario: Path) -> None:
    scenario.write_text(
        "gpus 1 preset=h200\nload gpu=0 constant 1\nmissing nvmlDeviceGetFieldValues\n"
        "at 0s throttle gpu=0 reason=hw_thermal\n"
    )
    serve = start("--probe.interval", "100ms", "--no-collector.samples", *ALONE)
    serve.wait_ready()

    def throttled(reason: str) -> float:
        return serve.page().value("gpu_throttle_seconds_total", reason=reason)

    serve.wait(lambda: throttled("hw_thermal") > 0.5)
    page = serve.page()
    busy = page.value("gpu_busy_seconds_total")
    assert page.value("gpu_throttle_seconds_total", reason="hw_thermal") == busy
    assert page.value("gpu_throttle_seconds_total", reason="hw_slowdown") == busy
    assert page.value("gpu_throttle_seconds_total", reason="sw_power_cap") == 0
    assert page.values("gpu_throttle_seconds_total", reason="gpu_idle") == []
