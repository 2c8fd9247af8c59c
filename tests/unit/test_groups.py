"""What the groups read of every kind of card: exactly what the driver tells, or nothing."""

from pathlib import Path

import pytest
from tests.simulator.model import (
    MIB,
    PRESETS,
    Gpu,
    Wave,
    memory_power_milliwatts,
    module_power_milliwatts,
    nvlink_kib,
    nvlink_packets,
    percent,
)
from tests.unit.driver import run

CARDS = ("gtx1080", "v100", "a100", "l40s", "rtx4090", "h200", "gh200", "b200")
GTX1080, V100, A100, L40S, RTX4090, H200, GH200, B200 = range(8)
DATA_CENTRE = {V100, A100, L40S, H200, GH200, B200}
REMAP = DATA_CENTRE - {V100}
NVLINK4 = {V100, A100, H200}
NVLINK = NVLINK4 | {B200}
HOPPER = {H200, GH200, B200}
TURING = {A100, L40S, RTX4090, *HOPPER}
ALL = set(range(8))
T = 100.5
WAVE = Wave(0.2, 0.9, 90)
GPUS = [Gpu(PRESETS[name], WAVE) for name in CARDS]
SCENARIO = (
    f"freeze {T}\ngpus 8\n"
    + "".join(f"gpu {index} preset={name}\n" for index, name in enumerate(CARDS))
    + "load gpu=* wave min=0.2 max=0.9 period=90s\n"
)
ASK = """
cards = []
for index in range(Library().number("nvmlDeviceGetCount_v2")):
    plan = Plan(Library(), Library().device(index), 1.0)
    values = show(plan)
    cards.append([values, plan.refused, list(plan.columns)])
tell(cards=cards)
"""

Values = dict[str, float | None]


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    return tmp_path / "scenario.conf"


def ask(simulator: Path, scenario: Path, text: str, each: bool = False) -> list[Values]:
    """The values of every card."""
    code = ASK.replace("1.0)", "1.0, each_nvlink=True)") if each else ASK
    return [values for values, *_ in run(simulator, scenario, text, code)["cards"]]


def refusals(simulator: Path, scenario: Path, text: str) -> list[dict[str, str]]:
    """By card the groups that it has nothing of, and why."""
    return [refused for _, refused, _ in run(simulator, scenario, text, ASK)["cards"]]


@pytest.fixture(scope="module")
def cards(simulator: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Values]:
    """A card of each kind at work, with nothing wrong."""
    return ask(simulator, tmp_path_factory.mktemp("groups") / "scenario.conf", SCENARIO)


def given(cards: list[Values], name: str) -> dict[int, float]:
    """By card the value of a series, where there is one."""
    return {
        index: value
        for index, values in enumerate(cards)
        if (value := values.get(name)) is not None
    }


def labels(values: Values, metric: str) -> dict[str, float]:
    """What the card has of a metric, by labels."""
    return {
        name.partition(" ")[2]: value
        for name, value in values.items()
        if name.split(" ")[0] == metric and value is not None
    }


def flat(value: float, cards: set[int]) -> dict[int, float]:
    return dict.fromkeys(cards, value)


