"""The checks of a machine with GPUs, each in both states."""

import json
import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.certificates import Authority
from tests.ports import free_port
from tests.serving import serving

from gpuglass.doctor import node
from gpuglass.doctor.install import Addresses, Install, is_clock_kept
from gpuglass.doctor.model import Finding, Status

PAGE = """\
gpuglass_build_info{node="n1",version="1.2.3",python_version="3.13.0"} 1
gpuglass_collector_success{node="n1",collector="nvml"} 1
gpuglass_owner_capability{node="n1",part="process"} 1
gpuglass_owner_capability{node="n1",part="user"} 1
gpu_up{node="n1",gpu="0",uuid="a"} 1
gpu_up{node="n1",gpu="1",uuid="b"} 1
"""
FAILURE = 'gpuglass_collector_failure_info{{node="n1",collector="{}",reason="{}"}} 1\n'


@pytest.fixture
def machine(tmp_path: Path) -> Install:
    """A machine with nothing on it, and no exporter."""
    nobody = Addresses(exporter=f"http://127.0.0.1:{free_port()}")
    (tmp_path / "dev").mkdir()
    return Install(
        nobody,
        procfs=tmp_path / "proc",
        sysfs=tmp_path / "sys",
        rootfs=tmp_path,
        docker_runtimes=lambda: None,
    )


@contextmanager
def exporter(machine: Install, page: str) -> Iterator[Install]:
    with serving({"/metrics": page}) as url:
        yield replace(machine, addresses=Addresses(exporter=url))


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def plug(machine: Install, vendor: str = "0x10de", class_: str = "0x030200") -> None:
    """A card on the PCI bus."""
    device = machine.sysfs / f"bus/pci/devices/0000:{len(list(machine.sysfs.glob('*/*/*/*')))}"
    put(device / "vendor", f"{vendor}\n")
    put(device / "class", f"{class_}\n")


def is_(status: Status, beginning: str, finding: Finding) -> bool:
    assert (finding.status, finding.what[: len(beginning)]) == (status, beginning)
    assert bool(finding.do) == (status in (Status.FAILED, Status.WARNING))
    return True


def test_driver(machine: Install) -> None:
    plug(machine, vendor="0x8086")
    plug(machine, class_="0x040300")  # a card's sound
    assert is_(Status.SKIPPED, "no NVIDIA GPU is on the PCI bus", node.driver(machine))
    plug(machine)
    assert is_(
        Status.FAILED,
        "1 NVIDIA GPU on the PCI bus, and no driver is loaded",
        node.driver(machine),
    )
    put(
        machine.procfs / "driver/nvidia/version",
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  595.80  Release Build\n"
        "GCC version: gcc version 12.2.0\n",
    )
    assert is_(Status.OK, "driver 595.80 is loaded", node.driver(machine))


def test_driver_of_windows(machine: Install) -> None:
    put(machine.rootfs / "dev/dxg", "")
    assert is_(Status.OK, "driver of Windows is loaded", node.driver(machine))


def test_nvml(machine: Install) -> None:
    assert is_(Status.SKIPPED, "the exporter tells us nothing", node.nvml(machine))
    with exporter(machine, PAGE) as install:
        assert is_(Status.OK, "2 GPUs can be read", node.nvml(install))
    with exporter(machine, PAGE.replace('"b"} 1', '"b"} 0')) as install:
        assert is_(Status.FAILED, "1 of 2 GPUs cannot be read: 1", node.nvml(install))


@pytest.mark.parametrize(
    ("reason", "status", "do"),
    [
        ("driver_not_loaded", Status.FAILED, "sudo modprobe nvidia"),
        ("lib_rm_version_mismatch", Status.FAILED, "the driver was replaced while loaded"),
        ("anything_else", Status.FAILED, "nvidia-smi"),
        ("released", Status.WARNING, "gpuglass release --end"),
        ("suspended", Status.OK, ""),
    ],
)
def test_nvml_by_reason(machine: Install, reason: str, status: Status, do: str) -> None:
    plug(machine)
    with exporter(machine, PAGE + FAILURE.format("nvml", reason)) as install:
        finding = node.nvml(install)
    assert finding.status is status and finding.do.startswith(do)
    assert reason in finding.what


def test_nvml_where_there_is_no_gpu(machine: Install) -> None:
    page = PAGE + FAILURE.format("nvml", "library_not_found")
    with exporter(machine, page) as install:
        assert is_(Status.SKIPPED, "no NVIDIA GPU, and no library", node.nvml(install))
        plug(machine)
        assert is_(Status.FAILED, "the exporter cannot read the GPUs", node.nvml(install))


def test_permissions(machine: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    put(machine.rootfs / "dev/nvidia-uvm", "")
    assert is_(Status.SKIPPED, "there are no /dev/nvidia* files", node.permissions(machine))
    for name in ("nvidia0", "nvidiactl"):
        put(machine.rootfs / "dev" / name, "")
    assert is_(Status.OK, f"uid {os.geteuid()} may open 2 device files", node.permissions(machine))
    (machine.rootfs / "dev/nvidia0").chmod(0o440)
    # Root may open anything, and tests may run as root.
    real = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: path.stat().st_mode & 0o200 and real(path, mode)
    )
    finding = node.permissions(machine)
    assert is_(Status.FAILED, f"uid {os.geteuid()} may not open /dev/nvidia0 (owner ", finding)
    assert "mode 0440" in finding.what


