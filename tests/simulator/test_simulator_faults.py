"""What goes wrong when the scenario says so, and only then."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pynvml
import pytest
from tests.simulator.support import LOOKS_AGAIN_AFTER, Play, RunClient


def handle(index: int) -> Any:
    return pynvml.nvmlDeviceGetHandleByIndex(index)


def field(index: int, number: int, scope: int = 0) -> int:
    value = pynvml.nvmlDeviceGetFieldValues(handle(index), [(number, scope)])[0]
    assert value.nvmlReturn == 0
    return int(value.value.ullVal)


def test_lost_gpu_answers_so_on_every_call_and_the_others_go_on(play: Play) -> None:
    text = "freeze {t}\ngpus 3\nat 30s for 10s gpu=1 lost\n"
    play(text.format(t=29.9))
    lost = handle(1)
    play(text.format(t=30))
    for call in (
        pynvml.nvmlDeviceGetName,
        pynvml.nvmlDeviceGetPowerUsage,
        pynvml.nvmlDeviceGetComputeRunningProcesses,
        pynvml.nvmlDeviceGetPciInfo,
        lambda h: pynvml.nvmlDeviceGetFieldValues(h, [83]),
        lambda h: handle(1),
    ):
        with pytest.raises(pynvml.NVMLError_GpuIsLost):
            call(lost)
    assert pynvml.nvmlDeviceGetCount() == 3
    assert pynvml.nvmlDeviceGetPowerUsage(handle(2)) == 75_000
    play(text.format(t=40))
    assert pynvml.nvmlDeviceGetPowerUsage(lost) == 75_000


def test_repeated_windows(play: Play) -> None:
    for t, up in ((9, True), (10, False), (12.9, False), (13, True), (30.5, False), (33, True)):
        play(f"freeze {t}\ngpus 1\nat 10s for 3s every 20s lost\n")
        if up:
            handle(0)
        else:
            with pytest.raises(pynvml.NVMLError_GpuIsLost):
                handle(0)


def test_error_of_one_call_on_one_gpu(play: Play) -> None:
    play(
        """
        freeze 7
        gpus 2
        at 5s for 5s error gpu=1 call=nvmlDeviceGetClockInfo code=timeout
        at 5s for 1s error gpu=1 call=nvmlDeviceGetName code=unknown
        at 0s error call=nvmlSystemGetDriverVersion code=no_permission
        """
    )
    with pytest.raises(pynvml.NVMLError_Timeout):
        pynvml.nvmlDeviceGetClockInfo(handle(1), 0)
    assert pynvml.nvmlDeviceGetName(handle(1)) == "NVIDIA H200"
    assert pynvml.nvmlDeviceGetClockInfo(handle(0), 0) == 345
    with pytest.raises(pynvml.NVMLError_NoPermission):
        pynvml.nvmlSystemGetDriverVersion()


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("driver_not_loaded", pynvml.NVML_ERROR_DRIVER_NOT_LOADED),
        ("lib_rm_version_mismatch", pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH),
        ("no_permission", pynvml.NVML_ERROR_NO_PERMISSION),
    ],
)
def test_init_fails_then_works(play: Play, name: str, error: int) -> None:
    text = "freeze {t}\ngpus 1\nat 0s for 20s init " + name
    with pytest.raises(pynvml.NVMLError) as caught:
        play(text.format(t=19.9))
    assert caught.value.value == error
    play(text.format(t=20))
    assert pynvml.nvmlDeviceGetCount() == 1


def test_too_few_gpus(play: Play) -> None:
    play("freeze 5\ngpus 8\nat 0s for 10s gpu-count 6\n")
    assert pynvml.nvmlDeviceGetCount() == 6
    with pytest.raises(pynvml.NVMLError_InvalidArgument):
        handle(6)


def test_hang_stops_one_call_on_one_gpu(simulator: Path, scenario_file: Path) -> None:
    scenario_file.write_text("gpus 2\nat 0s hang gpu=1 call=nvmlDeviceGetPowerUsage\n")
    code = textwrap.dedent(
        """
        import threading, pynvml
        pynvml.nvmlInit()
        h = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(2)]
        threading.Thread(target=pynvml.nvmlDeviceGetPowerUsage, args=[h[1]], daemon=True).start()
        print(pynvml.nvmlDeviceGetPowerUsage(h[0]), pynvml.nvmlDeviceGetName(h[1]), flush=True)
        pynvml.nvmlDeviceGetPowerUsage(h[1])
        print("came back", flush=True)
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "LD_LIBRARY_PATH": str(simulator)},
        stdout=subprocess.PIPE,
        text=True,
    ) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "75000 NVIDIA H200\n"
        with pytest.raises(subprocess.TimeoutExpired):
            client.wait(1)
        client.terminate()
        assert client.wait(60) == -signal.SIGTERM
        assert client.stdout.read() == ""