@pytest.mark.parametrize(
    ("name", "value", "which"),
    [
        ("gpu_pcie_utilization_ratio", percent(0.2 * WAVE.at(T)) / 100, ALL),
        ("gpu_pcie_replays_total", 0, ALL),
        ("gpu_pcie_replay_rollovers_total", 0, ALL),
        *(
            (f"gpu_pcie_errors_total {type}", 0, HOPPER)
            for type in (
                *("recovery", "correctable", "nak_received", "receiver", "bad_tlp", "nak_sent"),
                *("bad_dllp", "non_fatal", "fatal", "unsupported_request", "lcrc", "lane"),
            )
        ),
        *(
            (f"gpu_nvlink_errors_total all {type}", 0, NVLINK4)
            for type in ("replay", "crc_flit", "crc_data", "ecc_data")
        ),
        ("gpu_nvlink_errors_total all recovery", 0, NVLINK),
        *(
            (f"gpu_nvlink_errors_total all {type}", 0, {B200})
            for type in (
                *("malformed_packet", "buffer_overrun", "receive", "receive_remote"),
                *("receive_general", "local_link_integrity", "transmit_discard", "effective"),
                *("recovery_successful", "recovery_failed", "symbol", "raw_lane0", "raw_lane1"),
            )
        ),
        ("gpu_nvlink_fec_blocks_total 15", 0, {B200}),
        ("gpu_nvlink_retry_blocks_total all sent_again", 0, {B200}),
        ("gpu_nvlink_low_power all", 0, NVLINK),
        ("gpu_nvlink_up 0", 1, set()),
        ("gpu_c2c_link_up 9", 1, {GH200}),
        ("gpu_c2c_link_low_power 9", 0, {GH200}),
        ("gpu_c2c_link_speed_bytes_per_second 0", 44_712e6, {GH200}),
        ("gpu_c2c_errors_total 0 replay_back_to_back", 0, {GH200}),
        ("gpu_fabric_state", 3, {H200, B200}),
        ("gpu_fabric_status", 0, {H200, B200}),
        ("gpu_fabric_healthy", 1, {H200, B200}),
        ("gpu_fabric_trouble route_unhealthy", 0, {H200, B200}),
        ("gpu_fabric_misconfiguration", 0, {B200}),
        ("gpu_fabric_partition_assigned", 1, {B200}),
        ("gpu_fabric_manager_connected", 1, {B200}),
        ("gpu_ecc_errors_total corrected volatile dram", 0, DATA_CENTRE),
        ("gpu_ecc_errors_total uncorrected aggregate sram", 0, REMAP),
        ("gpu_ecc_errors_total uncorrected aggregate cbu", 0, {V100}),
        ("gpu_ecc_errors_total corrected volatile all", 0, set()),
        ("gpu_remapped_rows corrected", 0, REMAP),
        ("gpu_row_remap_pending", 0, REMAP),
        ("gpu_row_remap_failure", 0, REMAP),
        ("gpu_row_remap_banks max", 640, REMAP),
        ("gpu_retired_pages uncorrected", 0, {V100}),
        ("gpu_retired_pages_pending", 0, {V100}),
        ("gpu_recovery_action", 0, ALL),
        ("gpu_repair_pending channel", 0, REMAP),
        ("gpu_memory_unrepairable", 0, HOPPER),
        ("gpu_persistence_mode", 1, ALL),
        ("gpu_mig_mode", 0, {A100, *HOPPER}),
        ("gpu_gsp_firmware_mode", 1, TURING),
        ("gpu_module_power_watts", module_power_milliwatts(GPUS[GH200], T, True) / 1000, {GH200}),
        ("gpu_module_power_instant_watts", module_power_milliwatts(GPUS[GH200], T) / 1000, {GH200}),
        ("gpu_module_power_limit_watts enforced", 1140, {GH200}),
        ("gpu_module_power_limit_watts requested", 1140, {GH200}),
        ("gpu_module_power_limit_watts min", 340, {GH200}),
        ("gpu_edpp_multiplier_ratio", 1, HOPPER),
        ("gpu_power_smoothing_state_of_charge_enabled", 1, set()),
        ("gpu_remapped_rows_inactive corrected", 0, set()),
        ("gpu_bank_remappings active", 0, set()),
        ("gpu_dram_encryption_mode", 0, {B200}),
        ("gpu_power_smoothing_enabled", 1, {B200}),
        ("gpu_power_smoothing_floor_watts applied", 500, {B200}),
        ("gpu_power_smoothing_lifetime_remaining_ratio", 0.99, {B200}),
        ("gpu_confidential_compute_mode", 0, HOPPER),
        ("gpu_confidential_compute_ready", 0, set()),
        ("gpu_protected_memory_total_bytes", 0, HOPPER),
        ("gpu_encoder_sessions", 0, {GTX1080, V100, L40S, RTX4090}),
        ("gpu_encoder_latency_seconds", 0, set()),
        ("gpu_fbc_sessions", 0, ALL),
        ("gpu_vgpu_instances", 0, set()),
    ],
)
def test_who_has_what(cards: list[Values], name: str, value: float, which: set[int]) -> None:
    assert given(cards, name) == flat(value, which)


