"""The whole command on the stand-in driver: what it writes down is what that is known to answer."""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import ROOT
from tests.hardware.page import Page
from tests.simulator import model
from tests.simulator.model import Constant, Gpu
from tests.simulator.presets import PRESETS

ROOT_USER = os.geteuid() == 0
UUID = "GPU-5ec2e700-1111-2222-3333-444444444444"
SERIAL = "1654321098765"
SCENARIO = f"""\
gpus 2 preset=h200
gpu 0 uuid={UUID} serial={SERIAL} memory-base=8GiB
gpu 1 preset=rtx4090
load gpu=* constant 0.5
process pid=4194999 gpu=0 type=compute memory=10GiB sm=40
latency nvmlDeviceGetPcieThroughput=20ms
missing nvmlDeviceGetMarginTemperature
"""
H200 = Gpu(PRESETS["h200"], Constant(0.5))
GIB = 1 << 30

# The driver's API for programs, as far as the load uses it.
LIBCUDA = """\
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
int cuInit(unsigned flags) { return 0; }
int cuDeviceGet(int *device, int number) { *device = number; return 0; }
int cuDevicePrimaryCtxRetain(void **context, int device) { *context = 0; return 0; }
int cuDevicePrimaryCtxRelease_v2(int device) { return 0; }
int cuCtxSetCurrent(void *context) { return 0; }
int cuCtxSynchronize(void) { usleep(2000); return 0; }
int cuMemAlloc_v2(uint64_t *address, size_t size) { *address = 4096; return 0; }
int cuMemAllocHost_v2(void **address, size_t size) { *address = 0; return 0; }
int cuMemcpyHtoD_v2(uint64_t to, void *from, size_t size) { return 0; }
int cuMemcpyDtoD_v2(uint64_t to, uint64_t from, size_t size) { return 0; }
int cuMemsetD32_v2(uint64_t to, unsigned word, size_t words) { return 0; }
int cuDeviceGetPCIBusId(char *text, int size, int device) {
    return snprintf(text, size, "0000:1B:00.0") < 0;
}
"""
SMI_ANSWERS = {
    "name": "NVIDIA H200",
    "uuid": UUID,
    "serial": SERIAL,
    "utilization.gpu": "50",
    "memory.total": "143771",
    "pstate": "P0",
    "persistence_mode": "Enabled",
    "fan.speed": "[N/A]",
    "pci.bus_id": "00000000:1B:00.0",
    "power.max_limit": "1.00",  # wrong
}
SMI = f"""\
#!{sys.executable}
import sys
answers = {SMI_ANSWERS!r}
if "-x" in sys.argv:
    print("<gpu><uuid>{UUID}</uuid><serial>{SERIAL}</serial>"
          "<process_name>/home/jane/bin/train.py --key=1</process_name></gpu>")
    sys.exit()
fields = sys.argv[1].partition("=")[2].split(",")
if "utilization.jpeg" in fields:
    print('Field "utilization.jpeg" is not a valid field to query.')
    sys.exit(2)
print(", ".join(fields))
print(", ".join(["0"] + [answers.get(field, "[N/A]") for field in fields[1:]]))
"""


@pytest.fixture(scope="module")
def stage(simulator: Path) -> Iterator[Path]:
    """A folder that nobody may read too: the driver's libraries, a scenario, nvidia-smi."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    shutil.copy(simulator / "libnvidia-ml.so.1", folder)
    (folder / "scenario.conf").write_text(SCENARIO)
    yield folder
    shutil.rmtree(folder)


def command(stage: Path, out: Path, *arguments: str) -> "subprocess.Popen[str]":
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GPUGLASS_")}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.hardware", "--quick", "--out", str(out), *arguments],
        cwd=ROOT,
        env=kept
        | {
            "LD_LIBRARY_PATH": str(stage),
            "GPUGLASS_SIM_SCENARIO": str(stage / "scenario.conf"),
            "PATH": f"{stage}:{kept['PATH']}",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def steps(out: Path, part: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / f"{part}.json").read_text())["steps"]
    return found


@pytest.fixture(scope="module")
def out(stage: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run with everything has written."""
    source = tmp_path_factory.mktemp("source") / "cuda.c"
    source.write_text(LIBCUDA)
    libcuda = str(stage / "libcuda.so.1")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", libcuda, str(source)], check=True)
    (stage / "nvidia-smi").write_text(SMI)
    (stage / "nvidia-smi").chmod(0o755)
    out = tmp_path_factory.mktemp("run") / "hardware"
    with command(stage, out) as run:
        _, log = run.communicate(timeout=200)
    (stage / "nvidia-smi").unlink()
    (stage / "libcuda.so.1").unlink()
    assert (run.returncode, log) == (0, "")
    return out


