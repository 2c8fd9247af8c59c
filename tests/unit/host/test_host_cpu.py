import os

import psutil
import pytest
from tests.unit.host.conftest import Build, Gather, Read

from gpuglass.host import Collector, Paths

SECONDS = "host_cpu_seconds_total"


def test_modes_are_disjoint_seconds(read: Read) -> None:
    facts = read("cpu")
    assert {key[1]: value for key, value in facts.items() if key[0] == SECONDS} == {
        "user": 12000.0,  # 1204310 ticks, 4310 of them a guest's
        "nice": 50.0,
        "system": 4021.2,
        "idle": 481230.9,
        "iowait": 204.12,
        "irq": 0.0,
        "softirq": 33.12,
        "steal": 0.77,
        "guest": 43.1,
        "guest_nice": 2.1,
    }


def test_cpus_and_boot_time(read: Read) -> None:
    facts = read("cpu")
    assert facts[("host_cpus",)] == 4
    assert facts[("host_boot_time_seconds",)] == 1735689600


def test_an_old_kernel_has_fewer_modes(machine: Paths, read: Read) -> None:
    (machine.procfs / "stat").write_text("cpu  100 200 300 400\ncpu0 100 200 300 400\n")
    assert read("cpu") == {
        (SECONDS, "user"): 1.0,
        (SECONDS, "nice"): 2.0,
        (SECONDS, "system"): 3.0,
        (SECONDS, "idle"): 4.0,
        ("host_cpus",): 1,
    }


def test_boot_time_on_the_second_line(machine: Paths, read: Read) -> None:
    (machine.procfs / "stat").write_text("cpu  1 2 3 4\nbtime 77\n")
    assert read("cpu")[("host_boot_time_seconds",)] == 77


@pytest.mark.parametrize("line", ["btime", "btime ", "btime soon", "xbtime 5"])
def test_a_broken_boot_time_is_absent(machine: Paths, read: Read, line: str) -> None:
    (machine.procfs / "stat").write_text(f"cpu  1 2 3 4\n{line}\n")
    facts = read("cpu")
    assert ("host_boot_time_seconds",) not in facts
    assert facts[(SECONDS, "idle")] == 0.04


@pytest.mark.parametrize("content", ["", "cpu0 1 2 3 4\n", "cpu  1 2 3\n", "cpu  1 2 x 4\n"])
def test_broken_stat_is_a_value_error_that_names_the_file(
    machine: Paths, read: Read, content: str
) -> None:
    (machine.procfs / "stat").write_text(content)
    with pytest.raises(ValueError, match="/stat: "):
        read("cpu")


def test_missing_stat_is_an_os_error(machine: Paths, read: Read) -> None:
    (machine.procfs / "stat").unlink()
    with pytest.raises(FileNotFoundError, match="stat"):
        read("cpu")


def idle(collector: Collector, facts: Gather, machine: Paths, ticks: int) -> float:
    (machine.procfs / "stat").write_text(f"cpu  1 2 3 {ticks}\ncpu0 1 2 3 {ticks}\n")
    return facts(collector.read())[(SECONDS, "idle")]


def test_a_small_step_back_is_held_until_it_is_made_up(
    machine: Paths, collector: Build, facts: Gather
) -> None:
    cpu = collector("cpu")
    readings = [idle(cpu, facts, machine, ticks) for ticks in (10000, 9990, 9995, 10001)]
    assert readings == [100.0, 100.0, 100.0, 100.01]


def test_a_large_step_back_is_a_new_count(machine: Paths, collector: Build, facts: Gather) -> None:
    cpu = collector("cpu")
    assert [idle(cpu, facts, machine, ticks) for ticks in (10000, 10)] == [100.0, 0.1]


def test_the_real_machine_agrees_with_psutil(real: Read) -> None:
    before = psutil.cpu_times()
    facts = real("cpu")
    after = psutil.cpu_times()
    assert before.system <= facts[(SECONDS, "system")] <= after.system
    user = facts[(SECONDS, "user")] + facts[(SECONDS, "guest")]
    assert before.user - 0.001 <= user <= after.user + 0.001
    assert facts[("host_cpus",)] == os.sysconf("SC_NPROCESSORS_ONLN")
    assert facts[("host_boot_time_seconds",)] == pytest.approx(psutil.boot_time(), abs=2)