def test_hang_with_an_end_returns(run_client: RunClient) -> None:
    start = time.time()
    scenario = f"start {start:.3f}\ngpus 1\nat 0s for 3s hang call=nvmlDeviceGetPowerUsage\n"
    result = run_client("print(pynvml.nvmlDeviceGetPowerUsage(h(0)))", scenario)
    assert result.stdout == "75000\n"
    assert time.time() - start >= 3


def test_segfault_kills_the_client(run_client: RunClient) -> None:
    scenario = "gpus 4\nat 0s segfault gpu=3 call=nvmlDeviceGetUtilizationRates\n"
    code = "print(pynvml.nvmlDeviceGetUtilizationRates(h({})).gpu)"
    assert run_client(code.format(2), scenario).stdout == "0\n"
    assert run_client(code.format(3), scenario).returncode == -signal.SIGSEGV


def test_missing_function(run_client: RunClient) -> None:
    code = """
        try:
            pynvml.nvmlDeviceGetTemperatureV(h(0), 0)
        except pynvml.NVMLError as error:
            print(type(error).__name__, pynvml.nvmlDeviceGetTemperature(h(0), 0))
        else:
            print("there")
        print(hasattr(pynvml.nvmlLib, "nvmlDeviceGetMarginTemperature"))
    """
    missing = "gpus 1\nmissing nvmlDeviceGetTemperatureV nvmlDeviceGetMarginTemperature\n"
    assert run_client(code, missing).stdout == "NVMLError_FunctionNotFound 28\nFalse\n"
    assert run_client(code, "gpus 1\n").stdout == "there\nTrue\n"


def test_throttling_shows_as_reason_time_heat_and_clock(play: Play) -> None:
    text = """
        freeze {t}
        gpus 1
        load gpu=0 constant 0.5
        at 20s for 15s gpu=0 throttle reason=hw_thermal
    """
    play(text.format(t=19))
    assert pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle(0)) == 0
    assert pynvml.nvmlDeviceGetClockInfo(handle(0), 1) == 1875
    play(text.format(t=30))
    assert pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle(0)) == 0x48
    assert pynvml.nvmlDeviceGetClockInfo(handle(0), 1) == 930
    assert pynvml.nvmlDeviceGetTemperature(handle(0), 0) == 89
    assert field(0, 270) == 10_000_000_000
    violation = pynvml.nvmlDeviceGetViolationStatus(handle(0), pynvml.NVML_PERF_POLICY_THERMAL)
    assert violation.violationTime == 10_000_000_000
    play(text.format(t=60))
    assert field(0, 270) == 15_000_000_000
    assert field(0, 269) == 0