def test_functions_answer_what_the_driver_says_and_cost_what_they_take(out: Path) -> None:
    found = steps(out, "functions")
    assert found["gpu0 nvmlDeviceGetUtilizationRates()"]["value"] == {"gpu": 50, "memory": 30}
    assert found["gpu0 nvmlDeviceGetMemoryInfo(33554472)"]["value"]["used"] == 18 * GIB
    assert found["gpu1 nvmlDeviceGetMigMode()"]["error"] == "not_supported"
    assert found["gpu0 nvmlDeviceGetMarginTemperature()"]["error"] == "function_not_found"
    assert found["nvmlSystemGetDriverVersion()"]["value"] == "580.95.05"
    slow = found["gpu0 nvmlDeviceGetPcieThroughput(0)"]["costs"]["nvmlDeviceGetPcieThroughput"]
    assert slow["first_us"] >= 20_000
    fabric = found["gpu0 nvmlDeviceGetGpuFabricInfoV(c_nvmlGpuFabricInfo_v2_t)"]["value"]
    assert fabric["state"] == 3
    assert not [name for name, step in found.items() if "fault" in step or "ended" in step]


@pytest.mark.skipif(not ROOT_USER, reason="only root can become nobody")
def test_what_nobody_may_not_read_is_seen(out: Path) -> None:
    status = "gpu0 nvmlDeviceGetSramEccErrorStatus(c_nvmlEccSramErrorStatus_v1_t)"
    assert "value" in steps(out, "functions")[status]
    assert steps(out, "functions.nobody")[status]["error"] == "no_permission"
    assert f"answered: {status}: no_permission\n" in (out / "summary.md").read_text()


def test_fields_have_their_types_and_scopes(out: Path) -> None:
    found = steps(out, "fields")
    fields = {
        number: field
        for name, step in found.items()
        if name.startswith("gpu0 ") and not name.endswith("used")
        for number, field in step.items()
    }
    assert fields["185"]["value"] == model.power_usage_milliwatts(H200, 0)
    assert fields["185"]["type"] == "unsigned int"
    assert fields["193"]["type"] == "signed int"
    assert fields["197"]["type"] == "unsigned long long"
    assert fields["202"]["error"] == "not_supported"
    speeds = dict(map(tuple, fields["164"]["scopes"]))
    assert sorted(speeds) == list(range(1, 18))  # the 18 links but the one of scope 0
    assert fields["164"]["scopes_refused"] == {"invalid_argument": 55}
    assert {185, 197, 230} <= set(found["gpu0 used"]["answered"])
    assert 82 in found["gpu1 used"]["refused"]["not_supported"]


