"""What the groups read of every kind of card: exactly what the driver tells, or nothing."""

from pathlib import Path

import pytest
from tests.simulator.model import (
    memory_power_milliwatts,
    module_power_milliwatts,
    nvlink_kib,
    nvlink_packets,
    percent,
)
from tests.unit.driver import run
from tests.unit.generations import (
    A100,
    ALL,
    B200,
    DATA_CENTRE,
    GH200,
    GPUS,
    GTX1080,
    H200,
    HOPPER,
    L40S,
    NVLINK,
    NVLINK4,
    REMAP,
    RTX4090,
    SCENARIO,
    TURING,
    V100,
    WAVE,
    T,
    Values,
    ask,
    flat,
    given,
    labels,
)


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


def test_power_of_the_memory(cards: list[Values]) -> None:
    assert given(cards, "gpu_memory_power_watts") == {
        index: memory_power_milliwatts(GPUS[index], T) / 1000 for index in HOPPER
    }
