"""The machine with the GPUs: driver, NVML, permissions, what hides processes, the exporter."""

import os
import re
import stat

from gpuglass.catalogue import device, exporter
from gpuglass.doctor.install import Install, Sample
from gpuglass.doctor.model import BOTH, NODE, Finding, check, failed, ok, skipped, warning
from gpuglass.keeper.words import counted

_SEE_EXPORTER = "the exporter tells us nothing: see the check exporter"
_DEVICE = re.compile(r"nvidia(ctl|\d+)")
_HIDES = re.compile(r"(?:^|,)hidepid=(1|2|4|noaccess|invisible|ptraceable)(?:,|$)")
_GID = re.compile(r"(?:^|,)gid=(\d+)")
_SHOW_PROCESSES = (
    "give the exporter the group that may see processes, or: sudo mount -o remount,hidepid=0 /proc"
)
# What to do, by the reason that NVML or the supervisor of the probe gives.
_REMEDIES = {
    "library_not_found": "install the driver's library: sudo apt install libnvidia-ml1",
    "driver_not_loaded": "sudo modprobe nvidia, then nvidia-smi",
    "lib_rm_version_mismatch": "the driver was replaced while loaded: sudo reboot",
    "no_permission": "see the check permissions",
    "released": "gpuglass release --end",
    "silent": "nvidia-smi, sudo dmesg | grep -i nvrm; docs/runbooks/GPUDriverCallHangs.md",
}
_ANY_REMEDY = "nvidia-smi, sudo dmesg | grep -i nvrm; docs/runbooks/GPUDriverFailing.md"


@check("driver", "without the driver nothing is known of the GPUs", NODE)
def driver(install: Install) -> Finding:
    """Whether NVIDIA's driver is loaded where there are GPUs."""
    version, gpus = install.driver_version(), install.gpus_on_bus()
    if version is not None:
        return ok(f"driver {version} is loaded")
    if gpus:
        there = counted(gpus, "NVIDIA GPU")
        return failed(f"{there} on the PCI bus, and no driver is loaded", "sudo modprobe nvidia")
    return skipped("no NVIDIA GPU is on the PCI bus")


@check("nvml", "GPU series come through NVML; the host's alone are left without it", NODE)
def nvml(install: Install) -> Finding:
    """Whether the exporter can read the GPUs, and all of them."""
    if install.page is None:
        return skipped(_SEE_EXPORTER)
    failures = install.told(exporter.COLLECTOR_FAILURE.name, collector="nvml")
    if failures:
        return _nvml_failure(install, failures[0].labels["reason"])
    gpus = install.told(device.UP.name)
    down = [sample for sample in gpus if sample.value != 1]
    if down:
        names = ", ".join(sample.labels["gpu"] for sample in down)
        return failed(
            f"{len(down)} of {counted(len(gpus), 'GPU')} cannot be read: {names}",
            "nvidia-smi; docs/runbooks/GPULost.md",
        )
    return ok(f"{counted(len(gpus), 'GPU')} can be read")


def _nvml_failure(install: Install, reason: str) -> Finding:
    if reason in ("suspended", "starting"):
        return ok(f"the GPUs are not read now: {reason}")
    if reason == "library_not_found" and not install.gpus_on_bus():
        return skipped("no NVIDIA GPU, and no library of the driver")
    do = _REMEDIES.get(reason, _ANY_REMEDY)
    what = f"the exporter cannot read the GPUs: {reason}"
    return warning(what, do) if reason == "released" else failed(what, do)


@check("permissions", "who may not open the GPUs' device files cannot read the GPUs", NODE)
def permissions(install: Install) -> Finding:
    """Whether this user may open /dev/nvidia*."""
    folder = install.rootfs / "dev"
    files = sorted(file for file in folder.glob("nvidia*") if _DEVICE.fullmatch(file.name))
    if not files:
        return skipped("there are no /dev/nvidia* files")
    closed = [file for file in files if not os.access(file, os.R_OK | os.W_OK)]
    if closed:
        found = closed[0].stat()
        mode = stat.S_IMODE(found.st_mode)
        return failed(
            f"uid {os.geteuid()} may not open /dev/{closed[0].name} "
            f"(owner {found.st_uid}, group {found.st_gid}, mode {mode:04o})",
            f"add the user to the group {found.st_gid}, or: sudo chmod 0666 /dev/nvidia*",
        )
    return ok(f"uid {os.geteuid()} may open {counted(len(files), 'device file')}")