def test_buffers_gpm_links_events_and_processes(out: Path) -> None:
    power = steps(out, "samples")["gpu0 total_power"]
    assert (power["count"], power["spacing_us"]["median"]) == (120, 20_000)
    assert power["values"]["max"] == model.power_usage_milliwatts(H200, 0)
    assert 0 <= power["newest_age_us"]["if since 1970"] < 10e6
    assert steps(out, "samples")["gpu0 total_power later"]["all_newer"]
    assert steps(out, "samples")["gpu0 enc_utilization"]["error"] == "not_supported"
    for part in ("gpm", *(["gpm.loaded.nobody"] if ROOT_USER else [])):
        gpm = steps(out, part)
        assert gpm["gpu0 metrics"]["answered"]["2 sm_util"][0] == pytest.approx(40)
        assert gpm["gpu0 close"]["error"] == "no_data"
        assert not gpm["gpu1 support"]["supported"]
    links = steps(out, "nvlink")["gpu0 links"]
    assert (links["count"], len(links["links"])) == (18, 18)
    assert links["links"]["17"]["state"]["value"] == links["links"]["17"]["fields"]["state"] == 1
    traffic = steps(out, "nvlink")["gpu0 traffic"]
    assert traffic["second"]["all"]["data_tx_kib"] > traffic["first"]["all"]["data_tx_kib"]
    events = steps(out, "events")["gpu0 types"]
    assert events["registration"]["XidCriticalError"] == ""
    assert events["registration"]["PowerSourceChange"] == "not_supported"
    assert steps(out, "events")["wait"]["answer"] == "timeout"
    listed = steps(out, "processes")["gpu0 nvmlDeviceGetComputeRunningProcesses_v3"]
    assert listed["processes"] == [{"pid": 4194999, "memory_bytes": 10 * GIB, "pid_is_here": False}]
    use = steps(out, "processes")["gpu0 nvmlDeviceGetProcessUtilization"]
    assert use["samples"][-1]["sm_mem_enc_dec"][0] == 40


def test_pcie_counters_are_watched_while_the_gpu_has_work(out: Path) -> None:
    watch = steps(out, "pcie.loaded")["watch"]
    assert watch["type"] == "unsigned long long"
    assert watch["receive"]["beyond_32_bits"]
    assert watch["receive"]["falls"] == 0
    rate = (watch["receive"]["last"] - watch["receive"]["first"]) / watch["receive"]["seconds"]
    assert rate / 2**20 == pytest.approx(watch["gpm_mib_per_second"][1], rel=0.2)
    load = steps(out, "load")["load"]
    assert load["bus_id"] == "0000:1B:00.0"
    rows = load["seconds_bytes_to_gpu_and_on_it"]
    assert rows[-1][1] > rows[0][1]


def test_the_exporters_pages_are_kept_and_compared(out: Path) -> None:
    serve = steps(out, "exporter.loaded")["serve"]
    assert serve["gpus_up"] == [1, 1]
    assert serve["failures"] == []
    assert ["0", "gpm", 1, ""] in serve["capabilities"]
    assert ["1", "gpm", 0, "not_supported"] in serve["capabilities"]
    assert serve["pss_mib"]["probe"] > 1
    for name in ("once", "first", "last"):
        page = Page((out / f"exporter.loaded.{name}.prom").read_text())
        assert page.value("gpu_utilization_ratio", gpu="0") == 0.5
    agree = {line["fact"]: line["agree"] for line in serve["comparison"]}
    said = {fact for fact, answer in SMI_ANSWERS.items() if answer != "[N/A]"}
    assert {fact for fact, same in agree.items() if same} == said - {"power.max_limit"}
    assert agree["power.max_limit"] is False
    assert agree["fan.speed"] is None
    assert "utilization.jpeg" not in agree


def test_the_summary_answers(out: Path) -> None:
    summary = (out / "summary.md").read_text()
    for line in (
        "**Where do the PCIe counters 197 and 198 wrap?** answered: 64 bits",
        "**What if its samples are too close?** answered: 20 ms apart: no_data",
        "**In which order do XIDs come?** not answered: an XID cannot be caused",
        "gpu0 total_power: 120 of unsigned int, 20 ms apart",
        "gpu0 193: signed int",
        "power.max_limit: 1.00 and",
    ):
        assert line in summary
    assert "another shape" not in summary
    archive = out / "hardware.tar.gz"
    assert archive.stat().st_size < 2 << 20
    with tarfile.open(archive) as tar:
        packed = {name.removeprefix("hardware/") for name in tar.getnames()}
    assert packed == {path.name for path in out.iterdir()} - {archive.name}