def test_links_add_up(cards: list[Values]) -> None:
    links = {index: GPUS[index].preset.nvlink_links for index in NVLINK}
    assert given(cards, "gpu_nvlink_links") == given(cards, "gpu_nvlink_links_up") == links
    for way in ("transmit", "receive"):
        assert given(cards, f"gpu_nvlink_bytes_total all {way}") == {
            index: count * nvlink_kib(GPUS[index], T) * 1024 for index, count in links.items()
        }
        packets = given(cards, f"gpu_nvlink_packets_total all {way}")
        assert packets.keys() == {B200}
        # Counted over all links together: no packet is lost to rounding in each.
        assert 0 <= packets[B200] - 18 * nvlink_packets(GPUS[B200], T) < 18
    speeds = given(cards, "gpu_nvlink_speed_bytes_per_second all")
    assert (set(speeds), speeds[B200]) == (NVLINK, 18 * 50e9)
    assert labels(cards[V100], "gpu_nvlink_info") == {"all 2.0 switch": 1}
    assert labels(cards[B200], "gpu_nvlink_info") == {"all 5.0 switch": 1}


def test_each_link(simulator: Path, scenario: Path, cards: list[Values]) -> None:
    trouble = """
        at 1s nvlink-down gpu=5 link=2
        at 2s counter gpu=5 field=161 scope=17 count=3
        at 3s counter gpu=7 field=215 scope=4 count=5
        at 3s counter gpu=7 field=237 scope=4 count=6
        at 3s counter gpu=7 field=237 scope=5 count=7
    """
    each = ask(simulator, scenario, SCENARIO + trouble, each=True)
    summed = ask(simulator, scenario, SCENARIO + trouble)
    for index in NVLINK:
        names = {str(link) for link in range(GPUS[index].preset.nvlink_links)}
        assert labels(each[index], "gpu_nvlink_up").keys() == names
        for metric in ("gpu_nvlink_bytes_total", "gpu_nvlink_errors_total"):
            parts: dict[str, float] = {}
            for name, value in labels(each[index], metric).items():
                link, _, rest = name.partition(" ")
                assert link in names
                parts[rest] = parts.get(rest, 0) + value
            assert {f"all {rest}": value for rest, value in parts.items()} == labels(
                summed[index], metric
            )
    assert each[H200]["gpu_nvlink_up 2"] == each[H200]["gpu_nvlink_speed_bytes_per_second 2"] == 0
    assert each[H200]["gpu_nvlink_links_up"] == summed[H200]["gpu_nvlink_links_up"] == 17
    assert each[H200]["gpu_nvlink_errors_total 17 replay"] == 3
    assert summed[B200]["gpu_nvlink_errors_total all recovery"] == 5
    assert summed[B200]["gpu_nvlink_fec_blocks_total 2"] == 13
    assert each[B200]["gpu_nvlink_fec_blocks_total 2"] == 13
    # What the card says where no bit was wrong.
    assert each[B200]["gpu_nvlink_bit_error_ratio 0 symbol"] == pytest.approx(15e-255)
    assert labels(each[H200], "gpu_nvlink_info").keys() == {f"{n} 4.0 switch" for n in range(18)}
    for index in ALL - NVLINK:
        monitored = "gpu_nvlink_bytes_per_second"
        assert {n.split()[0] for n in each[index] if n.startswith("gpu_nvlink")} <= {monitored}


