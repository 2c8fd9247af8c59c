"""How cards are set up: modes, sessions, confidential computing."""

from pathlib import Path

from tests.simulator.model import MIB
from tests.simulator.presets import PRESETS
from tests.unit.generations import (
    A100,
    ALL,
    B200,
    DATA_CENTRE,
    GH200,
    GTX1080,
    H200,
    HOPPER,
    L40S,
    RTX4090,
    SCENARIO,
    TURING,
    V100,
    ask,
    flat,
    given,
    labels,
)


def test_modes(simulator: Path, scenario: Path) -> None:
    text = SCENARIO.replace("preset=l40s", "preset=l40s ecc=off ecc-pending=on persistence=off")
    text = text.replace("preset=h200", "preset=h200 compute-mode=exclusive_process accounting=on")
    text = text.replace("preset=gtx1080", "preset=gtx1080 display=on numa=1")
    values = ask(simulator, scenario, f"{text}at 1s mig-pending on gpu=2\n")
    assert values[L40S]["gpu_ecc_mode"] == values[L40S]["gpu_persistence_mode"] == 0
    assert values[L40S]["gpu_ecc_mode_pending"] == 1
    assert not labels(values[L40S], "gpu_ecc_errors_total")
    assert (values[A100]["gpu_mig_mode"], values[A100]["gpu_mig_mode_pending"]) == (0, 1)
    assert (values[H200]["gpu_compute_mode"], values[H200]["gpu_accounting_mode"]) == (3, 1)
    assert values[GTX1080]["gpu_display_active"] == values[GTX1080]["gpu_numa_node"] == 1
    assert [values[n]["gpu_addressing_mode"] for n in (RTX4090, GH200)] == [1, 2]
    assert given(values, "gpu_module_id") == {V100: 2, A100: 3, H200: 6, GH200: 7, B200: 8}
    (place,) = labels(values[B200], "gpu_platform_info")
    assert len(place.split(" ")) == 7
    # Hopper cards answer as well, but are in no rack here.
    assert not labels(values[H200], "gpu_platform_info")
    assert given(values, "gpu_c2c_mode") == {H200: 0, GH200: 1, B200: 0}
    assert place.split(" ")[5] == "8"
    for index in ALL:
        assert bool(labels(values[index], "gpu_inforom_info")) == (index in DATA_CENTRE)
        assert bool(labels(values[index], "gpu_gsp_firmware_info")) == (index in TURING)


def test_sessions(simulator: Path, scenario: Path) -> None:
    text = SCENARIO.replace("preset=l40s", "preset=l40s encoder=0.5 captures=2")
    values = ask(simulator, scenario, text)[L40S]
    assert (values["gpu_encoder_sessions"], values["gpu_encoder_fps"]) == (1, 60)
    assert values["gpu_encoder_latency_seconds"] == 0.004
    assert (values["gpu_fbc_sessions"], values["gpu_fbc_fps"]) == (2, 30)
    assert values["gpu_fbc_latency_seconds"] == 0.005


def test_confidential_computing(simulator: Path, scenario: Path) -> None:
    values = ask(simulator, scenario, SCENARIO + "confidential on\n")
    assert given(values, "gpu_confidential_compute_mode") == flat(1, HOPPER)
    assert given(values, "gpu_confidential_compute_ready").keys() == HOPPER
    preset = PRESETS["h200"]
    protected = (preset.memory_mib - preset.memory_reserved_mib) * MIB
    assert values[H200]["gpu_protected_memory_total_bytes"] == protected
    older = ask(
        simulator,
        scenario,
        f"{SCENARIO}confidential on\nmissing nvmlDeviceGetConfComputeProtectedMemoryUsage\n",
    )
    assert older[H200]["gpu_protected_memory_total_bytes"] == protected
    assert "gpu_protected_memory_used_bytes" not in older[H200]


def test_encrypted_memory(simulator: Path, scenario: Path) -> None:
    text = SCENARIO.replace("preset=b200", "preset=b200 encryption-pending=on")
    values = ask(simulator, scenario, text)
    assert given(values, "gpu_dram_encryption_mode") == {B200: 0}
    assert given(values, "gpu_dram_encryption_mode_pending") == {B200: 1}