def test_hidepid_by_the_mount(machine: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "getgroups", lambda: [1000, 44])
    assert is_(Status.SKIPPED, "/proc cannot be looked at", node.hidepid(machine))

    def look(options: str) -> Finding:
        put(
            machine.procfs / "self/mounts",
            f"sysfs /sys sysfs rw 0 0\nproc /proc proc {options} 0 0\n",
        )
        return node.hidepid(machine)

    assert is_(Status.OK, "the processes of other users can be seen", look("rw,nosuid"))
    assert is_(Status.OK, "the processes", look("rw,hidepid=0"))
    assert is_(Status.OK, "the processes", look("rw,gid=44,hidepid=2"))
    assert is_(Status.WARNING, "/proc hides the processes", look("rw,hidepid=2"))
    assert is_(Status.WARNING, "/proc hides the processes", look("rw,gid=7,hidepid=invisible"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert is_(Status.OK, "the processes", look("rw,hidepid=2"))


def test_hidepid_as_the_exporter_sees_it(machine: Install) -> None:
    good = 'part="process"} 1'
    with exporter(machine, PAGE) as install:
        assert is_(Status.OK, "the exporter sees the processes", node.hidepid(install))
    with exporter(machine, PAGE.replace(good, 'part="process",why="hidepid"} 0')) as install:
        assert is_(Status.WARNING, "the exporter sees no processes", node.hidepid(install))
    other = 'part="process",why="foreign_pid_namespace"} 0'
    with exporter(machine, PAGE.replace(good, other)) as install:
        finding = node.hidepid(install)
    assert is_(Status.WARNING, "the exporter cannot tell whose", finding)
    assert finding.what.endswith("foreign_pid_namespace")


def test_container_runtime(machine: Install) -> None:
    def look(runtimes: dict[str, str] | None) -> Finding:
        told = None if runtimes is None else json.dumps(runtimes)
        return node.container_runtime(replace(machine, docker_runtimes=lambda: told))

    assert is_(Status.SKIPPED, "no Docker answers here", look(None))
    assert is_(Status.SKIPPED, "no NVIDIA GPU", look({"runc": "runc"}))
    plug(machine)
    assert is_(Status.WARNING, "Docker has no nvidia runtime", look({"runc": "runc"}))
    assert is_(Status.OK, "Docker has the nvidia runtime", look({"runc": "", "nvidia": ""}))


def test_exporter(machine: Install, tmp_path: Path) -> None:
    assert is_(Status.FAILED, "no exporter answers at http://127.0.0.1:", node.answers(machine))
    with exporter(machine, PAGE) as install:
        assert is_(Status.OK, "gpuglass 1.2.3 answers as n1", node.answers(install))
    pair = Authority(tmp_path / "tls").issue("here")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair.certificate, pair.key)
    for mode, version in (
        (ssl.CERT_NONE, ssl.TLSVersion.TLSv1_3),
        (ssl.CERT_REQUIRED, ssl.TLSVersion.TLSv1_3),
        (ssl.CERT_REQUIRED, ssl.TLSVersion.TLSv1_2),
    ):
        tls.verify_mode, tls.maximum_version = mode, version
        with serving({}, tls=tls) as url:
            install = replace(machine, addresses=Addresses(exporter=url))
            assert is_(Status.OK, "it asks for TLS; look as root", node.answers(install))
    with serving({}, password="secret") as url:
        install = replace(machine, addresses=Addresses(exporter=url))
        assert is_(Status.OK, "it asks for a password; look as root", node.answers(install))
    with serving({}) as url:
        install = replace(machine, addresses=Addresses(exporter=url))
        assert is_(Status.FAILED, "no exporter answers at http://127.0.0.1:", node.answers(install))
    with exporter(machine, "dcgm_up 1\n") as install:
        assert is_(Status.FAILED, "what answers at ", node.answers(install))
    with exporter(machine, PAGE + FAILURE.format("disk", "eacces")) as install:
        assert is_(Status.WARNING, "it cannot read: disk (eacces)", node.answers(install))


@pytest.mark.parametrize(
    ("kept", "status", "what"),
    [
        (True, Status.OK, "the clock is kept right"),
        (False, Status.WARNING, "nothing keeps this machine's clock right"),
        (None, Status.SKIPPED, "the kernel does not say"),
    ],
)
def test_clock(machine: Install, kept: bool | None, status: Status, what: str) -> None:
    assert is_(status, what, node.clock(replace(machine, is_clock_kept=lambda: kept)))


def test_the_kernel_says_whether_its_clock_is_kept() -> None:
    assert is_clock_kept() in (True, False)


def test_docker_is_asked_for_its_runtimes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def put_docker(script: str) -> None:
        put(tmp_path / "docker", f"#!/bin/sh\n{script}\n")
        (tmp_path / "docker").chmod(0o755)

    asked: Callable[[], str | None] = Install().docker_runtimes
    monkeypatch.setenv("PATH", str(tmp_path))
    assert asked() is None
    put_docker('[ "$1 $2" = "info --format" ] && echo \'{"nvidia": {}}\'')
    assert asked() == '{"nvidia": {}}'
    put_docker("echo cannot connect >&2; exit 1")
    assert asked() is None