@check("hidepid", "hidden processes have no users, containers or jobs", NODE)
def hidepid(install: Install) -> Finding:
    """Whether the processes of other users can be seen: by the exporter, or else by the mount."""
    capability = install.told(exporter.OWNERS.name, part="process")
    if capability:
        return _seen_by_exporter(capability[0])
    options = _proc_options(install)
    if options is None:
        return skipped("/proc cannot be looked at")
    gid = _GID.search(options)
    may_see = os.geteuid() == 0 or (gid is not None and int(gid[1]) in os.getgroups())
    if _HIDES.search(options) and not may_see:
        return warning("/proc hides the processes of other users (hidepid)", _SHOW_PROCESSES)
    return ok("the processes of other users can be seen")


def _seen_by_exporter(sample: Sample) -> Finding:
    why = sample.labels.get("why", "")
    if sample.value == 1:
        return ok("the exporter sees the processes of other users")
    if why == "hidepid":
        return warning("the exporter sees no processes of others (hidepid)", _SHOW_PROCESSES)
    return warning(
        f"the exporter cannot tell whose the processes on GPUs are: {why}",
        "docs/operations.md, Who uses what",
    )


def _proc_options(install: Install) -> str | None:
    """How /proc is mounted."""
    try:
        lines = (install.procfs / "self/mounts").read_text().splitlines()
    except OSError:
        return None
    fields = [line.split() for line in lines]
    return next((f[3] for f in fields if len(f) > 3 and f[1:3] == ["/proc", "proc"]), None)


@check("container-runtime", "containers see no GPU without NVIDIA's runtime", NODE)
def container_runtime(install: Install) -> Finding:
    """Whether Docker, where it is, can hand GPUs to containers."""
    runtimes = install.docker_runtimes()
    if runtimes is None:
        return skipped("no Docker answers here")
    if '"nvidia"' in runtimes:
        return ok("Docker has the nvidia runtime")
    if not install.gpus_on_bus():
        return skipped("no NVIDIA GPU is on the PCI bus")
    return warning(
        "Docker has no nvidia runtime",
        "install the NVIDIA Container Toolkit, then: sudo nvidia-ctk runtime configure "
        "&& sudo systemctl restart docker",
    )


@check("exporter", "nothing is known of this machine while its exporter does not answer", NODE)
def answers(install: Install) -> Finding:
    """Whether the exporter answers, and reads all that it should."""
    if install.page is None and install.asks_for:
        return ok(
            f"it asks for {install.asks_for}; look as root or as its user, "
            "or from the monitoring host: gpuglass targets check"
        )
    if install.page is None:
        return failed(
            f"no exporter answers at {install.addresses.exporter}/metrics",
            "./setup.sh --status, and start what is down",
        )
    build = install.told(exporter.BUILD_INFO.name)
    if not build:
        return failed(
            f"what answers at {install.addresses.exporter} is no gpuglass",
            "end it, or give the exporter another port",
        )
    reasons = {
        sample.labels["collector"]: sample.labels["reason"]
        for sample in install.told(exporter.COLLECTOR_FAILURE.name)
        if sample.labels["collector"] != "nvml"
    }
    if reasons:
        told = ", ".join(f"{name} ({reason})" for name, reason in sorted(reasons.items()))
        return warning(f"it cannot read: {told}", "docs/runbooks/GPUCollectorFailing.md")
    labels = build[0].labels
    return ok(f"gpuglass {labels.get('version')} answers as {labels.get('node')}")


@check("clock", "with a wrong clock, times of XIDs and alerts are wrong", BOTH)
def clock(install: Install) -> Finding:
    """Whether something keeps this machine's clock right."""
    kept = install.is_clock_kept()
    if kept is None:
        return skipped("the kernel does not say whether the clock is kept")
    if not kept:
        return warning("nothing keeps this machine's clock right", "sudo timedatectl set-ntp true")
    return ok("the clock is kept right")
