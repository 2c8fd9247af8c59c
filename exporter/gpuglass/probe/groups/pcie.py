"""What the PCIe link carries."""

import pynvml

from gpuglass.catalogue import device as metrics
from gpuglass.probe import calls
from gpuglass.probe.calls import Field, FieldBatch
from gpuglass.probe.group import Card, Found, Group, column, raise_if_fatal
from gpuglass.probe.nvml import NvmlError

_WRAP_32 = 2**32
_MAY_WRAP = "may_wrap_between_readings"
# One lane's payload in bytes a second by PCIe generation, after line encoding (PCI-SIG).
_LANE_BYTES = {1: 250e6, 2: 500e6, 3: 985e6, 4: 1969e6, 5: 3938e6, 6: 7563e6, 7: 15125e6}
_BYTES = [
    Field(pynvml.NVML_FI_DEV_PCIE_COUNT_TX_BYTES, column(metrics.PCIE_BYTES, "transmit")),
    Field(pynvml.NVML_FI_DEV_PCIE_COUNT_RX_BYTES, column(metrics.PCIE_BYTES, "receive")),
]


def _byte_counters(card: Card) -> Found:
    """The byte counters, if they cannot wrap between two readings without being seen.

    NVML says of them that they "can be wrapped", not where (nvml.h). One that has passed 2^32
    is wider than 32 bits. One that has not may be of 32 bits, and a fast link fills those
    several times between two readings.
    """
    try:
        fields, missing = calls.supported_fields(card.library, card.device, _BYTES)
    except NvmlError as error:
        raise_if_fatal(error)
        return Found(missing={field.column: error.reason for field in _BYTES})
    if not fields:
        return Found(missing=missing)
    batch = FieldBatch(card.library, card.device, fields)
    if _wide(batch):
        return Found(fields=fields, missing=missing)
    if _link_bytes(card) < _WRAP_32:
        wrapping = [f._replace(column=f.column._replace(wraps=_WRAP_32)) for f in fields]
        return Found(fields=wrapping, missing=missing)
    missing |= {field.column: _MAY_WRAP for field in fields}
    return Found(missing=missing, outdated=lambda: _wide(batch))


def _wide(batch: FieldBatch) -> bool:
    try:
        return any(value is not None and value > _WRAP_32 for value in batch.read())
    except NvmlError as error:
        raise_if_fatal(error)
        return False


def _link_bytes(card: Card) -> float:
    """The most that the link can carry between two readings, one of which may be late."""
    try:
        generation = card.library.number("nvmlDeviceGetMaxPcieLinkGeneration", card.device)
        width = card.library.number("nvmlDeviceGetMaxPcieLinkWidth", card.device)
    except NvmlError:
        return float("inf")
    return 2 * card.interval * width * _LANE_BYTES.get(generation, float("inf"))


GROUP = Group(discover=_byte_counters)