def test_memory_errors_and_what_follows(play: Play) -> None:
    play(
        """
        freeze 60
        gpus 2
        at 50s ecc gpu=0 corrected=3 uncorrected=1 location=dram
        at 0s every 20s ecc gpu=0 corrected=1 location=sram
        at 70s ecc gpu=0 corrected=100
        at 52s remap gpu=0 corrected=1 uncorrected=2 pending=1
        at 53s pcie-replay gpu=0 count=7
        at 54s recovery gpu=0 action=gpu_reset
        at 55s nvlink-down gpu=0 link=3
        at 55s pcie-link gpu=0 width=8
        """
    )
    h = handle(0)
    assert [field(0, n) for n in (3, 4, 5, 6)] == [7, 1, 7, 1]
    assert pynvml.nvmlDeviceGetTotalEccErrors(h, 1, 0) == 1
    assert pynvml.nvmlDeviceGetMemoryErrorCounter(h, 0, 0, pynvml.NVML_MEMORY_LOCATION_DRAM) == 3
    assert pynvml.nvmlDeviceGetMemoryErrorCounter(h, 0, 1, pynvml.NVML_MEMORY_LOCATION_SRAM) == 4
    assert list(pynvml.nvmlDeviceGetRemappedRows(h)) == [1, 2, 1, 0]
    assert [field(0, n) for n in (142, 143, 144, 145)] == [1, 2, 1, 0]
    histogram = pynvml.nvmlDeviceGetRowRemapperHistogram(h)
    assert (histogram.max, histogram.high) == (637, 3)
    assert pynvml.nvmlDeviceGetPcieReplayCounter(h) == field(0, 94) == 7
    assert field(0, 230) == pynvml.NVML_GPU_RECOVERY_ACTION_GPU_RESET
    assert [pynvml.nvmlDeviceGetNvLinkState(h, link) for link in (2, 3)] == [1, 0]
    assert [field(0, 165, link) for link in (2, 3)] == [1, 0]
    assert pynvml.nvmlDeviceGetCurrPcieLinkWidth(h) == 8
    assert [field(1, n) for n in (3, 4, 142, 94, 230)] == [0] * 5
    assert pynvml.nvmlDeviceGetCurrPcieLinkWidth(handle(1)) == 16


XID = pynvml.nvmlEventTypeXidCriticalError


def event_set(*gpus: int, types: int = XID) -> Any:
    made = pynvml.nvmlEventSetCreate()
    for gpu in gpus:
        pynvml.nvmlDeviceRegisterEvents(handle(gpu), types, made)
    return made


def wait(events: Any, milliseconds: int = 5000) -> tuple[int, int, int]:
    data = pynvml.nvmlEventSetWait_v2(events, milliseconds)
    return pynvml.nvmlDeviceGetIndex(data.device), data.eventType, data.eventData


def test_xid_events_arrive_once_in_order_for_registered_gpus(play: Play) -> None:
    text = """
        freeze {t}
        gpus 3
        at 0s xid gpu=0 code=13
        at 101s xid gpu=0,1 code=79
        at 100.5s xid gpu=0 code=48
        at 101s xid gpu=0 code=63
        at 100s xid gpu=2 code=31
        at 101s ecc gpu=0 uncorrected=1
        at 110s xid gpu=0 code=94
    """
    play(text.format(t=99))
    events = event_set(0, 1)
    # What came before is not told, nor what another GPU or another type has.
    with pytest.raises(pynvml.NVMLError_Timeout):
        pynvml.nvmlEventSetWait_v2(events, 0)
    play(text.format(t=102))
    assert [wait(events) for _ in range(4)] == [
        (0, XID, 48),
        (0, XID, 79),
        (1, XID, 79),
        (0, XID, 63),
    ]
    with pytest.raises(pynvml.NVMLError_Timeout):
        pynvml.nvmlEventSetWait_v2(events, 50)
    pynvml.nvmlEventSetFree(events)


def test_an_xid_event_ends_a_wait(play: Play) -> None:
    play("gpus 1\nstart 2000000000\n")
    events = event_set(0)
    play(f"gpus 1\nstart {time.time() - 10:.3f}\nat 10.5s xid gpu=0 code=79\n")
    assert wait(events, 60_000) == (0, XID, 79)
    pynvml.nvmlEventSetFree(events)


def test_a_repeated_event_arrives_once_each_time(play: Play) -> None:
    # 0.007 has no exact form in binary: its multiples must not be told twice through rounding.
    text = "freeze {t}\ngpus 1\nat 0.1s every 0.007s xid gpu=0 code=13\n"
    play(text.format(t=0.05))
    events = event_set(0)
    play(text.format(t=2.103))
    for _ in range(287):
        assert wait(events) == (0, XID, 13)
    with pytest.raises(pynvml.NVMLError_Timeout):
        pynvml.nvmlEventSetWait_v2(events, 0)
    pynvml.nvmlEventSetFree(events)


