"""The MIG instances of a card, which come and go while it is watched."""

import contextlib
import ctypes

import pynvml

from gpuglass.catalogue import mig as metrics
from gpuglass.catalogue.model import Metric
from gpuglass.probe import calls, monitor
from gpuglass.probe.calls import Call, Make, Values
from gpuglass.probe.frames import Column
from gpuglass.probe.group import Card, Fact, Found, Group, column, raise_if_fatal
from gpuglass.probe.instances import Instance, changed, cut, describe
from gpuglass.probe.monitor import Measure, Monitor, rate
from gpuglass.probe.nvml import PERMANENT, Handle, Library, NvmlError

_PIPES = {
    pynvml.NVML_GPM_METRIC_ANY_TENSOR_UTIL: "tensor",
    pynvml.NVML_GPM_METRIC_FP64_UTIL: "fp64",
    pynvml.NVML_GPM_METRIC_FP32_UTIL: "fp32",
    pynvml.NVML_GPM_METRIC_FP16_UTIL: "fp16",
}
_PCIE = {
    pynvml.NVML_GPM_METRIC_PCIE_TX_PER_SEC: "transmit",
    pynvml.NVML_GPM_METRIC_PCIE_RX_PER_SEC: "receive",
}


def _labels(instance: Instance) -> tuple[str, str, str]:
    return str(instance.gpu_instance), str(instance.compute_instance), instance.profile


def _gpu_labels(instance: Instance) -> tuple[str, str]:
    """Without the compute slices, as in 1c.3g.71gb: those are not of the GPU instance."""
    slices, _, rest = instance.profile.partition(".")
    profile = rest if slices.endswith("c") else instance.profile
    return str(instance.gpu_instance), profile


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
    now = cut(card.library, card.device)
    instances = [found for place in now.places if (found := describe(card.library, place))]
    facts = [fact for instance in instances for fact in _facts(instance)]
    facts += _monitored(card, instances)
    return Found(
        facts=facts,
        refused="" if instances else now.why,
        outdated=lambda: changed(card.library, card.device, now),
    )


def _facts(instance: Instance) -> list[Fact]:
    def its(metric: Metric, *labels: str) -> Column:
        return column(metric, *_labels(instance), *labels)

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


def _of(instance: Instance, make: Make) -> Make:
    """The call, on the instance instead of the GPU."""
    return lambda library, device: _Mortal(make(library, Handle(instance.place.handle)))


def _info(instance: Instance) -> Make:
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
        given = column(metrics.MIG_INFO, *_labels(instance), instance.place.uuid, *numbers)
        return Call("nvmlDeviceGetAttributes_v2", lambda: 0, (), (given,), lambda: [1])

    return info


def _monitored(card: Card, instances: list[Instance]) -> list[Fact]:
    """What the performance monitor tells of each GPU instance, where the card has one."""
    library, device = card.library, card.device
    try:
        if not monitor.supported(library, device):
            return []
    except NvmlError as error:
        raise_if_fatal(error)
        return []
    by_number = {instance.gpu_instance: _gpu_labels(instance) for instance in instances}
    return [(_monitor(number, labels),) for number, labels in by_number.items()]


def _monitor(number: int, labels: tuple[str, str]) -> Make:
    measures = [
        Measure(pynvml.NVML_GPM_METRIC_GRAPHICS_UTIL, column(metrics.GRAPHICS_ACTIVE, *labels)),
        Measure(pynvml.NVML_GPM_METRIC_SM_UTIL, column(metrics.SM_ACTIVE, *labels)),
        Measure(pynvml.NVML_GPM_METRIC_SM_OCCUPANCY, column(metrics.SM_OCCUPANCY, *labels)),
        Measure(pynvml.NVML_GPM_METRIC_DRAM_BW_UTIL, column(metrics.DRAM_ACTIVE, *labels)),
        *(Measure(id, column(metrics.PIPE_ACTIVE, *labels, pipe)) for id, pipe in _PIPES.items()),
        *(rate(id, column(metrics.PCIE_RATE, *labels, way)) for id, way in _PCIE.items()),
    ]

    return lambda library, device: _Mortal(
        Monitor(library, measures, "nvmlGpmMigSampleGet", device, ctypes.c_uint(number))
    )


GROUP = Group(discover=_instances)
