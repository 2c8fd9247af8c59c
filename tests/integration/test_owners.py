"""Whose use it was: answers of PromQL without a join."""

import time
from pathlib import Path

import pytest
from tests.integration.conftest import Fleet
from tests.integration.stack import wait_for
from tests.unit.owners.machine import Machine

# Two jobs share GPU 0 from the 10th second on; one job is there for a second only.
SCENARIO = """\
start {start}
gpus 2 preset=h200
load gpu=0 constant 0.8
process pid=101 gpu=0 type=compute memory=30GiB sm=60
process pid=102 gpu=0 type=compute memory=10GiB sm=20 from=10s
process pid=103 gpu=0 type=compute memory=10GiB sm=20 from=14.6s until=15.6s
"""
JOB = "0::/system.slice/slurmstepd.scope/job_{job}/step_0/user/task_0"
END = 40.0


def test_use_adds_up_by_job(fleet: Fleet, simulator: Path, tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    for pid, job in ((101, 7), (102, 8), (103, 9)):
        machine.add(pid, JOB.format(job=job))
    start = time.time()
    address = fleet.stack.exporter(
        "shared",
        SCENARIO.format(start=int(start)),
        simulator,
        *("--probe.interval", "100ms"),
        *("--path.procfs", str(machine.procfs), "--path.rootfs", str(machine.rootfs)),
    )
    fleet.stack.write_targets("shared.yml", ("shared", address))
    at_end = f'timestamp(up{{instance="{address}"}}) > {start + END:.0f}'
    wait_for("the end of the story", lambda: fleet.stack.values(at_end), 90)
    (fleet.stack.targets / "shared.yml").unlink()

    def increase(by: str, metric: str) -> dict[str, float]:
        whole = f'increase({metric}{{node="shared",gpu="0"}}[1h])'
        found = fleet.stack.query(f"sum by ({by}) ({whole})")
        return {labels.get(by, ""): value for labels, value in found}

    for used, whole in (
        ("gpu_owner_busy_seconds_total", "gpu_busy_seconds_total"),
        ("gpu_owner_allocated_seconds_total", "gpu_allocated_seconds_total"),
    ):
        parts = increase("job_id", used)
        assert {"7", "8", "9"} <= parts.keys()
        # The first scrape saw the GPU's counter at a little more than 0 already.
        assert sum(parts.values()) == pytest.approx(increase("gpu", whole)["0"], abs=0.3)
    energy = increase("job_id", "gpu_owner_energy_joules_total")
    # The driver samples who is active at whole seconds: the last 0.6 s of job 9 were seen.
    # 0.8 of the range of an H200 of 700 W that idles at 75 W.
    watts = 75 + 0.8 * 625
    assert energy["9"] == pytest.approx(0.6 * watts * 0.2, rel=0.5)
    assert energy["8"] == pytest.approx(energy["7"] * 20 / 60 * 0.7, rel=0.25)
    users = increase("user", "gpu_owner_energy_joules_total")
    assert users["alice"] == pytest.approx(energy["7"] + energy["8"] + energy["9"])
