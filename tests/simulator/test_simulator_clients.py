"""Monitors that others have written, run against the library."""

import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.ports import free_port
from tests.simulator.support import RunClient

SCENARIO = """
    driver 580.95.05 cuda=13.0
    gpus 8 preset=h200
    gpu * memory-base=40GiB
    load gpu=0-3 constant 0.402
    load gpu=4-6 constant 1
    process pid=4200001 gpu=0 type=compute memory=10GiB sm=40
"""


def test_nvitop(run_client: RunClient, third_party: Path) -> None:
    result = run_client([str(third_party / "nvitop"), "--once", "--ascii"], SCENARIO)
    assert result.returncode == 0
    assert "Driver Version: 580.95.05" in result.stdout
    assert "CUDA Driver Version: 13.0" in result.stdout
    assert re.findall(r"\|\s+(\d)\s+H200\s+On\s+\|", result.stdout) == list("01234567")
    watts = re.findall(r"(\d+)W / 700W", result.stdout)
    assert watts == ["326", "326", "326", "326", "700", "700", "700", "75"]
    percent = re.findall(r"GiB \|\s+(\d+)%\s+Default", result.stdout)
    assert percent == ["40"] * 4 + ["100"] * 3 + ["0"]
    assert "50.00GiB / 140.4GiB" in result.stdout
    assert re.search(r"0 4200001 C .* 10240MiB +40", result.stdout)


GENERATIONS = """
    gpus 4
    gpu 1 preset=b200
    gpu 2 preset=v100
    gpu 3 preset=gtx1080
    load gpu=* constant 0.5
    mig gpu=0 profile=3g.71gb memory=1GiB
    mig gpu=0 profile=1g.18gb count=2
    process pid=4200001 gpu=0 mig=1 memory=10GiB
    root on
"""


def test_nvitop_with_instances_and_other_generations(
    run_client: RunClient, third_party: Path
) -> None:
    result = run_client([str(third_party / "nvitop"), "--once", "--ascii"], GENERATIONS)
    assert result.returncode == 0
    instances = re.findall(r"0:(\d)\s+(\S+) @ GI/CI: (\d+)/(\d+) \|\s+(\S+) /", result.stdout)
    assert instances == [
        ("0", "3g.71gb", "1", "0", "1024MiB"),
        ("1", "1g.18gb", "7", "0", "10240MiB"),
        ("2", "1g.18gb", "8", "0", "0B"),
    ]
    percent = re.findall(r"GiB \|\s+(\S+)\s+Default|8192MiB \|\s+(\S+)\s+Default", result.stdout)
    assert [one or other for one, other in percent] == ["N/A", "50%", "50%", "50%"]
    watts = re.findall(r"(\d+)W / (\d+)W", result.stdout)
    assert watts == [("388", "700"), ("570", "1000"), ("170", "300"), ("94", "180")]
    assert re.search(r"0:1 4200001 C .* 10240MiB", result.stdout)


def test_gpustat(run_client: RunClient, third_party: Path) -> None:
    result = run_client([str(third_party / "gpustat"), "--json"], SCENARIO)
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    assert answer["driver_version"] == "580.95.05"
    gpus = answer["gpus"]
    assert [gpu["index"] for gpu in gpus] == list(range(8))
    assert {gpu["name"] for gpu in gpus} == {"NVIDIA H200"}
    assert [gpu["utilization.gpu"] for gpu in gpus] == [40] * 4 + [100] * 3 + [0]
    assert [gpu["memory.total"] for gpu in gpus] == [143771] * 8
    assert [gpu["memory.used"] for gpu in gpus] == [51200] + [40960] * 7
    assert {gpu["enforced.power.limit"] for gpu in gpus} == {700}
    assert {gpu["fan.speed"] for gpu in gpus} == {None}


def read(url: str) -> str:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                text = response.read().decode()
        except (urllib.error.URLError, ConnectionError):
            text = ""
        # Its GPUs come one after the other.
        if 'index="7"' in text and "process_gpu_sm_utilization" in text:
            return str(text)
        assert time.monotonic() < deadline, f"only {len(text)} characters so far"
        time.sleep(0.1)


def values(text: str, name: str) -> dict[str, float]:
    found = re.findall(rf'^{name}\{{.*?index="(\d+)".*?\}} (\S+)$', text, re.MULTILINE)
    return {index: float(value) for index, value in found}


def test_nvitop_exporter(
    simulator: Path, scenario_file: Path, third_party: Path, tmp_path: Path
) -> None:
    scenario_file.write_text(SCENARIO)
    port = free_port()
    with (tmp_path / "log").open("w") as log:
        exporter = subprocess.Popen(
            [str(third_party / "nvitop-exporter"), "-B", "127.0.0.1", "-p", str(port)],
            env={**os.environ, "LD_LIBRARY_PATH": str(simulator)},
            stdout=log,
            stderr=log,
        )
        try:
            text = read(f"http://127.0.0.1:{port}/metrics")
        finally:
            exporter.terminate()
            exporter.wait(30)
    everyone = [str(i) for i in range(8)]
    assert values(text, "gpu_memory_total_MiB") == dict.fromkeys(everyone, 143771.0)
    used = dict(zip(everyone, [51200.0] + [40960.0] * 7, strict=True))
    assert values(text, "gpu_memory_used_MiB") == used
    busy = dict(zip(everyone, [40.0] * 4 + [100.0] * 3 + [0.0], strict=True))
    assert values(text, "gpu_utilization_Percentage") == busy
    assert values(text, "gpu_power_limit_W") == dict.fromkeys(everyone, 700.0)
    assert values(text, "gpu_clock_memory_MHz") == dict.fromkeys(everyone, 3201.0)
    assert values(text, "process_gpu_memory_MiB") == {"0": 10240.0}
    assert values(text, "process_gpu_sm_utilization_Percentage") == {"0": 40.0}
