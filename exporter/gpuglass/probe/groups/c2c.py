"""The links between a GPU and the processor on its module."""

import pynvml

from gpuglass.catalogue import links as metrics
from gpuglass.probe import calls
from gpuglass.probe.calls import Field
from gpuglass.probe.group import Card, Found, Group, column

_MOST_LINKS = 32
_ERRORS = {
    pynvml.NVML_FI_DEV_C2C_LINK_ERROR_INTR: "crc",
    pynvml.NVML_FI_DEV_C2C_LINK_ERROR_REPLAY: "replay",
    pynvml.NVML_FI_DEV_C2C_LINK_ERROR_REPLAY_B2B: "replay_back_to_back",
}


def _links(card: Card) -> Found:
    count = calls.field_value(card.library, card.device, pynvml.NVML_FI_DEV_C2C_LINK_COUNT)
    fields: list[Field] = []
    for link in range(min(int(count or 0), _MOST_LINKS)):
        label = str(link)
        fields += [
            Field(
                pynvml.NVML_FI_DEV_C2C_LINK_GET_STATUS, column(metrics.C2C_UP, label), scope=link
            ),
            Field(
                pynvml.NVML_FI_DEV_C2C_LINK_GET_MAX_BW,
                column(metrics.C2C_SPEED, label),
                multiply=1_000_000,
                scope=link,
            ),
            Field(
                pynvml.NVML_FI_DEV_C2C_LINK_POWER_STATE,
                column(metrics.C2C_LOW_POWER, label),
                scope=link,
            ),
            *(
                Field(number, column(metrics.C2C_ERRORS, label, type), scope=link)
                for number, type in _ERRORS.items()
            ),
        ]
    return Found(fields=fields)


GROUP = Group(
    facts=[(calls.numbers("nvmlDeviceGetC2cModeInfoV", [column(metrics.C2C_MODE)]),)],
    discover=_links,
)
