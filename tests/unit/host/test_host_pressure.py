import pytest
from tests.unit.host.conftest import Read

from gpuglass.host import Paths

FIXTURE = {
    ("host_pressure_cpu_waiting_seconds_total",): 1.567453,
    ("host_pressure_io_waiting_seconds_total",): 91.829042,
    ("host_pressure_io_stalled_seconds_total",): 81.794688,
    ("host_pressure_memory_waiting_seconds_total",): 2.5,
    ("host_pressure_memory_stalled_seconds_total",): 1.25,
    ("host_pressure_irq_stalled_seconds_total",): 0.340012,
}


def test_totals_are_seconds_and_the_cpu_has_no_stall(read: Read) -> None:
    assert read("pressure") == FIXTURE


def test_a_kernel_without_pressure_has_no_samples(machine: Paths, read: Read) -> None:
    (machine.procfs / "pressure").rename(machine.procfs / "gone")
    assert read("pressure") == {}


def test_a_kernel_without_irq_pressure_has_the_others(machine: Paths, read: Read) -> None:
    (machine.procfs / "pressure/irq").unlink()
    assert len(read("pressure")) == len(FIXTURE) - 1


def test_a_missing_line_loses_only_itself(machine: Paths, read: Read) -> None:
    (machine.procfs / "pressure/io").write_text("some avg10=0.00 total=9000000\nfull avg10=0\n")
    facts = read("pressure")
    assert facts[("host_pressure_io_waiting_seconds_total",)] == 9.0
    assert ("host_pressure_io_stalled_seconds_total",) not in facts


@pytest.mark.parametrize("content", ["", "some avg10=0.00 total=-4\n", "none total=4\n"])
def test_a_broken_file_is_a_value_error_that_names_it(
    machine: Paths, read: Read, content: str
) -> None:
    (machine.procfs / "pressure/memory").write_text(content)
    with pytest.raises(ValueError, match="pressure/memory: "):
        read("pressure")
