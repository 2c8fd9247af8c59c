"""The groups of facts that are read of a GPU: what can be switched off, and how often each is read.

The process that serves the page needs them for its flags, the probe to know what to read.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass


class Tempo(enum.Enum):
    """How often a group is read unless its own setting says otherwise."""

    FAST = "--probe.interval"
    SLOW = "--probe.slow-interval"
    RARE = "1m"


_RARE_SECONDS = 60.0


@dataclass(frozen=True)
class Group:
    """Facts that are read together.

    Attributes:
        name: What ``--collector.NAME``, ``--no-collector.NAME`` and ``--interval.NAME`` call it.
        help: What it publishes, to complete "Publish ...".
        tempo: How often it is read by default.
    """

    name: str
    help: str
    tempo: Tempo


CORE = "core"
MIG = "mig"
PROCESSES = "processes"

# All but the first can be switched off; the first is what a GPU is watched for.
GROUPS = (
    Group(
        CORE, "utilisation, memory, power, temperature, clocks and throttling of GPUs", Tempo.FAST
    ),
    Group("engines", "use and clock of the GPUs' media engines", Tempo.SLOW),
    Group("fans", "the GPUs' fans", Tempo.SLOW),
    Group("gpm", "what SMs, memory and links of Hopper and newer cards do", Tempo.FAST),
    Group("limits", "what the GPUs may draw, and how fast they may run", Tempo.SLOW),
    Group(MIG, "the GPUs' MIG instances", Tempo.SLOW),
    Group(PROCESSES, "the processes on GPUs, and who owns them", Tempo.FAST),
    Group("pcie", "what the GPUs' PCIe links carry", Tempo.FAST),
    Group("pcie_state", "state and errors of the GPUs' PCIe links", Tempo.SLOW),
    Group("nvlink", "what the GPUs' NVLinks carry", Tempo.FAST),
    Group("nvlink_state", "state and errors of the GPUs' NVLinks", Tempo.SLOW),
    Group("c2c", "the links between GPUs and processors on one module", Tempo.SLOW),
    Group("fabric", "how the GPUs take part in the fabric of NVSwitches", Tempo.SLOW),
    Group("ecc", "the GPUs' memory errors", Tempo.SLOW),
    Group("remapping", "memory of the GPUs that was taken out of use", Tempo.SLOW),
    Group("health", "what the GPUs need to work again", Tempo.SLOW),
    Group("modes", "how the GPUs are set up, and where they sit", Tempo.RARE),
    Group("ratings", "the GPUs' highest clocks and temperatures", Tempo.RARE),
    Group("sessions", "sessions of video encoders and frame capture", Tempo.SLOW),
    Group("smoothing", "the GPUs' power smoothing", Tempo.SLOW),
    Group("confidential", "confidential computing on the GPUs", Tempo.SLOW),
    Group("vgpu", "virtual GPUs", Tempo.SLOW),
    Group("samples", "means and peaks of the last minute from the driver's buffers", Tempo.FAST),
)


def intervals(
    fast: float, slow: float, wanted: Mapping[str, bool], own: Mapping[str, float | None]
) -> dict[str, float]:
    """How often to read each group, in seconds.

    Args:
        fast: Seconds between two readings of the fast groups.
        slow: Seconds between two readings of the slow groups.
        wanted: Groups that are switched on or off; the others are on.
        own: Groups that have a tempo of their own, in seconds.

    Returns:
        The groups to read, the core first; none more often than ``fast``.
    """
    by_tempo = {Tempo.FAST: fast, Tempo.SLOW: slow, Tempo.RARE: max(slow, _RARE_SECONDS)}
    return {
        group.name: max(fast, own.get(group.name) or by_tempo[group.tempo])
        for group in GROUPS
        if group.name == CORE or wanted.get(group.name, True)
    }


def patience(interval: float) -> float:
    """How many seconds old a reading may be that is due at each interval: it can be late."""
    return max(3 * interval, 5.0)
