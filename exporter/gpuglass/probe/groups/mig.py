"""The MIG instances of a card, which come and go while it is watched."""

import contextlib
import ctypes
from typing import NamedTuple

import pynvml

from gpuglass.catalogue import mig as metrics
from gpuglass.catalogue.model import Metric
from gpuglass.probe import calls, monitor
from gpuglass.probe.calls import Call, Make, Values
from gpuglass.probe.frames import Column
from gpuglass.probe.group import Card, Fact, Found, Group, column, raise_if_fatal
from gpuglass.probe.monitor import Measure, Monitor
from gpuglass.probe.nvml import PERMANENT, Handle, Library, NvmlError

_OFF, _EMPTY = "mig_off", "no_mig_instances"
_PIPES = {
    pynvml.NVML_GPM_METRIC_ANY_TENSOR_UTIL: "tensor",
    pynvml.NVML_GPM_METRIC_FP64_UTIL: "fp64",
    pynvml.NVML_GPM_METRIC_FP32_UTIL: "fp32",
    pynvml.NVML_GPM_METRIC_FP16_UTIL: "fp16",
}


class _Place(NamedTuple):
    """Where an instance was found. One that is made anew has another UUID, or at least a handle."""

    handle: int
    uuid: str


class _Instance(NamedTuple):
    """An instance, and the labels of its metrics."""

    place: _Place
    gpu_instance: int
    compute_instance: str
    profile: str

    @property
    def labels(self) -> tuple[str, str, str]:
        return str(self.gpu_instance), self.compute_instance, self.profile

    @property
    def gpu_labels(self) -> tuple[str, str]:
        """Without the compute slices, as in 1c.3g.71gb: those are not of the GPU instance."""
        slices, _, rest = self.profile.partition(".")
        return str(self.gpu_instance), rest if slices.endswith("c") else self.profile


class _Mortal(Call):
    """A call on an instance, whose end is no misfortune.

    What a driver answers to a dead handle is not written down. Whether the GPU itself is well, the
    other groups see.

    Raises:
        NvmlError: The call will never give anything.
    """

    def __init__(self, call: Call) -> None:
        super().__init__(call.symbol, None, (), call.columns, list)
        self._call = call
        try:
            call.read()
        except NvmlError as error:
            if error.code in PERMANENT:
                raise

    def read(self) -> Values:
        try:
            return self._call.read()
        except NvmlError:
            return [None] * len(self.columns)


def _instances(card: Card) -> Found:
    if not _mode(card):
        return Found(refused=_OFF, outdated=lambda: _mode(card))
    places, why = _places(card)
    instances = [found for place in places if (found := _describe(card.library, place))]
    facts = [fact for instance in instances for fact in _facts(instance)]
    facts += _monitored(card, instances)
    return Found(
        facts=facts,
        refused="" if instances else why,
        outdated=lambda: not _mode(card) or _places(card)[0] != places,
    )


def _mode(card: Card) -> bool:
    mode, pending = ctypes.c_uint(), ctypes.c_uint()
    card.library.call(
        "nvmlDeviceGetMigMode", card.device, ctypes.byref(mode), ctypes.byref(pending)
    )
    return bool(mode.value == pynvml.NVML_DEVICE_MIG_ENABLE)


def _places(card: Card) -> tuple[list[_Place], str]:
    """The instances that there are; and why there are none, if so."""
    library, device = card.library, card.device
    places: list[_Place] = []
    why = _EMPTY
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
            if error.code != pynvml.NVML_ERROR_NOT_FOUND:
                why = error.reason
            continue
        try:
            places.append(_Place(handle.value or 0, library.text("nvmlDeviceGetUUID", handle)))
        except NvmlError as error:
            why = error.reason
    return places, why


def _describe(library: Library, place: _Place) -> _Instance | None:
    """What the instance is; ``None`` if it is gone already."""
    handle = Handle(place.handle)
    try:
        gpu_instance = library.number("nvmlDeviceGetGpuInstanceId", handle)
        compute_instance = library.number("nvmlDeviceGetComputeInstanceId", handle)
        name = library.text("nvmlDeviceGetName", handle)
    except NvmlError:
        return None
    return _Instance(place, gpu_instance, str(compute_instance), name.partition(" MIG ")[2])


