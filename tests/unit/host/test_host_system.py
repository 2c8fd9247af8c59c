import os
import time

import pytest
from tests.unit.host.conftest import Build, Facts, Gather, Read

from gpuglass.host import Paths

INFO = ("host_info", "Ubuntu 24.04.1 LTS", "6.8.0-45-generic", "x86_64")


def info(facts: Facts) -> tuple[str, ...]:
    return next(key for key in facts if key[0] == "host_info")


def test_the_fixture_machine(read: Read) -> None:
    assert read("system") == {
        ("host_load1",): 1.25,
        ("host_load5",): 2.5,
        ("host_load15",): 3.75,
        ("host_uptime_seconds",): 123456.78,
        ("host_file_descriptors_allocated",): 4416,
        ("host_file_descriptors_max",): 2.0**63,
        INFO: 1,
    }


@pytest.mark.parametrize(
    ("file", "content", "lost"),
    [
        ("loadavg", "1.0 2.0\n", "host_load1"),
        ("loadavg", "a b c\n", "host_load15"),
        ("uptime", "", "host_uptime_seconds"),
        ("sys/fs/file-nr", "12\n", "host_file_descriptors_allocated"),
    ],
)
def test_a_broken_file_loses_only_its_own(
    machine: Paths, read: Read, file: str, content: str, lost: str
) -> None:
    before = read("system")
    (machine.procfs / file).write_text(content)
    after = read("system")
    assert (lost,) not in after
    assert INFO in after
    assert after.items() < before.items()


def test_a_missing_file_loses_only_its_own(machine: Paths, read: Read) -> None:
    (machine.procfs / "uptime").unlink()
    facts = read("system")
    assert ("host_uptime_seconds",) not in facts
    assert ("host_load1",) in facts


def test_when_all_is_missing_it_is_an_os_error(machine: Paths, read: Read) -> None:
    machine.procfs.rename(machine.procfs.with_name("gone"))
    with pytest.raises(FileNotFoundError, match="loadavg"):
        read("system")


def test_without_os_release_the_system_is_the_kernels_name(machine: Paths, read: Read) -> None:
    (machine.rootfs / "etc/os-release").unlink()
    assert info(read("system"))[1] == "Linux"


def test_os_release_of_the_vendor_is_the_second_choice(machine: Paths, read: Read) -> None:
    (machine.rootfs / "etc/os-release").unlink()
    (machine.rootfs / "usr/lib").mkdir(parents=True)
    (machine.rootfs / "usr/lib/os-release").write_text("ID=x\nPRETTY_NAME='Some OS 1'\n")
    assert info(read("system"))[1] == "Some OS 1"


@pytest.mark.parametrize(
    ("value", "name"),
    [("Plain", "Plain"), ('"A \\"B\\""', 'A "B"'), ("'C D'", "C D"), ('"open', "Linux")],
)
def test_os_release_is_unquoted(machine: Paths, read: Read, value: str, name: str) -> None:
    (machine.rootfs / "etc/os-release").write_text(f"PRETTY_NAME={value}\n")
    assert info(read("system"))[1] == name


def test_an_upgrade_changes_the_info(machine: Paths, collector: Build, facts: Gather) -> None:
    system = collector("system")
    assert info(facts(system.read())) == INFO
    release = machine.rootfs / "etc/os-release"
    release.write_text('PRETTY_NAME="Ubuntu 24.04.2 LTS"\n')
    os.utime(release, ns=(1, 1))
    assert info(facts(system.read()))[1] == "Ubuntu 24.04.2 LTS"


def test_before_linux_6_1_the_architecture_is_unames(machine: Paths, read: Read) -> None:
    (machine.procfs / "sys/kernel/arch").unlink()
    assert info(read("system"))[3] == os.uname().machine


def test_the_real_machine_agrees_with_the_system(real: Read) -> None:
    facts = real("system")
    assert info(facts)[2:] == (os.uname().release, os.uname().machine)
    assert facts[("host_uptime_seconds",)] == pytest.approx(
        time.clock_gettime(time.CLOCK_BOOTTIME), abs=60
    )
    assert facts[("host_load15",)] == pytest.approx(os.getloadavg()[2], abs=5)
    assert facts[("host_file_descriptors_allocated",)] > 0
