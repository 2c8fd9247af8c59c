"""A native install on a machine with systemd, from one without it on to its removal."""

import re
from collections.abc import Iterator

import pytest
from tests.e2e.clone import wait_for
from tests.e2e.containers.engine import Engine
from tests.e2e.containers.site import working_tree
from tests.e2e.containers.systemd import SystemdMachine
from tests.e2e.containers.test_exporter import STEADY, Sample, samples

PROGRAMS = ("victoria-metrics", "vmagent", "vmalert", "alertmanager", "keeper", "exporter")
INSTALL = ("--single-node",)
UNITS = {
    "gpuglass.target": "active",
    "gpuglass-kernel-log.socket": "active",
    **{f"gpuglass-{program}.service": "active" for program in PROGRAMS},
}
# What the exporter's unit lets a process do: an open that fails with ENXIO was let through to a
# driver that is not there, with EPERM or ENOENT it was not.
OPEN = """\
import errno, os
for path in ("/dev/nvidia0", "/dev/nvidiactl", "/dev/other", "/dev/kmsg"):
    try:
        os.close(os.open(path, os.O_RDWR))
        said = "opened"
    except OSError as error:
        said = errno.errorcode[error.errno]
    print("open", path, said, flush=True)
try:
    print("data", os.listdir("/root/a clone/.gpuglass/data"), flush=True)
except OSError as error:
    print("data", errno.errorcode[error.errno], flush=True)
print("home", os.listdir("/root"), flush=True)
"""
DROP_IN = "/etc/systemd/system/gpuglass-exporter.service.d/test.conf"


def everything(machine: SystemdMachine) -> set[str]:
    """All that lies on the machine's disk and is no log, cache or another package's record."""
    skip = r"\( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /var/log "
    skip += r"-o -path /root/.cache -o -path /opt/programs -o -path /dev -o -path /var/tmp "
    skip += r"-o -name __pycache__ \)"
    listing = machine.shell(rf"find / {skip} -prune -o -print")
    return set(listing.splitlines())


@pytest.fixture(scope="module")
def machine(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemdMachine]:
    """The machine with a clone, where nothing is installed."""
    made = SystemdMachine(engine, "native", tmp_path_factory.mktemp("native"))
    made.put_clone(working_tree())
    made.write("gpuglass.env", "GPUGLASS_GRAFANA=no\nGPUGLASS_SCRAPE_INTERVAL=1s\n")
    yield made


@pytest.fixture(scope="module")
def bare(machine: SystemdMachine) -> set[str]:
    return everything(machine)


def first_sample(machine: SystemdMachine) -> float:
    """When the oldest sample was taken."""
    oldest = 'tfirst_over_time(up{job="gpu"}[1h])'
    found = wait_for("a sample", lambda: machine.value(oldest))
    assert isinstance(found, float)
    return found


@pytest.fixture(scope="module")
def began(machine: SystemdMachine, bare: set[str]) -> float:
    """Since when there are data: those of an install that systemd had no part in."""
    hidden = "mount -t tmpfs none /run/systemd && exec ./setup.sh --single-node"
    machine.run("unshare", "--mount", "sh", "-c", hidden)
    assert machine.units() == {}
    return first_sample(machine)


@pytest.fixture(scope="module")
def installed(machine: SystemdMachine, began: float) -> SystemdMachine:
    machine.setup(*INSTALL)
    return machine


def test_systemd_takes_over_with_the_data(installed: SystemdMachine, began: float) -> None:
    assert installed.units() == UNITS
    assert "supervisord" not in installed.run("ps", "-eo", "args")
    assert first_sample(installed) == began
    owners = {
        installed.run("stat", "-c", "%U", f"/proc/{installed.property(program, 'MainPID')}").strip()
        for program in PROGRAMS
    }
    assert owners == {"gpuglass"}
    status = installed.setup("--status")
    assert set(PROGRAMS) == set(re.findall(r"^(\S+) RUNNING$", status, re.MULTILINE))


