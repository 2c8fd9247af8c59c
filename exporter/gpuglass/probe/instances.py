"""The MIG instances that a card is cut into."""

import ctypes
from typing import NamedTuple

import pynvml

from gpuglass.probe.group import raise_if_fatal
from gpuglass.probe.nvml import Handle, Library, NvmlError

# Why there are none, where nothing failed.
OFF, EMPTY = "mig_off", "no_mig_instances"


class Place(NamedTuple):
    """Where an instance was found. One that is made anew has another UUID, or at least a handle."""

    handle: int
    uuid: str


class Instance(NamedTuple):
    """An instance, and what it is called.

    Attributes:
        place: Where it was found.
        gpu_instance: The number of its GPU instance.
        compute_instance: The number of the compute instance in it.
        profile: Its size, such as ``1g.18gb``.
    """

    place: Place
    gpu_instance: int
    compute_instance: int
    profile: str


class Cut(NamedTuple):
    """How a card is cut.

    Attributes:
        places: The instances that there are.
        why: Why there are none; empty where there are.
    """

    places: list[Place]
    why: str


def mode(library: Library, device: Handle) -> bool:
    """Whether the card is in MIG mode.

    Raises:
        NvmlError: It has no such mode (``not_supported``), or does not answer.
    """
    current, pending = ctypes.c_uint(), ctypes.c_uint()
    library.call("nvmlDeviceGetMigMode", device, ctypes.byref(current), ctypes.byref(pending))
    return bool(current.value == pynvml.NVML_DEVICE_MIG_ENABLE)


def cut(library: Library, device: Handle) -> Cut:
    """How the card is cut now.

    Raises:
        NvmlError: It has no MIG mode (``not_supported``), or does not answer.
    """
    if not mode(library, device):
        return Cut([], OFF)
    places: list[Place] = []
    why = EMPTY
    for index in range(library.number("nvmlDeviceGetMaxMigDeviceCount", device)):
        handle = Handle()
        try:
            library.call(
                "nvmlDeviceGetMigDeviceHandleByIndex",
                device,
                ctypes.c_uint(index),
                ctypes.byref(handle),
            )
        except NvmlError as error:
            raise_if_fatal(error)
            # Indexes have holes where instances were.
            if error.code != pynvml.NVML_ERROR_NOT_FOUND:
                why = error.reason
            continue
        try:
            places.append(Place(handle.value or 0, library.text("nvmlDeviceGetUUID", handle)))
        except NvmlError as error:
            why = error.reason
    return Cut(places, "" if places else why)


def changed(library: Library, device: Handle, before: Cut) -> bool:
    """Whether the card is cut in another way by now; no answer is no news.

    Raises:
        NvmlError: The GPU is gone, or NVML has to be started again.
    """
    try:
        return cut(library, device) != before
    except NvmlError as error:
        raise_if_fatal(error)
        return False


def describe(library: Library, place: Place) -> Instance | None:
    """What the instance is; ``None`` if it is gone already."""
    handle = Handle(place.handle)
    try:
        gpu_instance = library.number("nvmlDeviceGetGpuInstanceId", handle)
        compute_instance = library.number("nvmlDeviceGetComputeInstanceId", handle)
        name = library.text("nvmlDeviceGetName", handle)
    except NvmlError:
        return None
    return Instance(place, gpu_instance, compute_instance, name.partition(" MIG ")[2])
