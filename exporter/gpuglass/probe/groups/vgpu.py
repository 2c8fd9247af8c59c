"""Virtual GPUs: those that a host runs, and the licence of one that is a guest's."""

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import pynvml

from gpuglass.catalogue import vgpu as metrics
from gpuglass.probe import calls
from gpuglass.probe.calls import Call, Make, Values
from gpuglass.probe.group import Card, Fact, Found, Group, column, raise_if_fatal
from gpuglass.probe.nvml import Handle, Library, NvmlError

# More than any card runs; room for the answers is made once.
_MOST_INSTANCES = 64
_NO_DRIVER = "Not Available"
_ENGINES = {"sm": "smUtil", "memory": "memUtil", "encoder": "encUtil", "decoder": "decUtil"}
_FEATURES = {
    pynvml.NVML_GRID_LICENSE_FEATURE_CODE_VGPU: "vgpu",
    pynvml.NVML_GRID_LICENSE_FEATURE_CODE_NVIDIA_RTX: "rtx_workstation",
    pynvml.NVML_GRID_LICENSE_FEATURE_CODE_GAMING: "gaming",
    pynvml.NVML_GRID_LICENSE_FEATURE_CODE_COMPUTE: "compute",
    pynvml.NVML_GRID_LICENSE_FEATURE_CODE_VGAMEDEV: "game_development",
}


class _Value(ctypes.Structure):
    """A percentage, in NVML's place for a value of any type."""

    _fields_ = (("number", ctypes.c_uint), ("rest", ctypes.c_uint))


class _Use(ctypes.Structure):
    _fields_ = (
        ("vgpuInstance", ctypes.c_uint),
        ("timeStamp", ctypes.c_ulonglong),
        *((name, _Value) for name in _ENGINES.values()),
    )


def _list(library: Library, device: Handle) -> tuple[Callable[[], int], Callable[[], list[int]]]:
    """Asks for the instances, and tells them."""
    function = library.function("nvmlDeviceGetActiveVgpus")
    count, instances = ctypes.c_uint(), (ctypes.c_uint * _MOST_INSTANCES)()

    def ask() -> int:
        count.value = _MOST_INSTANCES
        code: int = function(device, ctypes.byref(count), instances)
        return code

    return ask, lambda: list(instances[: count.value])


def _instances(library: Library, device: Handle) -> list[int]:
    ask, told = _list(library, device)
    code = ask()
    if code:
        raise NvmlError(code)
    return told()


def _count(library: Library, device: Handle) -> Call:
    ask, told = _list(library, device)
    symbol = "nvmlDeviceGetActiveVgpus"
    return Call(symbol, ask, (), (column(metrics.INSTANCES),), lambda: [len(told())])


def _use(labels: dict[int, str]) -> Make:
    """What each instance has used since the last reading; nothing where it has no sample.

    NVML tells the mean of all samples that are newer than a time, one for each instance: asked
    from 0 on, that of its whole buffer (nvml.h). Where there is none that is newer, those of the
    reading before still are the latest, once.
    """
    columns = [
        column(metrics.UTILIZATION, label, engine)
        for label in labels.values()
        for engine in _ENGINES
    ]

    def make(library: Library, device: Handle) -> Call:
        function = library.function("nvmlDeviceGetVgpuUtilization")
        samples = (_Use * _MOST_INSTANCES)()
        count, type, seen = ctypes.c_uint(), ctypes.c_uint(), ctypes.c_ulonglong()
        latest: dict[int, list[float]] = {}
        is_new = True

        def ask() -> int:
            count.value = _MOST_INSTANCES
            code: int = function(device, seen, ctypes.byref(type), ctypes.byref(count), samples)
            if code == pynvml.NVML_ERROR_NOT_FOUND:
                count.value = code = 0
            return code

        def values() -> Values:
            nonlocal latest, is_new
            was_new, is_new = is_new, count.value > 0
            if is_new:
                seen.value = max(sample.timeStamp for sample in samples[: count.value])
            if is_new or not was_new:
                latest = {
                    sample.vgpuInstance: [
                        getattr(sample, name).number / 100 for name in _ENGINES.values()
                    ]
                    for sample in samples[: count.value]
                }
            nothing = [None] * len(_ENGINES)
            return [part for instance in labels for part in latest.get(instance, nothing)]

        return Call("nvmlDeviceGetVgpuUtilization", ask, (), tuple(columns), values)

    return make


def _of(instance: int, make: Make) -> Make:
    """A call that asks the instance, not the card."""
    return lambda library, device: make(library, ctypes.c_uint(instance))  # type: ignore[arg-type]


