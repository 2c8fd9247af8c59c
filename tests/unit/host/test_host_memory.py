import os

import psutil
import pytest
from tests.unit.host.conftest import Read

from gpuglass.host import Paths


def test_the_fixture_machine(read: Read) -> None:
    page = os.sysconf("SC_PAGE_SIZE")
    assert read("memory") == {
        ("host_memory_total_bytes",): 65780012 * 1024,
        ("host_memory_available_bytes",): 48210044 * 1024,
        ("host_memory_free_bytes",): 12034560 * 1024,
        ("host_memory_buffers_bytes",): 802312 * 1024,
        ("host_memory_cached_bytes",): 34120988 * 1024,
        ("host_memory_shared_bytes",): 1204332 * 1024,
        ("host_swap_total_bytes",): 8388604 * 1024,
        ("host_swap_free_bytes",): 8126460 * 1024,
        ("host_swap_in_bytes_total",): 1024 * page,
        ("host_swap_out_bytes_total",): 66560 * page,
        ("host_oom_kills_total",): 3,
    }


def test_a_broken_line_loses_only_itself(machine: Paths, read: Read) -> None:
    (machine.procfs / "meminfo").write_text(
        "MemTotal: 8 kB\nMemFree: lots kB\nCached:\nBuffers: -3 kB\n"
    )
    (machine.procfs / "vmstat").write_text("pswpin\npswpout x\noom_kill 0\n")
    assert read("memory") == {
        ("host_memory_total_bytes",): 8192,
        ("host_oom_kills_total",): 0,
    }


def test_without_vmstat_memory_stays(machine: Paths, read: Read) -> None:
    (machine.procfs / "vmstat").unlink()
    facts = read("memory")
    assert ("host_memory_total_bytes",) in facts
    assert ("host_oom_kills_total",) not in facts


@pytest.mark.parametrize("content", ["", "nothing of the kind\n"])
def test_broken_meminfo_is_a_value_error_that_names_the_file(
    machine: Paths, read: Read, content: str
) -> None:
    (machine.procfs / "meminfo").write_text(content)
    with pytest.raises(ValueError, match="/meminfo: "):
        read("memory")


def test_missing_meminfo_is_an_os_error(machine: Paths, read: Read) -> None:
    (machine.procfs / "meminfo").unlink()
    with pytest.raises(FileNotFoundError, match="meminfo"):
        read("memory")


def test_the_real_machine_agrees_with_psutil(real: Read) -> None:
    facts = real("memory")
    assert facts[("host_memory_total_bytes",)] == psutil.virtual_memory().total
    assert facts[("host_swap_total_bytes",)] == psutil.swap_memory().total
    assert 0 < facts[("host_memory_available_bytes",)] <= facts[("host_memory_total_bytes",)]
