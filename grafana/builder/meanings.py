"""Words for what series say in codes: XIDs, actions, reasons, states."""

from collections.abc import Callable

from grafana.builder.style import Words

from gpuglass.catalogue.groups import GROUPS
from gpuglass.catalogue.xid_table import XIDS, Class, Severity, codes

_COLORS = {Severity.CRITICAL: "red", Severity.WARNING: "orange", Severity.INFO: "blue"}

SEVERITIES: Words = {severity.value: (severity.value, color) for severity, color in _COLORS.items()}
# By the label of alerts.
ACTIONS: Words = {
    "restart-node": ("Drain the node and restart it", "red"),
    "replace": ("Replace the card", "red"),
    "reset-gpu": ("Drain the GPU and reset it", "red"),
    "plan-reset": ("Reset the GPU when it is free", "orange"),
    "inspect": ("Look at it", "orange"),
    "restart-app": ("Tell the owner", "blue"),
    "none": ("Nothing", "text"),
}


# What NVIDIA adds is in no table, and what it names but does not use is told in the same words.
_ANY_OTHER = "/.*/"


def _sentence(text: str) -> str:
    return text.rstrip(".")


def _by_class(text: Callable[[Class], str]) -> Words:
    """One pattern for each class of XIDs, and one for all others."""
    known = {
        f"/^({'|'.join(map(str, codes(cls)))})$/": (text(cls), _COLORS[cls.severity])
        for cls in Class
        if cls is not Class.UNUSED
    }
    return {**known, _ANY_OTHER: (text(Class.UNUSED), _COLORS[Class.UNUSED.severity])}


XID_NUMBERS = _by_class(lambda cls: "$1" if cls is not Class.UNUSED else "$&")
XID_ADVICE = _by_class(lambda cls: _sentence(cls.advice))
XID_MEANINGS: Words = {
    str(xid.code): (_sentence(xid.means), _COLORS[xid.cls.severity])
    for xid in XIDS.values()
    if xid.cls is not Class.UNUSED
} | {_ANY_OTHER: ("Not in our table: the driver's own message says what it is", "orange")}

# By reason: in a few words, and what to make of it.
_REASONS = {
    "sw_power_cap": (
        "power limit",
        "yellow",
        "Work asks for more power than the card's limit; normal under full load, unless the limit "
        "was lowered",
    ),
    "sw_thermal": (
        "heat, by the driver",
        "orange",
        "The driver slows the card down to keep its temperature: see to fans, air flow and load",
    ),
    "hw_thermal": (
        "heat, by the card",
        "red",
        "The card is so hot that it protects itself: cooling has failed or is blocked",
    ),
    "hw_power_brake": (
        "power brake",
        "red",
        "Supply or rack asked for less power: see to power supplies and cables",
    ),
    "hw_slowdown": (
        "hardware slowdown",
        "red",
        "The card slowed itself down, for heat or for a power brake: which, another line tells",
    ),
    "sync_boost": ("sync boost", "blue", "Runs at the clock of the slowest GPU of its group"),
    "board_limit": (
        "limit of the board",
        "yellow",
        "Voltage or current of the board is at its end",
    ),
    "reliability": ("reliability", "yellow", "A higher voltage would shorten the life of the card"),
    "low_utilization": ("little to do", "text", "There is too little work for higher clocks"),
    "applications_clocks": ("chosen clocks", "text", "Somebody chose these clocks"),
    "gpu_idle": ("nothing to do", "text", "Nothing runs, so the clocks are low"),
    "display": ("display", "text", "The display sets the clocks"),
}
REASONS: Words = {reason: (text, color) for reason, (text, color, _) in _REASONS.items()}
REASONS_EXPLAINED: Words = {reason: (why, "text") for reason, (_, _, why) in _REASONS.items()}
# Those that slow work down and can be done something about.
HARMFUL = ("hw_thermal", "hw_power_brake", "hw_slowdown", "sw_thermal", "sw_power_cap")

# By the value of gpu_recovery_action.
RECOVERIES: Words = {
    "0": ("nothing", "green"),
    "1": ("reset the GPU", "red"),
    "2": ("reboot the node", "red"),
    "3": ("drain its peers", "orange"),
    "4": ("drain and reset it", "red"),
    "5": ("recover the IMEX domain", "orange"),
    "6": ("reset the bus", "red"),
    "7": ("reboot the system", "red"),
}
# By the value of up.
STATES: Words = {"0": ("offline", "red"), "1": ("online", "green")}
# By the value of gpu_up.
ANSWERS: Words = {"0": ("lost or silent", "red"), "1": ("answers", "green")}
# By the value of gpu_fabric_healthy.
FABRIC: Words = {"0": ("trouble", "red"), "1": ("healthy", "green")}
YES_IS_BAD: Words = {"0": ("no", "green"), "1": ("yes", "red")}
YES_IS_WORTH_A_LOOK: Words = {"0": ("no", "green"), "1": ("yes", "orange")}

# By label of gpu_capability.
GROUP_NAMES: Words = {group.name: (group.help, "text") for group in GROUPS}
WHY_NOT: Words = {
    "not_supported": ("the card or the driver does not tell", "text"),
    "no_permission": ("the exporter may not ask", "orange"),
    "function_not_found": ("the driver is too old", "orange"),
    "mig_off": ("not cut into instances", "text"),
    "no_mig_instances": ("no instances yet", "text"),
    "may_wrap_between_readings": ("the card's counter is too short for this link", "text"),
}


def in_words(expr: str, label: str, words: Words) -> str:
    """A query whose series have words in a label in place of codes, for the names of curves."""
    pairs = ", ".join(f'"{code}", "{text}"' for code, (text, _) in words.items())
    return f'label_map({expr}, "{label}", {pairs})'
