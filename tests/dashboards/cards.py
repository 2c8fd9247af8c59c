"""What the dashboard of a GPU must show."""

from tests.dashboards.expected import (
    AT,
    COUNTED,
    FORTY_DAYS,
    GIB,
    HOUR,
    OF_MIXED,
    TRAINING,
    Expected,
    Key,
    Which,
    counted,
    each,
    kilowatt_hours,
    load,
    one,
    total,
    used,
    watts,
)
from tests.dashboards.scenario import ERRORS_A_SECOND, GPUS, MIXED, PEAK, TRAIN, USER
from tests.simulator import model


def _card(which: Which) -> dict[str, Expected]:
    """The dashboard of a GPU."""
    gpu = GPUS[which[0]][which[1]]
    preset, busy = gpu.preset, load(gpu)
    core = model.temperature(gpu, AT)
    heat: dict[Key, float] = {("core",): core}
    if preset.memory_temp_idle:
        heat["memory",] = model.memory_temperature(gpu, AT)
    found = {
        "Card": each("name", {(preset.name,): 1}),
        "Utilisation": one(busy),
        "Memory in use": one(used(gpu) / total(gpu)),
        "Power of its limit": one(watts(which) * 1000 / gpu.limit),
        "Core temperature": one(core),
        "Margin to slowdown": one(preset.temp_max - core),
        "Energy in range": counted(kilowatt_hours([gpu]), span=HOUR),
        "Utilisation, SMs and tensor cores": one(busy),
        "Allocated memory": one(used(gpu)),
        "Memory activity": one(model.memory_utilization_percent(gpu, AT) / 100),
        "Power": one(watts(which)),
        "Temperatures": each("sensor", heat),
        "Margin over time": one(preset.temp_max - core),
        "Clocks": each(
            "domain",
            {
                ("sm",): model.sm_clock_mhz(gpu, AT) * 1e6,
                ("memory",): model.memory_clock_mhz(gpu, AT) * 1e6,
            },
        ),
        "Driver asks for": one(0),
    }
    return {
        **found,
        **(_of_a_server(which, busy) if which[0] == TRAIN else {}),
        **_CARDS.get(which, {}),
    }


def _of_a_server(which: Which, busy: float) -> dict[str, Expected]:
    """What an H200 that somebody holds shows besides."""
    gpu = GPUS[which[0]][which[1]]
    preset = gpu.preset
    held = each("user", {(USER,): gpu.process_memory})
    sick = int(which == (TRAIN, 1))
    nvlink = preset.nvlink_links * preset.nvlink_kib * 1024 * busy
    return {
        "Held by": held,
        "Pipes of the SMs": each("pipe", {("tensor",): 0.6 * busy}),
        "PCIe traffic": counted(preset.pcie_tx_bytes * busy),
        "NVLink traffic": counted(nvlink),
        "NVLinks up": one(preset.nvlink_links - (which == (TRAIN, 2))),
        "Uncorrected memory errors": one(0),
        "Corrected memory errors": one(3 * sick),
        "Rows replaced": one(sick),
        "Waits for a reset": one(sick),
        "To be replaced": one(0),
        "Processes on this GPU": held,
        "Facts that are missing, and why": each("group why", {("mig", "mig_off"): 0}),
        "Where counters come from": each(
            "metric source", {("gpu_busy_seconds_total", "buffers"): 1}
        ),
    }


# What one of them has and no other.
_CARDS: dict[Which, dict[str, Expected]] = {
    (TRAIN, 1): {
        "What held the clocks down": each("reason", {("power limit",): 1}, "A", COUNTED),
        "Time held back in the time range": each(
            "reason", {("sw_power_cap",): HOUR}, "A", COUNTED, HOUR
        ),
        "Reasons in force": each("reason", {("power limit",): 1}),
    },
    (MIXED, 0): {"Fans": one(model.fan_percent(OF_MIXED[0], AT) / 100)},
    (MIXED, 2): {"Encoder and decoder": each("engine", {("decoder",): 0.3, ("encoder",): 0.2})},
}


# Some show what the steady ones have not.
_OTHERS: dict[Which, dict[str, Expected]] = {
    (TRAIN, 4): {
        "Utilisation, SMs and tensor cores": one(0.8, "B"),
        # What is least and most is kept beside the average.
        "Temperatures": each("sensor", {("core",): PEAK}, span=FORTY_DAYS),
        "XIDs": each("xid", {("43",): HOUR * ERRORS_A_SECOND}, "B", COUNTED, HOUR),
        "Memory of processes": each("pid", {("105",): used(TRAINING[4])}, span=HOUR),
    },
    (MIXED, 3): {
        "Instances": each("profile", {("3g.71gb",): 10 * GIB}, "B"),
        "Memory of instances": each("profile", {("3g.71gb",): 10 * GIB}),
    },
}
CARDS = [(TRAIN, 1), (TRAIN, 2), (MIXED, 0), (MIXED, 2), *_OTHERS]


def card(which: Which) -> dict[str, Expected]:
    """What the dashboard of a GPU must show, by the panel's title.

    Args:
        which: Its node, and its number there.
    """
    return _OTHERS.get(which) or _card(which)