def _facts(card: Card, instance: int, uuid: str, driver: str) -> list[Fact]:
    library = card.library
    handle = ctypes.c_uint(instance)
    vm_type = ctypes.c_uint()
    buffer = ctypes.create_string_buffer(pynvml.NVML_DEVICE_UUID_BUFFER_SIZE)
    _quietly(
        lambda: library.call(
            "nvmlVgpuInstanceGetVmID",
            handle,
            buffer,
            ctypes.c_uint(len(buffer)),
            ctypes.byref(vm_type),
        )
    )
    kind = _quietly(lambda: library.number("nvmlVgpuInstanceGetType", handle))
    name, size = ctypes.create_string_buffer(pynvml.NVML_DEVICE_NAME_BUFFER_SIZE), ctypes.c_uint()
    facts: list[Fact] = []
    if kind is not None:
        size.value = len(name)
        _quietly(
            lambda: library.call(
                "nvmlVgpuTypeGetName", ctypes.c_uint(kind), name, ctypes.byref(size)
            )
        )
        facts.append(
            (
                _of(
                    kind,
                    calls.numbers(
                        "nvmlVgpuTypeGetFramebufferSize",
                        [column(metrics.MEMORY_TOTAL, uuid)],
                        type=ctypes.c_ulonglong,
                    ),
                ),
            )
        )
    texts = [text.value.decode("utf-8", "replace") for text in (buffer, name)]
    return [
        (calls.constant({column(metrics.INSTANCE_INFO, uuid, *texts, driver): 1}),),
        *facts,
        (
            _of(
                instance,
                calls.numbers(
                    "nvmlVgpuInstanceGetFbUsage",
                    [column(metrics.MEMORY_USED, uuid)],
                    type=ctypes.c_ulonglong,
                ),
            ),
        ),
        (
            _of(
                instance,
                calls.structure(
                    "nvmlVgpuInstanceGetLicenseInfo_v2",
                    pynvml.c_nvmlVgpuLicenseInfo_t,
                    {"isLicensed": column(metrics.LICENSED, uuid)},
                ),
            ),
            _of(
                instance,
                calls.numbers("nvmlVgpuInstanceGetLicenseStatus", [column(metrics.LICENSED, uuid)]),
            ),
        ),
    ]


def _quietly(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except NvmlError as error:
        raise_if_fatal(error)
        return None


def _labels(card: Card) -> dict[int, tuple[str, str]]:
    """The instances, their identities, as numbers are given again, and their drivers."""
    instances = _instances(card.library, card.device)
    return {instance: (_uuid(card, instance), _driver(card, instance)) for instance in instances}


def _uuid(card: Card, instance: int) -> str:
    handle = ctypes.c_uint(instance)
    uuid = _quietly(lambda: card.library.text("nvmlVgpuInstanceGetUUID", handle))
    return uuid or str(instance)


def _driver(card: Card, instance: int) -> str:
    """The version in the machine: nvml.h has "Not Available" for one that has none yet."""
    handle = ctypes.c_uint(instance)
    version = _quietly(lambda: card.library.text("nvmlVgpuInstanceGetVmDriverVersion", handle))
    return "" if version in (None, _NO_DRIVER) else str(version)


def _host(card: Card) -> Found:
    """The instances; planned anew when there are others."""
    labels = _labels(card)
    facts: list[Fact] = [(_count,)]
    for instance, (uuid, driver) in labels.items():
        facts += _facts(card, instance, uuid, driver)
    if labels:
        facts.append((_use({instance: uuid for instance, (uuid, _) in labels.items()}),))
    facts += [
        (calls.numbers("nvmlDeviceGetHostVgpuMode", [column(metrics.HOST_MODE)]),),
        *_scheduler(),
    ]
    return Found(
        facts=facts,
        outdated=lambda: _quietly(lambda: _labels(card)) not in (labels, None),
    )


def _scheduler() -> list[Fact]:
    """How they take turns. The newer call, which replaces the older one, tells no mode."""

    def known(state: Any) -> bool:
        return bool(state.schedulerPolicy > 0)

    older, layout = "nvmlDeviceGetVgpuSchedulerState", pynvml.c_nvmlVgpuSchedulerGetState_t
    policy = {"schedulerPolicy": column(metrics.SCHEDULER_POLICY)}
    newer = calls.structure(
        "nvmlDeviceGetVgpuSchedulerState_v2",
        pynvml.c_nvmlVgpuSchedulerStateInfo_v2_t,
        policy,
        valid=known,
        engineId=pynvml.NVML_VGPU_SCHEDULER_ENGINE_TYPE_GRAPHICS,
    )
    mode = {"arrMode": column(metrics.SCHEDULER_ARR_MODE)}
    return [
        (newer, calls.structure(older, layout, policy, valid=known)),
        (calls.structure(older, layout, mode, valid=known),),
    ]


def _guest(card: Card) -> Found:
    layout = pynvml.c_nvmlGridLicensableFeatures_v4_t
    symbol = "nvmlDeviceGetGridLicensableFeatures_v4"
    features = layout()
    card.library.call(symbol, card.device, ctypes.byref(features))

    def licensed(features: Any) -> Sequence[float]:
        listed = features.gridLicensableFeatures[: features.licensableFeaturesCount]
        return [int(feature.featureState != 0) for feature in listed][: len(columns)]

    codes = [
        feature.featureCode
        for feature in features.gridLicensableFeatures[: features.licensableFeaturesCount]
    ]
    columns = [column(metrics.GUEST_LICENSED, _FEATURES.get(code, str(code))) for code in codes]
    if not features.isGridLicenseSupported or not columns:
        return Found()
    return Found(facts=[(calls.decoded(symbol, layout, columns, licensed),)])


def _discover(card: Card) -> Found:
    mode = card.library.number("nvmlDeviceGetVirtualizationMode", card.device)
    if mode == pynvml.NVML_GPU_VIRTUALIZATION_MODE_HOST_VGPU:
        return _host(card)
    return _guest(card)


GROUP = Group(discover=_discover)