def test_another_install_is_refused_before_anything_is_made(installed: SystemdMachine) -> None:
    installed.shell("mkdir /other; tar -c --exclude=./.gpuglass . | tar -x -C /other")
    code, said = installed.try_run("sh", "-c", "cd /other && ./setup.sh --worker")
    where = f"{installed.folder}/.gpuglass"
    (line,) = said.splitlines()
    assert line.startswith(f"setup.sh: error: systemd runs another install, in {where}; remove it")
    assert code == 1
    assert installed.try_run("test", "-e", "/other/.gpuglass")[0] == 1
    installed.run("rm", "-r", "/other")


def test_units_are_without_fault(installed: SystemdMachine) -> None:
    units = installed.shell("ls /etc/systemd/system/gpuglass*.{target,service,socket}").split()
    assert len(units) == len(UNITS) + 1
    check = ("systemd-analyze", "verify", "--man=no", "--recursive-errors=no")
    assert installed.run(*check, *units) == ""


def test_units_are_hardened(installed: SystemdMachine) -> None:
    units = installed.shell("cd /etc/systemd/system && ls gpuglass-*.service").split()
    assert len(units) == len(PROGRAMS) + 1
    for unit in units:
        check = ("systemd-analyze", "security", "--offline=true", "--no-pager")
        said = installed.run(*check, f"/etc/systemd/system/{unit}")
        found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
        assert found and float(found[1]) <= 3.0, said
    # One part alone has a right that others have not.
    rights = installed.shell("grep -H '^AmbientCapabilities=.' /etc/systemd/system/gpuglass-*")
    assert rights.split(":") == [
        "/etc/systemd/system/gpuglass-kernel-log@.service",
        "AmbientCapabilities=CAP_SYSLOG\n",
    ]


def test_facts_of_the_host_are_those_outside_of_the_unit(installed: SystemdMachine) -> None:
    def of_host(page: str) -> dict[Sample, float]:
        return {sample: n for sample, n in samples(page).items() if sample[0].startswith("host_")}

    outside = of_host(installed.gpuglass("serve", "--once", "--log.level=error"))
    page = installed.ask("http://127.0.0.1:9400/metrics")
    assert page
    inside = of_host(page)
    assert "host_filesystem_size_bytes" in {name for name, _ in outside}
    assert inside.keys() == outside.keys()
    steady = [sample for sample in outside if STEADY.fullmatch(sample[0])]
    assert {sample: inside[sample] for sample in steady} == {s: outside[s] for s in steady}


def test_gpus_and_nothing_else_can_be_opened(installed: SystemdMachine) -> None:
    installed.shell(
        "mknod -m 666 /dev/nvidia0 c 195 0; mknod -m 666 /dev/nvidiactl c 195 255;"
        "mknod -m 666 /dev/other c 1 11"
    )
    installed.shell(f"cat >/open.py <<'END'\n{OPEN}END")
    installed.shell(
        f"mkdir -p {DROP_IN.rpartition('/')[0]}; cat >{DROP_IN} <<'END'\n"
        "[Service]\nExecStartPre=/usr/bin/python3 /open.py\nEND\n"
        "systemctl daemon-reload; systemctl restart gpuglass-exporter"
    )
    said = installed.run("journalctl", "-u", "gpuglass-exporter", "-o", "cat")
    lines = {line for line in said.splitlines() if line.startswith(("open ", "data ", "home "))}
    installed.shell(f"rm {DROP_IN} /open.py /dev/other; systemctl daemon-reload")
    assert lines == {
        "open /dev/nvidia0 ENXIO",
        "open /dev/nvidiactl ENXIO",
        "open /dev/other EPERM",
        "open /dev/kmsg EACCES",
        "data EACCES",
        "home ['a clone']",
    }


def test_the_kernel_log_is_read(installed: SystemdMachine) -> None:
    page = wait_for("the exporter", lambda: installed.ask("http://127.0.0.1:9400/metrics"))
    assert 'gpuglass_xid_source_info{node="native",source="kernel_log"} 1' in page


