"""What each XID means and what to do about it: xid.csv, and its classes.

The names are those of the driver's header, nverror.h of NVIDIA's open kernel modules.
"""

import csv
import enum
from dataclasses import dataclass
from importlib import resources


class Severity(enum.Enum):
    """Who is told: somebody now, somebody soon, or whoever looks."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


_KEEP_REPORT = "Keep the output of nvidia-bug-report.sh, and see what the driver asks for."


class Class(enum.Enum):
    """What an XID calls for: its word in xid.csv, how urgent it is, and what to do.

    ``IGNORE`` needs nobody, ``RECOVERY`` is told better by ``gpu_recovery_action``, and
    ``APPLICATION`` is the application's own mistake unless it comes again and again. ``action`` is
    the label of an alert, ``advice`` the same for people.
    """

    RESTART_NODE = (
        "restart_node",
        Severity.CRITICAL,
        "restart-node",
        "Drain the node and restart it.",
    )
    RESET_GPU = ("reset_gpu", Severity.CRITICAL, "reset-gpu", "Drain the GPU and reset it.")
    NVLINK = (
        "nvlink",
        Severity.CRITICAL,
        "reset-gpu",
        "Drain the GPUs at both ends of the link and reset them.",
    )
    CHECK_POWER = (
        "check_power",
        Severity.CRITICAL,
        "inspect",
        "Switch the node off and check the cables of the card.",
    )
    PLAN_RESET = ("plan_reset", Severity.WARNING, "plan-reset", "Reset the GPU when it is free.")
    INSPECT = ("inspect", Severity.WARNING, "inspect", "Look at it soon.")
    UNDOCUMENTED = ("undocumented", Severity.WARNING, "inspect", _KEEP_REPORT)
    UNUSED = ("unused", Severity.WARNING, "inspect", _KEEP_REPORT)
    APPLICATION = (
        "application",
        Severity.INFO,
        "restart-app",
        "Tell the owner; test the GPU where it comes from several applications.",
    )
    RECOVERY = ("recovery", Severity.INFO, "none", "See which recovery the driver asks for.")
    IGNORE = ("ignore", Severity.INFO, "none", "Nothing.")

    def __init__(self, word: str, severity: Severity, action: str, advice: str) -> None:
        self.word = word
        self.severity = severity
        self.action = action
        self.advice = advice


@dataclass(frozen=True)
class Xid:
    """One XID: its number, the driver's name of it, its class, and what it means in a sentence."""

    code: int
    name: str
    cls: Class
    means: str


def _read() -> dict[int, Xid]:
    words = {cls.word: cls for cls in Class}
    text = resources.files(__package__).joinpath("xid.csv").read_text("utf-8")
    return {
        int(row["code"]): Xid(int(row["code"]), row["name"], words[row["class"]], row["means"])
        for row in csv.DictReader(text.splitlines())
    }


XIDS: dict[int, Xid] = _read()


def codes(*classes: Class) -> list[int]:
    """The numbers of all XIDs of these classes, in their order."""
    return [xid.code for xid in XIDS.values() if xid.cls in classes]
