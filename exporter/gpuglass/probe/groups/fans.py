"""The fans of cards that have their own."""

from gpuglass.catalogue import device as metrics
from gpuglass.probe import calls
from gpuglass.probe.group import Card, Found, Group, column


def _fans(card: Card) -> Found:
    count = card.library.number("nvmlDeviceGetNumFans", card.device)
    return Found(
        facts=[
            (
                calls.numbers(
                    "nvmlDeviceGetFanSpeed_v2",
                    [column(metrics.FAN_SPEED, str(fan))],
                    fan,
                    divide=100,
                ),
            )
            for fan in range(count)
        ]
    )


GROUP = Group(discover=_fans)