def test_what_goes_wrong_is_counted(simulator: Path, scenario: Path) -> None:
    values = ask(
        simulator,
        scenario,
        SCENARIO
        + """
        at 1s pcie-replay gpu=0 count=4
        at 1s counter gpu=5 field=176 count=3
        at 1s counter gpu=5 field=183 scope=5 count=2
        at 1s counter gpu=5 field=183 scope=15 count=1
        at 1s counter gpu=6 field=232 scope=4 count=10
        at 1s ecc gpu=5 corrected=3 uncorrected=1 location=dram
        at 1s ecc gpu=5 uncorrected=6 location=sram
        at 1s ecc gpu=1 corrected=2 location=l2
        at 1s remap gpu=5 corrected=2 uncorrected=1 pending=1 failure=1
        at 1s retire gpu=1 corrected=2 uncorrected=1 pending=1
        at 1s recovery gpu=5 action=drain_p2p
        at 1s repair gpu=5 channel=1 memory=1
        at 1s fabric gpu=5 state=completed health=route_unhealthy
        at 1s fabric gpu=7 state=in_progress
        at 1s pcie-link gpu=5 width=8
        """,
    )
    gtx, volta, hopper, grace, blackwell = (values[n] for n in (GTX1080, V100, H200, GH200, B200))
    assert gtx["gpu_pcie_replays_total"] == 4
    assert hopper["gpu_pcie_errors_total bad_tlp"] == 3
    assert hopper["gpu_pcie_errors_total lane"] == 3
    assert grace["gpu_c2c_errors_total 4 replay"] == 10
    assert labels(hopper, "gpu_ecc_errors_total") == {
        f"{kind} {scope} {location}": count
        for scope in ("volatile", "aggregate")
        for kind, location, count in (
            *(("corrected", "dram", 3), ("uncorrected", "dram", 1)),
            *(("corrected", "sram", 0), ("uncorrected", "sram", 6)),
        )
    }
    assert hopper["gpu_ecc_sram_errors_total volatile secded"] == 6
    assert hopper["gpu_ecc_sram_unit_errors_total l2"] == 6
    assert hopper["gpu_ecc_sram_threshold_exceeded"] == 1
    assert volta["gpu_ecc_errors_total corrected volatile l2_cache"] == 2
    assert labels(hopper, "gpu_remapped_rows") == {"corrected": 2, "uncorrected": 1}
    assert hopper["gpu_row_remap_pending"] == hopper["gpu_row_remap_failure"] == 1
    assert (hopper["gpu_row_remap_banks max"], hopper["gpu_row_remap_banks high"]) == (637, 3)
    assert labels(volta, "gpu_retired_pages") == {"corrected": 2, "uncorrected": 1}
    assert volta["gpu_retired_pages_pending"] == 1
    assert hopper["gpu_recovery_action"] == 3
    assert labels(hopper, "gpu_repair_pending") == {"channel": 1, "tpc": 0}
    assert hopper["gpu_memory_unrepairable"] == 1
    assert hopper["gpu_fabric_healthy"] == 0
    assert labels(hopper, "gpu_fabric_trouble") == {
        "degraded_bandwidth": 0,
        "route_recovery": 0,
        "route_unhealthy": 1,
        "access_timeout": 0,
    }
    assert blackwell["gpu_fabric_state"] == 2
    assert blackwell["gpu_fabric_status"] is None
    assert not labels(blackwell, "gpu_fabric_info")
    assert hopper["gpu_pcie_link_width"] == 8


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


VGPUS = """
vgpu gpu=3 type="NVIDIA L40S-12Q" size=12GiB memory=4GiB share=0.3 vm=one driver=550.1
vgpu gpu=3 type="NVIDIA L40S-8Q" size=8GiB memory=1GiB share=0.5 vm=two licensed=off
"""


def test_virtual_gpus(simulator: Path, scenario: Path) -> None:
    text = SCENARIO.replace("preset=l40s", "preset=l40s virtualization=host_vgpu encoder=1")
    values = ask(simulator, scenario, text + VGPUS + "load gpu=3 constant 0.5\n")[L40S]
    assert values["gpu_virtualization_mode"] == 3
    assert (values["gpu_vgpu_instances"], values["gpu_vgpu_host_mode"]) == (2, 1)
    infos = [name.split(" ", 2) for name in labels(values, "gpu_vgpu_info")]
    assert [rest for _, *rest in infos] == [
        ["one", "NVIDIA L40S-12Q 550.1"],
        ["two", "NVIDIA L40S-8Q "],
    ]
    first, second = (uuid for uuid, *_ in infos)
    for metric, one, two in (
        ("gpu_vgpu_memory_total_bytes", 12 << 30, 8 << 30),
        ("gpu_vgpu_memory_used_bytes", 4 << 30, 1 << 30),
        ("gpu_vgpu_licensed", 1, 0),
    ):
        assert labels(values, metric) == {first: one, second: two}
    assert values[f"gpu_vgpu_utilization_ratio {first} sm"] == 0.15
    assert values[f"gpu_vgpu_utilization_ratio {second} sm"] == 0.25
    assert values[f"gpu_vgpu_utilization_ratio {second} memory"] == 0.15
    assert values[f"gpu_vgpu_utilization_ratio {second} encoder"] == 0.25
    assert values[f"gpu_vgpu_utilization_ratio {second} decoder"] == 0


