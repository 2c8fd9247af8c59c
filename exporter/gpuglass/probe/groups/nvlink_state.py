"""Whether the NVLinks are up, and what goes wrong on them."""

import ctypes

import pynvml

from gpuglass.catalogue import links as metrics
from gpuglass.probe import calls
from gpuglass.probe.calls import Field
from gpuglass.probe.frames import Column
from gpuglass.probe.group import Card, Fact, Found, Group, column, raise_if_fatal
from gpuglass.probe.groups.nvlink import labelled_links
from gpuglass.probe.nvml import NvmlError

_UP = (pynvml.NVML_NVLINK_STATE_ACTIVE, pynvml.NVML_NVLINK_STATE_SLEEP)
_VERSIONS = {
    pynvml.NVML_NVLINK_VERSION_1_0: "1.0",
    pynvml.NVML_NVLINK_VERSION_2_0: "2.0",
    pynvml.NVML_NVLINK_VERSION_2_2: "2.2",
    pynvml.NVML_NVLINK_VERSION_3_0: "3.0",
    pynvml.NVML_NVLINK_VERSION_3_1: "3.1",
    pynvml.NVML_NVLINK_VERSION_4_0: "4.0",
    pynvml.NVML_NVLINK_VERSION_5_0: "5.0",
    pynvml.NVML_NVLINK_VERSION_6_0: "6.0",
}
_REMOTES = {
    pynvml.NVML_NVLINK_DEVICE_TYPE_GPU: "gpu",
    pynvml.NVML_NVLINK_DEVICE_TYPE_IBMNPU: "processor",
    pynvml.NVML_NVLINK_DEVICE_TYPE_SWITCH: "switch",
}
# Of links up to the fourth NVLink: the sums over all links, and what the function counts of each.
_SUMS = {
    pynvml.NVML_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL: "replay",
    pynvml.NVML_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL: "recovery",
    pynvml.NVML_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL: "crc_flit",
    pynvml.NVML_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL: "crc_data",
    pynvml.NVML_FI_DEV_NVLINK_ECC_DATA_ERROR_COUNT_TOTAL: "ecc_data",
}
_COUNTERS = {
    pynvml.NVML_NVLINK_ERROR_DL_REPLAY: "replay",
    pynvml.NVML_NVLINK_ERROR_DL_RECOVERY: "recovery",
    pynvml.NVML_NVLINK_ERROR_DL_CRC_FLIT: "crc_flit",
    pynvml.NVML_NVLINK_ERROR_DL_CRC_DATA: "crc_data",
    pynvml.NVML_NVLINK_ERROR_DL_ECC_DATA: "ecc_data",
}
# Of links from the fifth NVLink on.
_ERRORS = {
    pynvml.NVML_FI_DEV_NVLINK_COUNT_MALFORMED_PACKET_ERRORS: "malformed_packet",
    pynvml.NVML_FI_DEV_NVLINK_COUNT_BUFFER_OVERRUN_ERRORS: "buffer_overrun",
    pynvml.NVML_FI_DEV_NVLINK_COUNT_RCV_ERRORS: "receive",
    pynvml.NVML_FI_DEV_NVLINK_COUNT_RCV_REMOTE_ERRORS: "receive_remote",
    pynvml.NVML_FI_DEV_NVLINK_COUNT_RCV_GENERAL_ERRORS: "receive_general",
    pynvml.NVML_FI_DEV_NVLINK_COUNT_LOCAL_LINK_INTEGRITY_ERRORS: "local_link_integrity",
    pynvml.NVML_FI_DEV_NVLINK_COUNT_XMIT_DISCARDS: "transmit_discard",
    pynvml.NVML_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_SUCCESSFUL_EVENTS: "recovery_successful",
    pynvml.NVML_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_FAILED_EVENTS: "recovery_failed",
    pynvml.NVML_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_EVENTS: "recovery",
    pynvml.NVML_FI_DEV_NVLINK_COUNT_EFFECTIVE_ERRORS: "effective",
    pynvml.NVML_FI_DEV_NVLINK_COUNT_SYMBOL_ERRORS: "symbol",
    pynvml.NVML_FI_DEV_NVLINK_COUNT_RAW_ERRORS_LANE0: "raw_lane0",
    pynvml.NVML_FI_DEV_NVLINK_COUNT_RAW_ERRORS_LANE1: "raw_lane1",
}
_BIT_ERRORS = {
    pynvml.NVML_FI_DEV_NVLINK_COUNT_EFFECTIVE_BER: "effective",
    pynvml.NVML_FI_DEV_NVLINK_COUNT_SYMBOL_BER: "symbol",
    pynvml.NVML_FI_DEV_NVLINK_COUNT_RAW_BER_V2: "raw",
}
_RETRIES = {
    pynvml.NVML_FI_DEV_NVLINK_PLR_XMIT_BLOCKS: "sent",
    pynvml.NVML_FI_DEV_NVLINK_PLR_XMIT_RETRY_BLOCKS: "sent_again",
}
_FEC_HISTORY = 16