def test_xids_arrive(installed: SystemdMachine) -> None:
    installed.shell("umount /dev/kmsg 2>/dev/null || rm /dev/kmsg; mkfifo -m 644 /dev/kmsg")
    record = "3,7,1000000,-;NVRM: Xid (PCI:0000:3b:00): 79, pid=1, GPU has fallen off the bus."
    installed.shell(f"(exec 3<>/dev/kmsg; echo '{record}' >&3; sleep 600) >/dev/null 2>&1 &")
    installed.run("systemctl", "restart", "gpuglass-exporter")
    xid = 'gpu_xid_errors_total{xid="79"}'
    assert wait_for("the XID", lambda: installed.value(xid)) == 1
    installed.shell("pkill -x sleep; rm /dev/kmsg")


@pytest.mark.parametrize("program", ["exporter", "vmagent"])
def test_a_program_that_is_killed_comes_back(installed: SystemdMachine, program: str) -> None:
    before = installed.property(program, "MainPID")
    installed.run("kill", "-KILL", before)
    wait_for(
        "another process",
        lambda: (
            installed.property(program, "MainPID") not in ("0", before)
            and installed.property(program, "ActiveState") == "active"
        ),
    )
    assert installed.property(program, "NRestarts") == "1"


def test_all_comes_back_with_the_machine(installed: SystemdMachine, began: float) -> None:
    installed.reboot()
    wait_for("all programs", lambda: installed.units() == UNITS)
    assert first_sample(installed) == began
    now = 'up{job="gpu"} == 1 and timestamp(up{job="gpu"}) > time() - 5'
    wait_for("new samples", lambda: installed.query(now))


def test_an_upgrade_restarts_what_changed(installed: SystemdMachine, began: float) -> None:
    pids = {program: installed.property(program, "MainPID") for program in PROGRAMS}
    installed.shell("echo '# Another version.' >>exporter/gpuglass/__init__.py")
    installed.setup(*INSTALL)
    after = {program: installed.property(program, "MainPID") for program in PROGRAMS}
    assert {program for program in PROGRAMS if after[program] != pids[program]} == {
        "exporter",
        "keeper",
    }
    assert first_sample(installed) == began
    assert installed.setup(*INSTALL).count("nothing changed") == 1


def test_a_stop_lasts(installed: SystemdMachine) -> None:
    installed.setup("--stop")
    code, said = installed.try_run("./setup.sh", "--status")
    assert (code, "not running" in said) == (1, True)
    assert set(installed.units().values()) <= {"inactive"}
    assert installed.try_run("systemctl", "is-enabled", "gpuglass.target")[1].strip() == "disabled"


def test_a_role_without_some_programs_removes_their_units(installed: SystemdMachine) -> None:
    installed.gpuglass("enrol", "127.0.0.1", "--output", "/root/web.yml")
    said = installed.setup("--worker", "--tls", "/root/web.yml")
    installed.run("rm", "/root/web.yml")
    assert installed.units() == {
        unit: state
        for unit, state in UNITS.items()
        if unit.endswith((".target", ".socket")) or "exporter" in unit
    }
    # It has read a key that is its user's alone.
    assert "The exporter answers." in said
    assert "https://" in said
    # Root is told what others need a password for.
    assert " answers as native" in installed.gpuglass("doctor", "exporter")


def test_removal_keeps_the_data_and_then_nothing(installed: SystemdMachine, bare: set[str]) -> None:
    installed.setup("--uninstall")
    data = f"{installed.folder}/.gpuglass"
    left = everything(installed) - bare
    assert f"{data}/data/victoria-metrics/data" in left
    assert {path for path in left if not path.startswith(f"{data}/data/")} == {
        data,
        f"{data}/data",
        f"{data}/.gpuglass-install",
    }
    installed.setup("--uninstall", "--purge")
    assert everything(installed) == bare
    assert "gpuglass" not in installed.shell("cat /etc/passwd /etc/group")
    assert installed.units() == {}
