"""What newer and older drivers give, and what permission does."""

from pathlib import Path

import pytest
from tests.unit.driver import run
from tests.unit.generations import (
    B200,
    GTX1080,
    H200,
    REMAP,
    SCENARIO,
    V100,
    Values,
    ask,
    given,
    labels,
    refusals,
)


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


# What drivers have learnt since the one of 2019 (R440).
SINCE_2019 = """
missing nvmlDeviceGetMemoryInfo_v2 nvmlDeviceGetTemperatureV nvmlDeviceGetMarginTemperature
missing nvmlDeviceGetCurrentClocksEventReasons nvmlDeviceGetSupportedClocksEventReasons
missing nvmlDeviceGetJpgUtilization nvmlDeviceGetOfaUtilization nvmlDeviceGetFanSpeedRPM
missing nvmlDeviceGetTargetFanSpeed nvmlDeviceGetFanControlPolicy_v2 nvmlDeviceGetMigMode
missing nvmlDeviceGetMaxMigDeviceCount nvmlDeviceGetMigDeviceHandleByIndex
missing nvmlDeviceGetAttributes_v2 nvmlDeviceGetRemappedRows nvmlDeviceGetRowRemapperHistogram
missing nvmlDeviceGetRepairStatus nvmlDeviceGetUnrepairableMemoryFlag_v1
missing nvmlDeviceGetSramEccErrorStatus nvmlDeviceGetAddressingMode nvmlDeviceGetGspFirmwareMode
missing nvmlDeviceGetGspFirmwareVersion nvmlDeviceGetNumGpuCores nvmlDeviceGetMemoryBusWidth
missing nvmlDeviceGetNumaNodeId nvmlDeviceGetModuleId nvmlDeviceGetPowerSource
missing nvmlDeviceGetPlatformInfo nvmlDeviceGetC2cModeInfoV nvmlDeviceGetGpuFabricInfoV
missing nvmlDeviceGetDramEncryptionMode nvmlDeviceGetNvLinkRemoteDeviceType
missing nvmlGpmQueryDeviceSupport nvmlGpmSampleAlloc nvmlGpmSampleGet nvmlGpmMetricsGet
missing nvmlSystemGetConfComputeState nvmlDeviceGetConfComputeMemSizeInfo
missing nvmlDeviceGetVgpuSchedulerState nvmlDeviceGetVgpuSchedulerState_v2
missing nvmlDeviceGetGridLicensableFeatures_v4 nvmlDeviceGetComputeRunningProcesses_v3
missing nvmlDeviceGetGraphicsRunningProcesses_v3 nvmlDeviceGetMPSComputeRunningProcesses_v3
"""


def test_a_driver_of_long_ago(simulator: Path, scenario: Path, cards: list[Values]) -> None:
    """It tells less, and the same; but memory in use has the reserve in it."""
    older = ask(simulator, scenario, SCENARIO + SINCE_2019)
    core = ("gpu_utilization_ratio", "gpu_memory_total_bytes", "gpu_temperature_celsius core")
    for before, after in zip(cards, older, strict=True):
        # What is at the other end of an NVLink is not told: that is in a label.
        added = {name.split(" ")[0] for name in after.keys() - before.keys()}
        assert added <= {"gpu_nvlink_info"}
        different = {name for name in after.keys() & before.keys() if after[name] != before[name]}
        assert different <= {"gpu_memory_used_bytes"}
        assert all(after[name] is not None for name in (*core, "gpu_power_watts"))
        assert labels(after, "gpu_clock_event_reason_active")


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
