"""What the NVLinks carry."""

from collections.abc import Iterator

import pynvml

from gpuglass.catalogue import links as metrics
from gpuglass.probe import calls
from gpuglass.probe.calls import Field
from gpuglass.probe.frames import Column
from gpuglass.probe.group import Card, Found, Group, column

# The scope that means the sum over all links.
_EVERY_LINK = 0xFFFFFFFF
# The newest drivers do not count more links.
_MOST_LINKS = 72
_PAYLOAD = {
    pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX: "transmit",
    pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX: "receive",
}
_BYTES = {
    pynvml.NVML_FI_DEV_NVLINK_COUNT_XMIT_BYTES: "transmit",
    pynvml.NVML_FI_DEV_NVLINK_COUNT_RCV_BYTES: "receive",
}
_PACKETS = {
    pynvml.NVML_FI_DEV_NVLINK_COUNT_XMIT_PACKETS: "transmit",
    pynvml.NVML_FI_DEV_NVLINK_COUNT_RCV_PACKETS: "receive",
}


def link_count(card: Card) -> int:
    """How many NVLinks the card has.

    Raises:
        NvmlError: The driver cannot answer fields at all.
    """
    count = calls.field_value(card.library, card.device, pynvml.NVML_FI_DEV_NVLINK_LINK_COUNT)
    return min(int(count or 0), _MOST_LINKS)


def labelled_links(card: Card) -> Iterator[tuple[int, str]]:
    """Each NVLink, and the label under which it is published."""
    for link in range(link_count(card)):
        yield link, str(link) if card.each_nvlink else "all"


def _traffic(card: Card) -> Found:
    """Bytes and packets, counted in the best way that this card knows."""
    links = list(labelled_links(card))
    if not links:
        return Found()
    scopes = [links]
    if not card.each_nvlink:
        scopes.insert(0, [(_EVERY_LINK, "all")])
    payload = [
        [
            Field(number, column(metrics.NVLINK_BYTES, label, way), multiply=unit, scope=scope)
            for scope, label in some
            for number, way in numbers.items()
        ]
        for numbers, unit in ((_PAYLOAD, 1024), (_BYTES, 1))
        for some in scopes
    ]
    packets = [
        [
            Field(number, column(metrics.NVLINK_PACKETS, label, way), scope=scope)
            for scope, label in some
            for number, way in _PACKETS.items()
        ]
        for some in scopes
    ]
    good, missing = _best(card, payload)
    return Found(fields=good + _best(card, packets)[0], missing=missing)


def _best(card: Card, ways: list[list[Field]]) -> tuple[list[Field], dict[Column, str]]:
    """Of several ways to count, the first one of those that give the most."""
    given = [calls.supported_fields(card.library, card.device, fields) for fields in ways]
    return max(given, key=lambda way: len({field.column for field in way[0]}))


GROUP = Group(discover=_traffic)