def test_a_virtual_gpu_tells_its_driver_once_there_is_one(simulator: Path, scenario: Path) -> None:
    head = "gpus 1 preset=l40s\ngpu 0 virtualization=host_vgpu\n"
    line = 'vgpu gpu=0 type="NVIDIA L40S-8Q" vm=one'
    code = f"""
        plan = Plan(Library(), Library().device(0))
        before = show(plan, "vgpu")
        play({f"{head}{line} driver=570.2"!r} + chr(10))
        tell(before=before, renewed=plan.renew(["vgpu"], str), after=show(plan, "vgpu"))
    """
    told = run(simulator, scenario, f"{head}{line}\n", code)
    assert told["renewed"]
    drivers = [
        [name.split(" ")[-1] for name in labels(told[when], "gpu_vgpu_info")]
        for when in ("before", "after")
    ]
    assert drivers == [[""], ["570.2"]]


@pytest.mark.parametrize(("missing", "mode"), [(None, 1), ("_v2", 1), ("", None)])
def test_how_virtual_gpus_take_turns(
    simulator: Path, scenario: Path, missing: str | None, mode: int | None
) -> None:
    """The newer call tells no mode; an older driver, or one to come, has one of them only."""
    text = "gpus 1 preset=l40s\ngpu 0 virtualization=host_vgpu vgpu-scheduler=equal_share\n"
    text += "gpu 0 vgpu-arr=off\n"
    if missing is not None:
        text += f"missing nvmlDeviceGetVgpuSchedulerState{missing}\n"
    (values,) = ask(simulator, scenario, text)
    assert values["gpu_vgpu_scheduler_policy"] == 2
    assert values.get("gpu_vgpu_scheduler_arr_mode") == mode


def test_the_licence_of_a_guest(simulator: Path, scenario: Path) -> None:
    text = "gpus 3 preset=l40s\ngpu 0,1 virtualization=vgpu\ngpu 1 licensed=on\n"
    values = ask(simulator, scenario, text)
    assert given(values, "gpu_license_active vgpu") == {0: 0, 1: 1}


def test_virtual_gpus_come_and_go(simulator: Path, scenario: Path) -> None:
    text = "freeze 10\ngpus 1 preset=l40s\ngpu 0 virtualization=host_vgpu\n"
    line = 'vgpu gpu=0 type="NVIDIA L40S-8Q" size=8GiB from=20s\n'
    code = f"""
        plan = Plan(Library(), Library().device(0))
        before = [show(plan, "vgpu"), plan.renew(["vgpu"], str)]
        play({(text + line).replace("freeze 10", "freeze 30")!r})
        tell(before=before, renewed=plan.renew(["vgpu"], str), after=show(plan, "vgpu"))
    """
    told = run(simulator, scenario, text + line, code)
    none = {
        **{"gpu_vgpu_instances": 0, "gpu_vgpu_host_mode": 1},
        **{"gpu_vgpu_scheduler_policy": 1, "gpu_vgpu_scheduler_arr_mode": 0},
    }
    assert told["before"] == [none, False]
    assert told["renewed"]
    assert told["after"]["gpu_vgpu_instances"] == 1
    assert len(labels(told["after"], "gpu_vgpu_info")) == 1


def test_the_fabric_is_told_of_once_it_is_joined(simulator: Path, scenario: Path) -> None:
    text = "freeze 10\ngpus 1\n"
    code = f"""
        plan = Plan(Library(), Library().device(0))
        before = [show(plan, "fabric"), plan.renew(["fabric"], str)]
        play({text!r})
        tell(before=before, renewed=plan.renew(["fabric"], str), after=show(plan, "fabric"))
    """
    told = run(simulator, scenario, text + "at 0s fabric state=in_progress\n", code)
    values, renewed = told["before"]
    assert (values["gpu_fabric_state"], renewed) == (2, False)
    assert not labels(values, "gpu_fabric_info")
    assert told["renewed"]
    assert len(labels(told["after"], "gpu_fabric_info")) == 1


