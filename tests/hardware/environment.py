"""Where this runs: driver, kernel, Python, GPUs, and what `nvidia-smi -q -x` says of them."""

import ctypes
import os
import platform
import shutil
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tests.hardware import commands
from tests.hardware.job import Card, Job, Json, Steps, private

from gpuglass.probe.nvml import NvmlError

_SMI_SECONDS = 30.0


def steps(job: Job) -> Steps:
    """The machine, the driver, each GPU, nvidia-smi."""
    yield "machine", _machine
    yield "driver", partial(_driver, job)
    for card in job.cards:
        yield card.label, partial(_card, job, card)
    yield "nvidia-smi", partial(_nvidia_smi, job)


def _machine() -> Json:
    nodes = sorted(Path("/dev").glob("nvidia*"))
    return {
        "kernel": platform.release(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "root": os.geteuid() == 0,
        "container": Path("/.dockerenv").exists() or Path("/run/.containerenv").exists(),
        "packages": {
            name: _version(name)
            for name in ("nvidia-ml-py", "psutil", "aiohttp", "click", "msgspec", "isal", "PyYAML")
        },
        "devices": {str(node): oct(node.stat().st_mode & 0o777) for node in nodes},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _driver(job: Job) -> Json:
    library = job.library
    cuda = ctypes.c_int()
    found: dict[str, Json] = {}
    for name, symbol in (
        ("driver", "nvmlSystemGetDriverVersion"),
        ("nvml", "nvmlSystemGetNVMLVersion"),
    ):
        try:
            found[name] = library.text(symbol)
        except NvmlError as error:
            found[name] = error.reason
    for symbol in ("nvmlSystemGetCudaDriverVersion_v2", "nvmlSystemGetCudaDriverVersion"):
        try:
            library.call(symbol, ctypes.byref(cuda))
            found[symbol] = cuda.value
        except NvmlError as error:
            found[symbol] = error.reason
    for name in ("version", "params"):
        path = Path("/proc/driver/nvidia", name)
        found[str(path)] = path.read_text().splitlines() if path.exists() else "missing"
    return found


def _card(job: Job, card: Card) -> Json:
    library = job.library
    found: dict[str, Json] = {"name": card.name}
    for name, kind, symbol in (
        ("uuid", "uuid", "nvmlDeviceGetUUID"),
        ("serial", "serial", "nvmlDeviceGetSerial"),
        ("vbios", "", "nvmlDeviceGetVbiosVersion"),
        ("part_number", "", "nvmlDeviceGetBoardPartNumber"),
    ):
        try:
            text = library.text(symbol, card.handle)
            found[name] = private(kind, text) if kind else text
        except NvmlError as error:
            found[name] = error.reason
    for name, symbol, words in (
        ("architecture", "nvmlDeviceGetArchitecture", 1),
        ("persistence", "nvmlDeviceGetPersistenceMode", 1),
        ("mig", "nvmlDeviceGetMigMode", 2),
        ("ecc", "nvmlDeviceGetEccMode", 2),
        ("virtualization", "nvmlDeviceGetVirtualizationMode", 1),
    ):
        outputs = [ctypes.c_uint() for _ in range(words)]
        try:
            library.call(symbol, card.handle, *map(ctypes.byref, outputs))
            found[name] = [output.value for output in outputs]
        except NvmlError as error:
            found[name] = error.reason
    return found


def _nvidia_smi(job: Job) -> Json:
    if not shutil.which("nvidia-smi"):
        return "not there"
    done = commands.run(["nvidia-smi", "-q", "-x"], _SMI_SECONDS)
    job.file("nvidia-smi.xml", done.output)
    return {"status": done.status, "error": done.log[-500:]}
