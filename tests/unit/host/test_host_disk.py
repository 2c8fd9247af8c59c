from pathlib import Path

import psutil
import pytest
from tests.unit.host.conftest import Facts, Read

from gpuglass.host import Paths


def devices(facts: Facts) -> set[str]:
    return {device for _, device in facts}


def line(device: str, reads: int = 1) -> str:
    return f" 8 0 {device} {reads} 0 16 2000 1 0 8 500 0 2500 2500\n"


def test_whole_disks_that_did_something(read: Read) -> None:
    assert devices(read("disk")) == {"sdb", "nvme0n1", "dm-0"}


def test_values_are_bytes_counts_and_seconds(read: Read) -> None:
    facts = read("disk")
    assert {metric: value for (metric, device), value in facts.items() if device == "sdb"} == {
        "host_disk_read_bytes_total": 9012344 * 512,
        "host_disk_written_bytes_total": 81203440 * 512,
        "host_disk_reads_total": 120344,
        "host_disk_writes_total": 450123,
        "host_disk_read_seconds_total": 80.123,
        "host_disk_write_seconds_total": 901.234,
        "host_disk_io_seconds_total": 402.112,
    }


@pytest.mark.parametrize(
    ("disk", "partition"),
    [
        ("sda", "sda1"),
        ("sdab", "sdab12"),
        ("nvme0n1", "nvme0n1p1"),
        ("mmcblk0", "mmcblk0p2"),
        ("md127", "md127p1"),
        ("cciss!c0d0", "cciss!c0d0p1"),
    ],
)
def test_a_partition_is_left_out_beside_its_disk(
    machine: Paths, read: Read, disk: str, partition: str
) -> None:
    (machine.procfs / "diskstats").write_text(line(disk) + line(partition))
    assert devices(read("disk")) == {disk}


@pytest.mark.parametrize(
    "names",
    [
        ("xvda1", "xvda2"),
        ("md1", "md12", "md127"),
        ("dm-1", "dm-10"),
        ("nbd1", "nbd11"),
        ("sda", "sdap1"),
    ],
)
def test_devices_that_only_look_like_partitions_stay(
    machine: Paths, read: Read, names: tuple[str, ...]
) -> None:
    (machine.procfs / "diskstats").write_text("".join(map(line, names)))
    assert devices(read("disk")) == set(names)


def test_a_broken_line_loses_only_itself(machine: Paths, read: Read) -> None:
    content = " 8 0 sda 1 2\n 8 16 sdb a b c d e f g h i j k\n\n" + line("sdc")
    (machine.procfs / "diskstats").write_text(content)
    assert devices(read("disk")) == {"sdc"}


def test_a_machine_without_disks_has_no_samples(machine: Paths, read: Read) -> None:
    (machine.procfs / "diskstats").write_text("")
    assert read("disk") == {}


def test_a_file_of_nonsense_is_a_value_error_that_names_it(machine: Paths, read: Read) -> None:
    (machine.procfs / "diskstats").write_text("nonsense\n")
    with pytest.raises(ValueError, match="/diskstats: "):
        read("disk")


def test_a_missing_file_is_an_os_error(machine: Paths, read: Read) -> None:
    (machine.procfs / "diskstats").unlink()
    with pytest.raises(FileNotFoundError, match="diskstats"):
        read("disk")


def test_the_real_machine_agrees_with_psutil(real: Read) -> None:
    if not Path("/proc/diskstats").exists():
        pytest.skip("this machine shows no disks")
    before = psutil.disk_io_counters(perdisk=True)
    facts = real("disk")
    after = psutil.disk_io_counters(perdisk=True)
    for device in devices(facts):
        read_bytes = facts[("host_disk_read_bytes_total", device)]
        assert before[device].read_bytes <= read_bytes <= after[device].read_bytes
