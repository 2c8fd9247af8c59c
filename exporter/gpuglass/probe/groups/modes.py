"""How a GPU is set up, and where it sits."""

import ctypes
from collections.abc import Callable

import pynvml

from gpuglass.catalogue import modes as metrics
from gpuglass.catalogue.model import Metric
from gpuglass.probe import calls
from gpuglass.probe.calls import Call
from gpuglass.probe.group import Card, Fact, Found, Group, column, raise_if_fatal
from gpuglass.probe.nvml import Handle, Library, NvmlError

_NUMBERS: dict[str, list[Metric | None]] = {
    "nvmlDeviceGetPersistenceMode": [metrics.PERSISTENCE_MODE],
    "nvmlDeviceGetComputeMode": [metrics.COMPUTE_MODE],
    "nvmlDeviceGetEccMode": [metrics.ECC_MODE, metrics.ECC_MODE_PENDING],
    "nvmlDeviceGetMigMode": [metrics.MIG_MODE, metrics.MIG_MODE_PENDING],
    "nvmlDeviceGetAccountingMode": [metrics.ACCOUNTING_MODE],
    "nvmlDeviceGetDisplayMode": [metrics.DISPLAY_MODE],
    "nvmlDeviceGetDisplayActive": [metrics.DISPLAY_ACTIVE],
    "nvmlDeviceGetVirtualizationMode": [metrics.VIRTUALIZATION_MODE],
    "nvmlDeviceGetPowerSource": [metrics.POWER_SOURCE],
    # The second number is the mode by default.
    "nvmlDeviceGetGspFirmwareMode": [metrics.GSP_MODE, None],
    "nvmlDeviceGetMemoryBusWidth": [metrics.MEMORY_BUS_WIDTH],
    "nvmlDeviceGetMultiGpuBoard": [metrics.MULTI_GPU_BOARD],
}
_VERSION_BYTES = 80
_INFOROM_OBJECTS = (pynvml.NVML_INFOROM_OEM, pynvml.NVML_INFOROM_ECC, pynvml.NVML_INFOROM_POWER)


class _Platform(ctypes.Structure):
    """As in nvidia-ml-py, but of bytes: it takes binary numbers for text."""

    _fields_ = (
        ("version", ctypes.c_uint),
        ("ib_guid", ctypes.c_ubyte * 16),
        ("chassis_serial", ctypes.c_ubyte * 16),
        *((name, ctypes.c_ubyte) for name in ("slot", "tray", "host", "peer_type", "module")),
    )


def _dram_encryption(library: Library, device: Handle) -> Call:
    current, pending = pynvml.c_nvmlDramEncryptionInfo_t(), pynvml.c_nvmlDramEncryptionInfo_t()
    symbol = "nvmlDeviceGetDramEncryptionMode"
    return Call(
        symbol,
        library.function(symbol),
        (device, ctypes.byref(current), ctypes.byref(pending)),
        (column(metrics.DRAM_ENCRYPTION), column(metrics.DRAM_ENCRYPTION_PENDING)),
        lambda: [current.encryptionState, pending.encryptionState],
    )


def _infos(card: Card) -> Found:
    """What is text, and stays."""
    texts = (
        (metrics.GSP_INFO, _gsp(card)),
        (metrics.INFOROM_INFO, _inforom(card)),
        (metrics.PLATFORM_INFO, _platform(card)),
    )
    facts: list[Fact] = [
        (calls.constant({column(metric, *labels): 1}),) for metric, labels in texts if any(labels)
    ]
    return Found(facts=facts)


def _or_empty(read: Callable[[], str]) -> str:
    try:
        return read()
    except NvmlError as error:
        raise_if_fatal(error)
        return ""


def _gsp(card: Card) -> list[str]:
    def version() -> str:
        buffer = ctypes.create_string_buffer(_VERSION_BYTES)
        card.library.call("nvmlDeviceGetGspFirmwareVersion", card.device, buffer)
        return buffer.value.decode("utf-8", "replace")

    return [_or_empty(version)]


def _inforom(card: Card) -> list[str]:
    text = card.library.text
    image = _or_empty(lambda: text("nvmlDeviceGetInforomImageVersion", card.device))

    def part(number: int) -> str:
        object = ctypes.c_uint(number)
        return _or_empty(lambda: text("nvmlDeviceGetInforomVersion", card.device, object))

    return [image, *map(part, _INFOROM_OBJECTS)]


def _platform(card: Card) -> list[str]:
    # The first version has the rack's number where the second has the chassis's.
    for version in (pynvml.nvmlPlatformInfo_v2, pynvml.nvmlPlatformInfo_v1):
        info = _Platform(version=version)
        try:
            card.library.call("nvmlDeviceGetPlatformInfo", card.device, ctypes.byref(info))
        except NvmlError as error:
            raise_if_fatal(error)
            continue
        serial = bytes(bytearray(info.chassis_serial)).split(b"\0")[0]
        guid = bytes(bytearray(info.ib_guid))
        # A card in no rack answers too: nothing, slot 0 and tray 0.
        if not serial and not any(guid):
            return []
        return [
            serial.decode("ascii", "replace"),
            *(str(getattr(info, name)) for name in metrics.PLATFORM_INFO.labels[3:8]),
            guid.hex() if any(guid) else "",
        ]
    return []


GROUP = Group(
    facts=[
        *(
            (calls.numbers(symbol, [column(metric) if metric else None for metric in numbers]),)
            for symbol, numbers in _NUMBERS.items()
        ),
        (
            calls.structure(
                "nvmlDeviceGetAddressingMode",
                pynvml.c_nvmlDeviceAddressingMode_t,
                {"value": column(metrics.ADDRESSING_MODE)},
                version=pynvml.nvmlDeviceAddressingMode_v1,
            ),
        ),
        (_dram_encryption,),
        # All bits set where there is no node.
        (
            calls.numbers(
                "nvmlDeviceGetNumaNodeId", [column(metrics.NUMA_NODE)], unknown=0xFFFFFFFF
            ),
        ),
        # 0 off a baseboard.
        (calls.numbers("nvmlDeviceGetModuleId", [column(metrics.MODULE_ID)], unknown=0),),
    ],
    discover=_infos,
)
