"""Who is on the GPUs, and what happened to them, as the page shows it."""

import os
import pwd
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.exporter.conftest import Start
from tests.exporter.process import Page, Serve, play

GPUS = "gpus 2 preset=h200\nload gpu=0 constant 0.5\n"
QUIET = ("--no-collector.filesystem", "--no-collector.disk", "--no-collector.network")
FAST = ("--probe.interval", "100ms", *QUIET)
NO_KERNEL_LOG = ("--path.kmsg", "/nonexistent")
ME = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[bytes]]:
    """A real process, which the scenario puts on a GPU."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def on(pid: int, **more: object) -> str:
    words = "".join(f" {name}={value}" for name, value in more.items())
    return f"process pid={pid} gpu=0 type=compute memory=10GiB{words}\n"


def owned(page: Page, what: str, user: str = ME) -> float:
    return sum(page.values(f"gpu_owner_{what}", gpu="0", user=user))


def test_a_process_has_its_name_and_its_user_and_leaves_no_series(
    start: Start, scenario: Path, worker: subprocess.Popen[bytes]
) -> None:
    scenario.write_text(GPUS + on(worker.pid, sm=40))
    serve = start(*FAST)
    serve.wait_ready()
    page = serve.page()
    labels = {"gpu": "0", "pid": str(worker.pid), "user": ME}
    assert page.value("gpu_process_memory_used_bytes", **labels) == 10 * 2**30
    name = Path(f"/proc/{worker.pid}/comm").read_text().strip()
    assert page.value("gpu_process_info", name=name, type="compute", command="", **labels) == 1
    assert page.value("gpu_process_start_time_seconds", **labels) == pytest.approx(
        time.time(), abs=60
    )
    assert owned(page, "memory_used_bytes") == 10 * 2**30
    play(scenario, GPUS)
    serve.wait(lambda: not serve.page().values("gpu_process_info"))
    page = serve.page()
    assert not [s for s in page.samples if s.labels.get("pid")]
    assert owned(page, "processes") == 0
    assert page.value("gpu_processes", gpu="0") == 0


def test_command_lines_only_when_asked_for(
    start: Start, scenario: Path, worker: subprocess.Popen[bytes]
) -> None:
    scenario.write_text(GPUS + on(worker.pid))
    serve = start(*FAST, "--processes.commands")
    serve.wait_ready()
    (info,) = [s for s in serve.page().samples if s.name == "gpu_process_info"]
    assert "time.sleep(600)" in info.labels["command"]


def test_owners_add_up_to_the_gpu(
    start: Start, scenario: Path, worker: subprocess.Popen[bytes]
) -> None:
    """Also with one on it whose owner nobody can tell."""
    scenario.write_text(GPUS + on(worker.pid, sm=30) + on(4_200_000_000, sm=10))
    serve = start(*FAST)
    serve.wait_ready()
    first = serve.page()
    serve.wait(lambda: owned(serve.page(), "energy_joules_total") > 300)
    last = serve.page()
    for whole, parts in (
        ("gpu_busy_seconds_total", "busy_seconds_total"),
        ("gpu_energy_joules_total", "energy_joules_total"),
        ("gpu_allocated_seconds_total", "allocated_seconds_total"),
    ):
        grown = last.value(whole, gpu="0") - first.value(whole, gpu="0")
        split = sum(last.values(f"gpu_owner_{parts}", gpu="0"))
        split -= sum(first.values(f"gpu_owner_{parts}", gpu="0"))
        # The page is written between two rounds: the last one may not be divided yet.
        assert split == pytest.approx(grown, rel=0.1), whole
    mine = owned(last, "energy_joules_total") - owned(first, "energy_joules_total")
    others = owned(last, "energy_joules_total", "unattributed")
    others -= owned(first, "energy_joules_total", "unattributed")
    # A busy machine reads seldom: what one of them used is seen a round later than the other's.
    assert mine == pytest.approx(3 * others, rel=0.25)


INSTANCES = "mig gpu=0 profile=3g.71gb\nmig gpu=0 profile=1g.18gb\n"


@pytest.mark.parametrize("root", ["on", "off"])
def test_processes_on_mig_instances(
    start: Start, scenario: Path, worker: subprocess.Popen[bytes], root: str
) -> None:
    """Also where only root may see all of the GPU; and while it is cut anew."""
    head = f"gpus 1 preset=h200\nroot {root}\nload gpu=0 constant 0.5\n"
    mine = f"process pid={worker.pid} gpu=0 memory=30GiB mig=0\n"
    more = "process pid=4200000000 gpu=0 memory=10GiB mig=1\n"
    scenario.write_text(head + INSTANCES + mine + more)
    serve = start(*FAST, "--processes.most", "1")
    serve.wait_ready()
    first = serve.page()
    whose = {"gpu_instance": "1", "compute_instance": "0", "user": ME}
    memory = "gpu_process_memory_used_bytes"
    assert first.value(memory, pid=str(worker.pid), **whose) == 30 * 2**30
    assert first.value("gpu_process_info", type="compute", **whose) == 1
    assert first.value("gpu_process_start_time_seconds", **whose) > 0
    assert first.value(memory, pid="others", gpu_instance="") == 10 * 2**30
    assert not first.values("gpu_process_sm_utilization_ratio")
    assert not first.values("gpu_owner_busy_seconds_total")
    assert first.value("gpu_processes") == 2
    assert owned(first, "memory_used_bytes") == 30 * 2**30
    play(scenario, head + INSTANCES.replace("1g.18gb", "2g.35gb") + mine + more)
    serve.wait(lambda: len(serve.page().values("gpu_mig_info", profile="2g.35gb")) == 1)
    serve.wait(lambda: owned(serve.page(), "energy_joules_total") > 300)
    last = serve.page()
    assert last.value("gpu_processes") == 2
    parts, whole = (
        sum(last.values(name)) - sum(first.values(name))
        for name in ("gpu_owner_energy_joules_total", "gpu_energy_joules_total")
    )
    assert parts == pytest.approx(whole, rel=0.1)
    own, others = (
        owned(last, "energy_joules_total", user) - owned(first, "energy_joules_total", user)
        for user in (ME, "unattributed")
    )
    assert own == pytest.approx(3 * others, rel=0.1)
    play(scenario, head + INSTANCES.splitlines()[0] + "\n" + mine)
    serve.wait(lambda: serve.page().values("gpu_processes") == [1])


def test_switched_off_there_are_none(
    start: Start, scenario: Path, worker: subprocess.Popen[bytes]
) -> None:
    scenario.write_text(GPUS + on(worker.pid))
    serve = start(*FAST, "--no-collector.processes")
    serve.wait_ready()
    page = serve.page().text
    assert "gpu_process" not in page
    assert "gpu_owner" not in page
    assert 'group="processes"' not in page


def test_many_processes_have_bounded_series(start: Start, scenario: Path) -> None:
    many = "".join(on(4_100_000_000 + n) for n in range(500))
    scenario.write_text(GPUS + many)
    serve = start(*FAST, "--processes.most", "3")
    serve.wait_ready()
    page = serve.page()
    assert page.value("gpu_processes", gpu="0") == 500
    assert len(page.values("gpu_process_info")) == 3
    assert page.value("gpu_process_memory_used_bytes", pid="others") == 497 * 10 * 2**30


# XIDs


def xids(serve: Serve) -> dict[tuple[str, str], float]:
    return {
        (s.labels["gpu"], s.labels["xid"]): s.value
        for s in serve.page().samples
        if s.name == "gpu_xid_errors_total"
    }


def test_xids_from_the_driver(start: Start, scenario: Path) -> None:
    scenario.write_text(f"{GPUS}at 0s every 1s xid code=79 gpu=1\n")
    serve = start(*FAST, *NO_KERNEL_LOG)
    serve.wait(lambda: xids(serve).get(("1", "79"), 0) >= 2)
    page = serve.page()
    assert page.value("gpuglass_xid_source_info", source="nvml_events") == 1
    last = page.value("gpu_xid_last_timestamp_seconds", gpu="1", xid="79")
    assert last == pytest.approx(time.time(), abs=5)


def test_xids_from_the_kernel_outlive_their_gpu(
    start: Start, scenario: Path, tmp_path: Path
) -> None:
    log = tmp_path / "kmsg"
    os.mkfifo(log)
    writer = os.open(log, os.O_RDWR)
    scenario.write_text(f"gpus 2 preset=h200\ngpu 1 pci=0000:3b:00.0\n{GPUS[19:]}")
    # The driver tells of them too: one source at a time counts.
    play(scenario, scenario.read_text() + "at 0s every 1s xid code=79 gpu=1\n")
    serve = start(*FAST, "--path.kmsg", str(log))
    serve.wait_ready()
    for number in range(3):
        os.write(writer, b"3,1,%d,-;NVRM: Xid (PCI:0000:3b:00): 79, pid=1\n" % (number * 10**6))
    serve.wait(lambda: xids(serve) == {("1", "79"): 3})
    play(scenario, f"{scenario.read_text()}at 0s lost gpu=1\n")
    serve.wait(lambda: serve.page().value("gpu_up", gpu="1") == 0)
    assert xids(serve) == {("1", "79"): 3}
    assert serve.page().value("gpuglass_xid_source_info", source="kernel_log", why="") == 1
    os.close(writer)