def test_nothing_names_the_card(out: Path) -> None:
    texts = {path.name: path.read_bytes() for path in out.iterdir()}
    texts["archive"] = gzip.decompress(texts.pop("hardware.tar.gz"))
    for name, text in texts.items():
        assert UUID.encode() not in text, name
        assert SERIAL.encode() not in text, name
        assert b"jane" not in text, name
    fake = steps(out, "environment")["gpu0"]["uuid"]
    assert fake == steps(out, "functions")["gpu0 nvmlDeviceGetUUID()"]["value"]
    page = Page((out / "exporter.loaded.last.prom").read_text())
    assert page.labels("gpu_info", gpu="0")["uuid"] == fake
    assert fake in (out / "environment.nvidia-smi.xml").read_text()


def test_a_call_that_hangs_or_crashes_costs_its_step_alone(stage: Path, tmp_path: Path) -> None:
    (stage / "scenario.conf").write_text(
        SCENARIO + "at 0s hang call=nvmlEventSetWait_v2\n"
        "at 0s segfault gpu=0 call=nvmlDeviceGetNvLinkState\n"
        "at 0s segfault call=nvmlDeviceGetBrand\n"
    )
    out = tmp_path / "out"
    only = ("--only", "functions,nvlink,events,gpm,processes")
    with command(stage, out, *only) as run:
        _, log = run.communicate(timeout=200)
    (stage / "scenario.conf").write_text(SCENARIO)
    assert (run.returncode, log) == (0, "")
    events = steps(out, "events")
    assert events["wait"]["ended"] == "did not return in time"
    assert "XidCriticalError" in events["gpu0 types"]["supported"]
    nvlink = steps(out, "nvlink")
    assert nvlink["gpu0 links"]["ended"] == "crashed: SIGSEGV"
    assert nvlink["gpu0 traffic"]["second"]["all"]["data_tx_kib"] > 0
    assert nvlink["gpu1 links"]["count"] == 0
    functions = steps(out, "functions")
    ended = [name for name, step in functions.items() if "ended" in step]
    assert ended == [
        "gpu0 nvmlDeviceGetBrand()",
        "gpu0 nvmlDeviceGetNvLinkState(0)",
        "gpu1 nvmlDeviceGetBrand()",
    ]
    assert functions["gpu0 nvmlDeviceGetUtilizationRates()"]["value"]["gpu"] == 50
    assert steps(out, "gpm")["gpu0 support"]["supported"]
    assert steps(out, "load")["load"]["refused"].startswith("libcuda.so.1 cannot be loaded")
    assert "gpu0 links: crashed: SIGSEGV" in (out / "summary.md").read_text()


@pytest.mark.parametrize("there", ["nothing", "a driver that is not loaded"])
def test_without_a_gpu_it_says_so_and_writes_nothing(
    stage: Path, tmp_path: Path, there: str
) -> None:
    driver = tmp_path
    if there != "nothing":
        driver = stage
        (stage / "scenario.conf").write_text("at 0s init driver_not_loaded\n")
    out = tmp_path / "out"
    with command(driver, out) as run:
        printed, log = run.communicate(timeout=60)
    (stage / "scenario.conf").write_text(SCENARIO)
    why = "library_not_found" if there == "nothing" else "driver_not_loaded"
    assert log == f"python -m tests.hardware: error: no NVIDIA GPU here: {why}\n"
    assert (run.returncode, printed) == (1, "")
    assert not out.exists()


def test_what_was_found_before_an_abort_is_kept(stage: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with command(stage, out, "--only", "events,exporter") as run:
        deadline = time.monotonic() + 60
        while not (out / "exporter.loaded.first.prom").exists():
            assert time.monotonic() < deadline and run.poll() is None
            time.sleep(0.05)
        run.send_signal(signal.SIGTERM)
        _, log = run.communicate(timeout=60)
    assert run.returncode == 1
    assert log == "python -m tests.hardware: ended before it was done; what was found is kept\n"
    assert steps(out, "events")["wait"]["answer"] == "timeout"
    assert "exporter.loaded: interrupted" in (out / "summary.md").read_text()
    assert (out / "out.tar.gz").exists()


def test_a_folder_with_something_in_it_is_left_alone(stage: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with command(stage, tmp_path) as run:
        _, log = run.communicate(timeout=60)
    assert run.returncode == 2
    assert log.endswith(f"error: {tmp_path} is not an empty folder; name another one\n")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