def test_newer_states_of_the_fabric(simulator: Path, scenario: Path) -> None:
    faults = """
        at 1s fabric gpu=5 misconfiguration=no_partition partition=off manager=off
        at 1s fabric gpu=7 misconfiguration=few_links partition=off manager=off
    """
    values = ask(simulator, scenario, SCENARIO + faults)
    assert given(values, "gpu_fabric_misconfiguration") == {B200: 4}
    assert given(values, "gpu_fabric_partition_assigned") == {B200: 0}
    assert given(values, "gpu_fabric_manager_connected") == {B200: 0}
    assert values[B200]["gpu_fabric_healthy"] == 0


def test_encrypted_memory(simulator: Path, scenario: Path) -> None:
    text = SCENARIO.replace("preset=b200", "preset=b200 encryption-pending=on")
    values = ask(simulator, scenario, text)
    assert given(values, "gpu_dram_encryption_mode") == {B200: 0}
    assert given(values, "gpu_dram_encryption_mode_pending") == {B200: 1}


def test_power_of_the_memory(cards: list[Values]) -> None:
    assert given(cards, "gpu_memory_power_watts") == {
        index: memory_power_milliwatts(GPUS[index], T) / 1000 for index in HOPPER
    }


# Newer and older drivers, and missing permission


def test_a_newer_driver(simulator: Path, scenario: Path) -> None:
    events = """
        driver 615.20 cuda=13.4
        at 1s remap gpu=5,7 corrected=5 inactive=2
        at 1s bank-remap gpu=7 active=3 inactive=1 pending=1
    """
    values = ask(simulator, scenario, SCENARIO + events)
    assert given(values, "gpu_power_smoothing_state_of_charge_enabled") == {B200: 1}
    inactive = dict.fromkeys(REMAP, 0) | {H200: 2, B200: 2}
    assert given(values, "gpu_remapped_rows_inactive corrected") == inactive
    assert given(values, "gpu_remapped_rows_inactive uncorrected") == dict.fromkeys(REMAP, 0)
    assert labels(values[B200], "gpu_bank_remappings") == {"active": 3, "inactive": 1}
    assert labels(values[B200], "gpu_bank_remap_groups") == {"max": 12, "none": 4}
    assert given(values, "gpu_bank_remap_pending") == {B200: 1}


@pytest.mark.parametrize(
    ("missing", "lost"),
    [
        (
            "nvmlDeviceGetDramEncryptionMode",
            {"gpu_dram_encryption_mode", "gpu_dram_encryption_mode_pending"},
        ),
        ("nvmlDeviceGetMemoryErrorCounter", {"gpu_ecc_errors_total"}),
        ("nvmlDeviceGetClock", set()),
        ("nvmlDeviceGetPcieReplayCounter nvmlDeviceGetRemappedRows", set()),
        ("nvmlDeviceGetRetiredPagesPendingStatus", set()),
        ("nvmlDeviceGetRowRemapperHistogram", {"gpu_row_remap_banks"}),
        ("nvmlDeviceGetRepairStatus", {"gpu_repair_pending"}),
        ("nvmlDeviceGetUnrepairableMemoryFlag_v1", {"gpu_memory_unrepairable"}),
        ("nvmlDeviceGetAddressingMode", {"gpu_addressing_mode"}),
        ("nvmlDeviceGetFanSpeedRPM", {"gpu_fan_speed_rpm"}),
        ("nvmlDeviceGetNvLinkRemoteDeviceType", {"gpu_nvlink_info"}),
        ("nvmlDeviceGetPlatformInfo", {"gpu_platform_info"}),
        (
            "nvmlSystemGetConfComputeState nvmlDeviceGetConfComputeMemSizeInfo",
            {
                "gpu_confidential_compute_mode",
                "gpu_confidential_compute_devtools_mode",
                "gpu_protected_memory_total_bytes",
                "gpu_protected_memory_used_bytes",
                "gpu_protected_memory_free_bytes",
                "gpu_unprotected_memory_total_bytes",
            },
        ),
    ],
)
def test_an_older_driver(
    simulator: Path, scenario: Path, cards: list[Values], missing: str, lost: set[str]
) -> None:
    older = ask(simulator, scenario, f"{SCENARIO}missing {missing}\n")
    gone: set[str] = set()
    for before, after in zip(cards, older, strict=True):
        gone |= {name.split(" ")[0] for name in before.keys() - after.keys()}
        for name in before.keys() & after.keys():
            assert after[name] == before[name], name
    assert gone == lost