def test_ecc_events(play: Play) -> None:
    double, single = pynvml.nvmlEventTypeDoubleBitEccError, pynvml.nvmlEventTypeSingleBitEccError
    text = "freeze {t}\ngpus 1\nat 5s ecc gpu=0 uncorrected=1\nat 6s ecc gpu=0 corrected=1\n"
    play(text.format(t=1))
    events = event_set(0, types=double | single)
    play(text.format(t=7))
    assert [wait(events), wait(events)] == [(0, double, 0), (0, single, 0)]
    pynvml.nvmlEventSetFree(events)


def test_wait_lasts_its_time_and_not_at_all_when_a_gpu_is_lost(play: Play) -> None:
    play("gpus 2\n")
    events = event_set(0, 1)
    begun = time.monotonic()
    with pytest.raises(pynvml.NVMLError_Timeout):
        pynvml.nvmlEventSetWait_v2(events, 150)
    assert time.monotonic() - begun >= 0.15
    play("gpus 2\nat 0s lost gpu=1\n")
    with pytest.raises(pynvml.NVMLError_GpuIsLost):
        pynvml.nvmlEventSetWait_v2(events, 10_000)
    pynvml.nvmlEventSetFree(events)


def test_asking_for_too_many_event_types_registers_none(play: Play) -> None:
    play("gpus 1 preset=rtx4090\n")
    types = pynvml.nvmlDeviceGetSupportedEventTypes(handle(0))
    assert types & XID
    with pytest.raises(pynvml.NVMLError_NotSupported):
        event_set(0, types=pynvml.nvmlEventTypeAll)


def test_latency_is_kept(play: Play) -> None:
    play("gpus 1\nlatency default=2ms nvmlDeviceGetPcieThroughput=60ms nvmlDeviceGetName=0\n")
    h = handle(0)
    begun = time.monotonic()
    pynvml.nvmlDeviceGetPcieThroughput(h, 0)
    slow = time.monotonic()
    for _ in range(10):
        pynvml.nvmlDeviceGetPowerUsage(h)
    assert slow - begun >= 0.06
    assert time.monotonic() - slow >= 0.02


def test_a_changed_file_is_read_again(play: Play, scenario_file: Path) -> None:
    play("gpus 1\n")
    assert pynvml.nvmlDeviceGetCount() == 1
    scenario_file.write_text("gpus 2\nload gpu=0 constant 1\n")
    time.sleep(LOOKS_AGAIN_AFTER)
    assert pynvml.nvmlDeviceGetCount() == 2
    assert pynvml.nvmlDeviceGetUtilizationRates(handle(0)).gpu == 100


def test_a_broken_file_is_reported_once_and_the_last_good_one_stays(
    play: Play, scenario_file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    play("gpus 3\n")
    scenario_file.write_text("gpus 5\nload gpu=9 idle\n")
    for _ in range(3):
        time.sleep(LOOKS_AGAIN_AFTER)
        assert pynvml.nvmlDeviceGetCount() == 3
    assert capfd.readouterr().err == f"{scenario_file}:2: GPU 9 is out of range (there are 5)\n"
    scenario_file.write_text("gpus 5\nload gpu=4 idle\n")
    time.sleep(LOOKS_AGAIN_AFTER)
    assert pynvml.nvmlDeviceGetCount() == 5


def test_a_bad_file_at_the_start_fails_init(run_client: RunClient, scenario_file: Path) -> None:
    result = run_client("", "gpus 2 preset=h300\n")
    known = "known: a100, b200, gh200, gtx1080, h200, l40s, rtx4090, v100"
    assert result.stderr.startswith(f'{scenario_file}:1: unknown preset "h300" ({known})\n')
    assert "NVMLError_Unknown" in result.stderr


def test_threads_get_the_answers_of_their_gpus(play: Play) -> None:
    from concurrent.futures import ThreadPoolExecutor

    play(
        "freeze 5\ngpus 8\n"
        + "".join(f"load gpu={i} constant 0.{i + 1}\n" for i in range(8))
        + "at 1s for 1s every 2s load gpu=* 0.9\n"
    )

    def read(index: int) -> set[int]:
        h = handle(index)
        return {pynvml.nvmlDeviceGetUtilizationRates(h).memory for _ in range(500)}

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, range(8))) == [{54}] * 8