def _facts(instance: _Instance) -> list[Fact]:
    def its(metric: Metric, *labels: str) -> Column:
        return column(metric, *instance.labels, *labels)

    memory = {
        "total": its(metrics.MEMORY_TOTAL),
        "used": its(metrics.MEMORY_USED),
        "free": its(metrics.MEMORY_FREE),
    }
    return [
        (_info(instance),),
        (
            _of(
                instance,
                calls.structure(
                    "nvmlDeviceGetMemoryInfo_v2",
                    pynvml.c_nvmlMemory_v2_t,
                    {**memory, "reserved": its(metrics.MEMORY_RESERVED)},
                    version=pynvml.nvmlMemory_v2,
                ),
            ),
            _of(
                instance,
                calls.structure("nvmlDeviceGetMemoryInfo", pynvml.c_nvmlMemory_t, memory),
            ),
        ),
        (
            _of(
                instance,
                calls.numbers(
                    "nvmlDeviceGetMemoryErrorCounter",
                    [its(metrics.ECC_ERRORS, "uncorrected", "sram")],
                    pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
                    pynvml.NVML_VOLATILE_ECC,
                    pynvml.NVML_MEMORY_LOCATION_SRAM,
                    type=ctypes.c_ulonglong,
                ),
            ),
        ),
    ]


def _of(instance: _Instance, make: Make) -> Make:
    """The call, on the instance instead of the GPU."""
    return lambda library, device: _Mortal(make(library, Handle(instance.place.handle)))


def _info(instance: _Instance) -> Make:
    def info(library: Library, device: Handle) -> Call:
        attributes = pynvml.c_nvmlDeviceAttributes()
        handle = Handle(instance.place.handle)
        numbers = ["", "", ""]
        with contextlib.suppress(NvmlError):
            library.call("nvmlDeviceGetAttributes_v2", handle, ctypes.byref(attributes))
            numbers = [
                str(attributes.gpuInstanceSliceCount),
                str(attributes.computeInstanceSliceCount),
                str(attributes.multiprocessorCount),
            ]
        given = column(metrics.MIG_INFO, *instance.labels, instance.place.uuid, *numbers)
        return Call("nvmlDeviceGetAttributes_v2", lambda: 0, (), (given,), lambda: [1])

    return info


def _monitored(card: Card, instances: list[_Instance]) -> list[Fact]:
    """What the performance monitor tells of each GPU instance, where the card has one."""
    library, device = card.library, card.device
    try:
        if not monitor.supported(library, device):
            return []
    except NvmlError as error:
        raise_if_fatal(error)
        return []
    by_number = {instance.gpu_instance: instance.gpu_labels for instance in instances}
    return [(_monitor(number, labels),) for number, labels in by_number.items()]


def _monitor(number: int, labels: tuple[str, str]) -> Make:
    measures = [
        Measure(pynvml.NVML_GPM_METRIC_GRAPHICS_UTIL, column(metrics.GRAPHICS_ACTIVE, *labels)),
        Measure(pynvml.NVML_GPM_METRIC_SM_UTIL, column(metrics.SM_ACTIVE, *labels)),
        Measure(pynvml.NVML_GPM_METRIC_SM_OCCUPANCY, column(metrics.SM_OCCUPANCY, *labels)),
        Measure(pynvml.NVML_GPM_METRIC_DRAM_BW_UTIL, column(metrics.DRAM_ACTIVE, *labels)),
        *(Measure(id, column(metrics.PIPE_ACTIVE, *labels, pipe)) for id, pipe in _PIPES.items()),
    ]

    return lambda library, device: _Mortal(
        Monitor(library, measures, "nvmlGpmMigSampleGet", device, ctypes.c_uint(number))
    )


GROUP = Group(discover=_instances)