def _is_up(state: float) -> int:
    return int(state in _UP)


def _bit_error_ratio(value: float) -> float:
    """A mantissa of four bits over a negative exponent of eight."""
    return (int(value) >> 8 & 0xF) * 10.0 ** -(int(value) & 0xFF)


def _links(card: Card) -> Found:
    links = list(labelled_links(card))
    if not links:
        return Found()
    each = card.each_nvlink
    fields = [
        Field(pynvml.NVML_FI_DEV_NVLINK_LINK_COUNT, column(metrics.NVLINK_LINKS)),
        *(
            Field(
                pynvml.NVML_FI_DEV_NVLINK_GET_STATE,
                column(metrics.NVLINK_LINKS_UP),
                scope=link,
                convert=_is_up,
            )
            for link, _ in links
        ),
    ]
    for link, label in links:
        fields += _of_link(link, label)
        if each:
            fields += _of_single_link(link, label)
    if each:
        return Found(facts=[*_counters(links), _info(card, links)], fields=fields)
    fields += [
        Field(number, column(metrics.NVLINK_ERRORS, "all", type)) for number, type in _SUMS.items()
    ]
    return Found(facts=[_info(card, links)], fields=fields)


def _of_link(link: int, label: str) -> list[Field]:
    """What can be added up over the links."""

    def field(number: int, column: Column, multiply: int = 1) -> Field:
        return Field(number, column, multiply=multiply, scope=link)

    return [
        field(pynvml.NVML_FI_DEV_NVLINK_GET_SPEED, column(metrics.NVLINK_SPEED, label), 1_000_000),
        field(pynvml.NVML_FI_DEV_NVLINK_GET_POWER_STATE, column(metrics.NVLINK_LOW_POWER, label)),
        *(
            field(number, column(metrics.NVLINK_ERRORS, label, type))
            for number, type in _ERRORS.items()
        ),
        *(
            field(number, column(metrics.NVLINK_RETRY_BLOCKS, label, kind))
            for number, kind in _RETRIES.items()
        ),
        *(
            field(
                pynvml.NVML_FI_DEV_NVLINK_COUNT_FEC_HISTORY_0 + mended,
                column(metrics.NVLINK_FEC_BLOCKS, str(mended)),
            )
            for mended in range(_FEC_HISTORY)
        ),
    ]


def _of_single_link(link: int, label: str) -> list[Field]:
    """What says nothing when it is added up."""
    return [
        Field(
            pynvml.NVML_FI_DEV_NVLINK_GET_STATE,
            column(metrics.NVLINK_UP, label),
            scope=link,
            convert=_is_up,
        ),
        *(
            Field(
                number,
                column(metrics.NVLINK_BIT_ERRORS, label, type),
                scope=link,
                convert=_bit_error_ratio,
            )
            for number, type in _BIT_ERRORS.items()
        ),
    ]


def _counters(links: list[tuple[int, str]]) -> list[Fact]:
    return [
        (
            calls.numbers(
                "nvmlDeviceGetNvLinkErrorCounter",
                [column(metrics.NVLINK_ERRORS, label, type)],
                link,
                number,
                type=ctypes.c_ulonglong,
            ),
        )
        for link, label in links
        for number, type in _COUNTERS.items()
    ]


def _info(card: Card, links: list[tuple[int, str]]) -> Fact:
    """What the links are; of several under one label, all that they are."""
    texts: dict[str, tuple[list[str], list[str]]] = {}
    for link, label in links:
        versions, remotes = texts.setdefault(label, ([], []))
        versions.append(_version(card, link))
        remotes.append(_remote(card, link))
    return (
        calls.constant(
            {
                column(metrics.NVLINK_INFO, label, _joined(versions), _joined(remotes)): 1
                for label, (versions, remotes) in texts.items()
            }
        ),
    )


def _version(card: Card, link: int) -> str:
    number = calls.field_value(
        card.library, card.device, pynvml.NVML_FI_DEV_NVLINK_GET_VERSION, link
    )
    return "" if number is None else _VERSIONS.get(int(number), "")


def _remote(card: Card, link: int) -> str:
    try:
        number = card.library.number(
            "nvmlDeviceGetNvLinkRemoteDeviceType", card.device, ctypes.c_uint(link)
        )
    except NvmlError as error:
        raise_if_fatal(error)
        return ""
    return _REMOTES.get(number, "")


def _joined(texts: list[str]) -> str:
    return "+".join(sorted({text for text in texts if text}))


GROUP = Group(discover=_links)
