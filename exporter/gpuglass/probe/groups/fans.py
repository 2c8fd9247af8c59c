"""The fans of cards that have their own."""

import pynvml

from gpuglass.catalogue import device as metrics
from gpuglass.probe import calls
from gpuglass.probe.group import Card, Fact, Found, Group, column


def _fans(card: Card) -> Found:
    count = card.library.number("nvmlDeviceGetNumFans", card.device)
    return Found(facts=[fact for fan in range(count) for fact in _facts(fan)])


def _facts(fan: int) -> list[Fact]:
    label = str(fan)
    return [
        (
            calls.numbers(
                "nvmlDeviceGetFanSpeed_v2", [column(metrics.FAN_SPEED, label)], fan, divide=100
            ),
        ),
        (
            calls.numbers(
                "nvmlDeviceGetTargetFanSpeed", [column(metrics.FAN_TARGET, label)], fan, divide=100
            ),
        ),
        (
            calls.structure(
                "nvmlDeviceGetFanSpeedRPM",
                pynvml.c_nvmlFanSpeedInfo_t,
                {"speed": column(metrics.FAN_RPM, label)},
                version=pynvml.nvmlFanSpeedInfo_v1,
                fan=fan,
            ),
        ),
        (
            calls.numbers(
                "nvmlDeviceGetFanControlPolicy_v2", [column(metrics.FAN_POLICY, label)], fan
            ),
        ),
    ]


GROUP = Group(discover=_fans)
