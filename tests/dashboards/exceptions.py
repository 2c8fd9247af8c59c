"""Panels that are rightly empty on the stage, and those that nobody can predict; and why."""

EMPTY = {
    "gpu-history: All held in": "as many GPUs are held all the time: never",
}
_TOO_OLD = "single processes are not kept by the hour"
_SINGLE = "there are no tiers"
# In some of the views alone.
EMPTY_IN = {
    "tiered, 40 days": {
        "gpu-card: Memory of processes": _TOO_OLD,
        "gpu-processes: Memory by process": _TOO_OLD,
        "gpu-processes: Processes that ended": _TOO_OLD,
    },
    "single, an hour": {
        "gpu-stack: Rollups behind": _SINGLE,
        "gpu-stack: Rollups pending": _SINGLE,
        "gpu-stack: Time of rollups": _SINGLE,
        "gpu-stack: Rollups that failed or came too early": _SINGLE,
    },
}
# What the machine that the tests run on may have, or not.
MAYBE_EMPTY = {
    "gpu-node: Network: errors and drops",
    "gpu-node: Pressure",
    "gpu-node: Disks: bytes",
    "gpu-node: Disks: time busy",
    "gpu-node: Fullest file system",
    "gpu-node: File systems",
    "gpu-node: Swap",
}
# What a GTX 1080 cannot tell, or what nobody does with it.
LACKING = {
    *("gpu-card: Corrected memory errors", "gpu-card: Uncorrected memory errors"),
    *("gpu-card: Memory errors", "gpu-card: Rows replaced", "gpu-card: Waits for a reset"),
    *("gpu-card: To be replaced", "gpu-card: Margin over time", "gpu-card: Pipes of the SMs"),
    *("gpu-card: NVLink errors", "gpu-card: NVLink traffic", "gpu-card: NVLinks up"),
    *("gpu-card: PCIe traffic", "gpu-card: PCIe errors", "gpu-card: Time of a frame"),
    *("gpu-card: Instances", "gpu-card: SM activity of instances"),
    *("gpu-card: Memory of instances", "gpu-card: XIDs", "gpu-card: Held by"),
    *("gpu-card: Processes on this GPU", "gpu-card: Memory of processes"),
    *("gpu-card: Use by owner", "gpu-card: What held the clocks down"),
    "gpu-card: Time held back in the time range",
}
_ALERTS = "alerts that fire: tests/rules has every case of theirs"
_MOMENT = "how much comes in the newest step of a graph depends on when that began"
_SWINGS = "one GPU changes its load all the time, and is in the sum"
_HOST = "the machine that the tests run on: no two moments of it are the same"
_PROGRAM = "what our programs need and do: no two moments of it are the same"
_WARM = "its newest step has the moments in which owners were still looked up"
_WAITED = "the first hour has the half of it in which nobody had wasted enough to be told"
_UNMODELLED = "the model does not have it"
_SAME = "emptiness is all that the scenario gives"


def _all(reason: str, board: str, *titles: str) -> dict[str, str]:
    return {f"{board}: {title}": reason for title in titles}


UNPREDICTED = {
    **_all(_ALERTS, "gpu-card", "Health"),
    **_all(_MOMENT, "gpu-card", "PCIe errors", "NVLink errors", "Memory errors"),
    **_all(_UNMODELLED, "gpu-card", "SM activity of instances", "Sessions", "Time of a frame"),
    **_all(_WARM, "gpu-card", "Use by owner"),
    **_all(_ALERTS, "gpu-fleet", "Unwell", "Critical alerts", "Alerts", "What is wrong"),
    **_all(_SWINGS, "gpu-fleet", "Power", "Power by cluster"),
    **_all(_ALERTS, "gpu-health", "Least health", "GPUs not well", "Critical alerts", "Warnings"),
    **_all(_ALERTS, "gpu-health", "Reasons", "What was wrong, and when"),
    **_all(_ALERTS, "gpu-health", "Alerts of the time range"),
    **_all(_MOMENT, "gpu-health", "XIDs over time", "XIDs by node", "Memory errors over time"),
    **_all(_ALERTS, "gpu-history", "Alerts by day"),
    **_all(_WAITED, "gpu-history", "GPU-hours wasted", "GPU-hours wasted by user"),
    **_all(_SAME, "gpu-history", "All held in"),
    **_all(_ALERTS, "gpu-node", "GPU health", "Alerts"),
    **_all(_SWINGS, "gpu-node", "Power of all GPUs"),
    **_all(_HOST, "gpu-node", "CPU", "CPU by what it does", "Load", "Memory of the machine"),
    **_all(_HOST, "gpu-node", "Pressure", "Disks: bytes", "Disks: time busy", "File systems"),
    **_all(_HOST, "gpu-node", "Fullest file system", "Swap", "Network: bytes"),
    **_all(_HOST, "gpu-node", "Network: errors and drops"),
    **_all(_HOST, "gpu-node", "Processes killed for want of memory"),
    **_all(_WARM, "gpu-processes", "GPUs by user"),
    **_all(_ALERTS, "gpu-stack", "Alerts", "Alerts by severity"),
    **_all(_PROGRAM, "gpu-stack", "Samples a second", "Series in use", "Disk lasts for"),
    **_all(_PROGRAM, "gpu-stack", "Cores of our programs", "Memory of our programs"),
    **_all(_PROGRAM, "gpu-stack", "Slowest scrapes", "Slowest readings", "Samples", "Disk"),
    **_all(_PROGRAM, "gpu-stack", "Exporters that take most", "Waiting to be stored", "Tiers"),
    **_all(_PROGRAM, "gpu-stack", "Lost on the way", "Time of queries", "New and slow"),
    **_all(_PROGRAM, "gpu-stack", "Rollups behind", "Rollups pending", "Time of rollups"),
    **_all(_PROGRAM, "gpu-stack", "Rollups that failed or came too early", "Time of rules"),
    **_all(_PROGRAM, "gpu-stack", "Messages"),
    **_all(_MOMENT, "gpu-stack", "Exporters that answer", "Offline, or without GPUs"),
}
