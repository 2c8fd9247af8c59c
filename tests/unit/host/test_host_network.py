from pathlib import Path

import psutil
import pytest
from tests.unit.host.conftest import Facts, Read

from gpuglass.host import Paths
from gpuglass.host.network import NetworkCollector, ignored

HEADER = "Inter-|   Receive\n face |bytes\n"


def devices(facts: Facts) -> set[str]:
    return {device for _, device in facts}


def test_devices_of_process_1_without_loopback_and_containers(read: Read) -> None:
    assert devices(read("network")) == {"eth0", "eth1", "ib0", "wg0"}


def test_values_come_from_their_columns(machine: Paths, read: Read) -> None:
    numbers = " ".join(map(str, range(1, 17)))
    (machine.procfs / "1/net/dev").write_text(f"{HEADER} eth0: {numbers}\n")
    assert read("network") == {
        ("host_network_receive_bytes_total", "eth0"): 1,
        ("host_network_receive_packets_total", "eth0"): 2,
        ("host_network_receive_errors_total", "eth0"): 3,
        ("host_network_receive_drops_total", "eth0"): 4,
        ("host_network_transmit_bytes_total", "eth0"): 9,
        ("host_network_transmit_packets_total", "eth0"): 10,
        ("host_network_transmit_errors_total", "eth0"): 11,
        ("host_network_transmit_drops_total", "eth0"): 12,
    }


def test_64_bit_counters_stay_whole(read: Read) -> None:
    assert read("network")[("host_network_receive_bytes_total", "ib0")] == 81234567890123


@pytest.mark.parametrize(
    "device", ["lo", "veth12ab", "cali0a1b2c", "lxc9f8e7d6c5b4a", "vnet3", "tap1a2b3c4d-5e"]
)
def test_links_of_containers_are_ignored(device: str) -> None:
    assert ignored(device)


@pytest.mark.parametrize(
    "device", ["eth0", "lo0", "enp1s0f0np0", "ib0", "bond0", "br0", "lxcbr0", "tap0", "docker0"]
)
def test_devices_of_the_machine_are_not(device: str) -> None:
    assert not ignored(device)


def test_without_process_1_the_own_network_is_read(machine: Paths, read: Read) -> None:
    (machine.procfs / "1/net/dev").unlink()
    facts = read("network")
    assert devices(facts) == {"eth0"}
    assert facts[("host_network_receive_bytes_total", "eth0")] == 4096


def test_a_broken_line_loses_only_itself(machine: Paths, read: Read) -> None:
    good = "0 " * 16
    content = f"{HEADER}eth0: 1 2 3\neth1: {'x ' * 16}\nno colon {good}\n\neth2:{good}\n"
    (machine.procfs / "1/net/dev").write_text(content)
    assert devices(read("network")) == {"eth2"}


def test_a_machine_with_nothing_but_loopback_is_no_failure(machine: Paths, read: Read) -> None:
    (machine.procfs / "1/net/dev").write_text(f"{HEADER}    lo: {'0 ' * 16}\n")
    assert read("network") == {}


@pytest.mark.parametrize("content", ["", HEADER, HEADER + "nonsense\n"])
def test_a_file_without_devices_is_a_value_error_that_names_it(
    machine: Paths, read: Read, content: str
) -> None:
    (machine.procfs / "1/net/dev").write_text(content)
    with pytest.raises(ValueError, match="net/dev: "):
        read("network")


def test_missing_files_are_an_os_error(machine: Paths, read: Read) -> None:
    (machine.procfs / "1/net/dev").unlink()
    (machine.procfs / "net/dev").unlink()
    with pytest.raises(FileNotFoundError, match="net/dev"):
        read("network")


def test_the_machines_own_proc_is_read_as_the_exporter_sees_it(
    monkeypatch: pytest.MonkeyPatch, machine: Paths
) -> None:
    seen: list[str] = []

    def read_text(path: Path, **_: object) -> str:
        seen.append(str(path))
        return f"{HEADER}lo:{'0 ' * 16}"

    monkeypatch.setattr(Path, "read_text", read_text)
    NetworkCollector(type(machine)()).read()
    assert seen == ["/proc/net/dev"]


def test_the_real_machine_agrees_with_psutil(real: Read) -> None:
    before = psutil.net_io_counters(pernic=True)
    facts = real("network")
    after = psutil.net_io_counters(pernic=True)
    assert devices(facts) == {device for device in after if not ignored(device)}
    for device in devices(facts):
        sent = facts[("host_network_transmit_bytes_total", device)]
        assert before[device].bytes_sent <= sent <= after[device].bytes_sent


def test_links_of_the_fixture_machine(read: Read) -> None:
    assert read("link") == {
        ("host_network_up", "eth0"): 1,
        ("host_network_speed_bytes_per_second", "eth0"): 25e9 / 8,
        ("host_network_up", "ib0"): 1,
        ("host_network_speed_bytes_per_second", "ib0"): 400e9 / 8,
        ("host_network_up", "eth1"): 0,
    }


@pytest.mark.parametrize("speed", ["-1", "0", "4294967295", "", "fast"])
def test_an_unknown_speed_is_absent(machine: Paths, read: Read, speed: str) -> None:
    (machine.sysfs / "class/net/eth0/speed").write_text(speed)
    assert ("host_network_speed_bytes_per_second", "eth0") not in read("link")


def test_what_is_no_device_has_no_samples(machine: Paths, read: Read) -> None:
    before = read("link")
    (machine.sysfs / "class/net/bonding_masters").write_text("bond0\n")
    assert read("link") == before


def test_a_missing_sysfs_is_an_os_error(machine: Paths, read: Read) -> None:
    (machine.sysfs / "class").rename(machine.sysfs / "gone")
    with pytest.raises(FileNotFoundError, match="class/net"):
        read("link")


def test_links_of_the_real_machine_agree_with_psutil(real: Read) -> None:
    facts = real("link")
    for (metric, device), value in facts.items():
        if metric == "host_network_up":
            assert value == (Path("/sys/class/net", device, "operstate").read_text() == "up\n")
    assert devices(facts) <= set(psutil.net_if_stats())