def test_an_older_driver_has_sums_of_memory_errors(simulator: Path, scenario: Path) -> None:
    text = (
        f"{SCENARIO}missing nvmlDeviceGetMemoryErrorCounter\n"
        "at 1s ecc gpu=5 corrected=3 uncorrected=1 location=dram\n"
        "at 1s ecc gpu=5 uncorrected=6 location=sram\n"
    )
    expected = {
        "corrected volatile all": 3,
        "corrected aggregate all": 3,
        "uncorrected volatile all": 7,
        "uncorrected aggregate all": 7,
    }
    values = ask(simulator, scenario, text)[H200]
    assert labels(values, "gpu_ecc_errors_total") == expected
    text = text.replace("missing ", "missing nvmlDeviceGetFieldValues ")
    values = ask(simulator, scenario, text)[H200]
    assert labels(values, "gpu_ecc_errors_total") == expected


def test_a_driver_without_fields_has_other_calls(simulator: Path, scenario: Path) -> None:
    text = (
        f"{SCENARIO}missing nvmlDeviceGetFieldValues\n"
        "at 1s pcie-replay gpu=0 count=4\n"
        "at 1s remap gpu=5 corrected=2 uncorrected=1 pending=1\n"
        "at 1s retire gpu=1 corrected=2 pending=1\n"
    )
    values = ask(simulator, scenario, text)
    assert values[GTX1080]["gpu_pcie_replays_total"] == 4
    assert labels(values[H200], "gpu_remapped_rows") == {"corrected": 2, "uncorrected": 1}
    assert (values[H200]["gpu_row_remap_pending"], values[H200]["gpu_row_remap_failure"]) == (1, 0)
    assert values[V100]["gpu_retired_pages_pending"] == 1


def test_only_root_sees_the_status_of_sram(
    simulator: Path, scenario: Path, cards: list[Values]
) -> None:
    values = ask(simulator, scenario, SCENARIO + "root off\n")
    for before, after in zip(cards, values, strict=True):
        assert {name.split(" ")[0] for name in before.keys() - after.keys()} <= {
            "gpu_ecc_sram_errors_total",
            "gpu_ecc_sram_unit_errors_total",
            "gpu_ecc_sram_threshold_exceeded",
        }
        assert not [name for name in after if name.startswith("gpu_ecc_sram")]


@pytest.mark.parametrize(
    ("call", "group"),
    [
        ("nvmlDeviceGetGpuFabricInfoV", "fabric"),
        ("nvmlDeviceGetConfComputeMemSizeInfo", "confidential"),
        ("nvmlDeviceGetActiveVgpus", "vgpu"),
        ("nvmlDeviceGetFieldValues", "nvlink"),
    ],
)
def test_what_is_not_permitted_says_so(
    simulator: Path, scenario: Path, call: str, group: str
) -> None:
    text = "gpus 1\ngpu 0 virtualization=host_vgpu\n"
    fault = f"at 0s error call={call} code=no_permission\n"
    (refused,) = refusals(simulator, scenario, text + fault)
    assert refused[group] == "no_permission"


def test_what_fails_for_now_is_asked_again(simulator: Path, scenario: Path) -> None:
    text = "freeze 10\ngpus 1\n"
    fault = "at 0s error call=nvmlDeviceGetFieldValues code=timeout\n"
    code = f"""
        plan = Plan(Library(), Library().device(0))
        before = show(plan, "nvlink"), plan.renew(["nvlink"], str), show(plan, "nvlink")
        play({text!r})
        tell(before=before, renewed=plan.renew(["nvlink"], str), after=show(plan, "nvlink"))
    """
    told = run(simulator, scenario, text + fault, code)
    assert told["before"] == [{}, True, {}]
    assert told["renewed"]
    assert told["after"] == {
        f"gpu_nvlink_bytes_total all {way}": 0 for way in ("transmit", "receive")
    }
