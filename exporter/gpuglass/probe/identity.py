"""What the driver and each card are: read once."""

import ctypes
from collections.abc import Callable

import pynvml

from gpuglass.probe import frames
from gpuglass.probe.nvml import PROCESS_STALE, Handle, Library, NvmlError

_ARCHITECTURES = {
    pynvml.NVML_DEVICE_ARCH_KEPLER: "kepler",
    pynvml.NVML_DEVICE_ARCH_MAXWELL: "maxwell",
    pynvml.NVML_DEVICE_ARCH_PASCAL: "pascal",
    pynvml.NVML_DEVICE_ARCH_VOLTA: "volta",
    pynvml.NVML_DEVICE_ARCH_TURING: "turing",
    pynvml.NVML_DEVICE_ARCH_AMPERE: "ampere",
    pynvml.NVML_DEVICE_ARCH_ADA: "ada",
    pynvml.NVML_DEVICE_ARCH_HOPPER: "hopper",
    pynvml.NVML_DEVICE_ARCH_BLACKWELL: "blackwell",
}


def driver(library: Library) -> frames.Driver:
    """The versions of the driver, and how many GPUs it lists.

    Raises:
        NvmlError: The GPUs cannot be counted.
    """
    return frames.Driver(
        driver_version=_or_empty(lambda: library.text("nvmlSystemGetDriverVersion")),
        nvml_version=_or_empty(lambda: library.text("nvmlSystemGetNVMLVersion")),
        cuda_version=_or_empty(lambda: _cuda_version(library)),
        devices=library.number("nvmlDeviceGetCount_v2"),
    )


def uuid(library: Library, device: Handle) -> str:
    """The identity of a card.

    Raises:
        NvmlError: It cannot be read.
    """
    return library.text("nvmlDeviceGetUUID", device)


def info(library: Library, device: Handle) -> dict[str, str]:
    """The labels of ``gpu_info`` after ``gpu`` and ``uuid``; empty where the card has none."""

    def text(symbol: str) -> str:
        return _or_empty(lambda: library.text(symbol, device))

    return {
        "name": text("nvmlDeviceGetName"),
        "serial": text("nvmlDeviceGetSerial"),
        "part_number": text("nvmlDeviceGetBoardPartNumber"),
        "pci_bus_id": _or_empty(lambda: _pci_bus_id(library, device)),
        "minor_number": _or_empty(lambda: str(library.number("nvmlDeviceGetMinorNumber", device))),
        "architecture": _or_empty(lambda: _architecture(library, device)),
        "compute_capability": _or_empty(lambda: _compute_capability(library, device)),
        "vbios_version": text("nvmlDeviceGetVbiosVersion"),
        "driver_version": _or_empty(lambda: library.text("nvmlSystemGetDriverVersion")),
    }


def _or_empty(read: Callable[[], str]) -> str:
    try:
        return read()
    except NvmlError as error:
        if error.code in PROCESS_STALE:
            raise
        return ""


def _cuda_version(library: Library) -> str:
    """1000 x major + 10 x minor. The newer call asks libcuda.so.1, which may be missing."""
    version = ctypes.c_int()
    try:
        library.call("nvmlSystemGetCudaDriverVersion_v2", ctypes.byref(version))
    except NvmlError:
        library.call("nvmlSystemGetCudaDriverVersion", ctypes.byref(version))
    return f"{version.value // 1000}.{version.value % 1000 // 10}"


def _pci_bus_id(library: Library, device: Handle) -> str:
    """As sysfs and the kernel log write it: a domain of four digits, where NVML has eight."""
    pci = pynvml.nvmlPciInfo_t()
    library.call("nvmlDeviceGetPciInfo_v3", device, ctypes.byref(pci))
    return f"{pci.domain:04x}:{pci.bus:02x}:{pci.device:02x}.0"


def _architecture(library: Library, device: Handle) -> str:
    number = library.number("nvmlDeviceGetArchitecture", device)
    return _ARCHITECTURES.get(number, str(number))


def _compute_capability(library: Library, device: Handle) -> str:
    major, minor = ctypes.c_int(), ctypes.c_int()
    library.call(
        "nvmlDeviceGetCudaComputeCapability", device, ctypes.byref(major), ctypes.byref(minor)
    )
    return f"{major.value}.{minor.value}"
