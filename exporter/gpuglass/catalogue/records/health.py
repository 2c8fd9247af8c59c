"""How well a GPU is, and why not better.

A reason is an alert that fires. What makes alerts trustworthy, that they wait, know maintenance
and idle links, holds for the score as well, and each reason has its runbook.
"""

from gpuglass.catalogue.records.model import (
    CLUSTER,
    NODE,
    Level,
    Record,
    Subject,
    aggregate,
    indented,
)

_CARD = Level("gpu", ("cluster", "node", "gpu", "uuid"))
# What is wrong with a card or its links. How it is used, and a threshold that a user chose, say
# nothing of its health.
COMPONENTS = ("gpu", "memory", "cooling", "power", "pcie", "nvlink", "fabric")
# By the severity of the alert. A GPU for which somebody is called is not to be relied upon.
PENALTIES = {"critical": 1.0, "warning": 0.3, "info": 0.1}


def _penalty(severity: str, penalty: float) -> str:
    return (
        f'ALERTS{{\n  alertstate="firing", severity="{severity}", uuid!="",\n'
        f'  component=~"{"|".join(COMPONENTS)}"\n}} * {penalty:g}'
    )


_ALERTS = "\nor\n".join(_penalty(severity, penalty) for severity, penalty in PENALTIES.items())
_REASONS = f'label_move(\n{indented(_ALERTS)},\n  "alertname", "reason"\n)'
_PENALTY = Record(
    *(_CARD, "health_penalty_ratio", "max"),
    "What an alert that fires takes off the health of a GPU; the reason is the alert's name",
    aggregate("max", _CARD, _REASONS, "reason"),
    ("reason",),
)
_LOST = aggregate("sum", _CARD, f"{_PENALTY.name}\nor gpu_up * 0")
_HEALTH = Record(
    *(_CARD, "health_ratio", "sum"),
    "1 for a GPU of which nothing is known to be wrong, less what alerts take off; at least 0",
    f"clamp_min(\n{indented(f'1 - {_LOST}')},\n  0\n)",
)


def _least(level: Level) -> Record:
    return Record(
        *(level, "health_ratio", "min", "The health of its least healthy GPU"),
        aggregate("min", level, _HEALTH.name),
    )


SUBJECT = Subject(
    "health",
    "How well GPUs are, and why not better. Out of the alerts that fire.",
    (_PENALTY, _HEALTH, _least(NODE), _least(CLUSTER)),
)
