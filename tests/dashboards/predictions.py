"""What the other dashboards must show of the scenario."""

from tests.dashboards.expected import (
    AT,
    COUNTED,
    EVERY,
    HELD,
    HOUR,
    LAB,
    MEAN,
    OF_JOB,
    OF_MIXED,
    ONLINE,
    SIX_DAYS,
    TRAINING,
    counted,
    each,
    kilowatt_hours,
    load,
    of,
    one,
    total,
    used,
    watts,
)
from tests.dashboards.scenario import (
    CONTAINER,
    ENDED,
    ERRORS_A_SECOND,
    GONE,
    GPUS,
    HUNG_JOB,
    JOB,
    LATE_XID,
    MIXED,
    TRAIN,
    USER,
)
from tests.integration.stack import GPU_HOUR_PRICE, KWH_CARBON, KWH_PRICE, PUE
from tests.simulator import model

_FLEET = {
    "GPUs": one(len(ONLINE)),
    "Working": one(8),
    "Free": one(len(OF_MIXED)),
    "Wasted": one(1),
    "Slowed by heat": one(1),
    "Lost": one(0),
    "Nodes online": one(2),
    "Nodes offline": one(1),
    "Busy": counted((sum(map(load, TRAINING)) + 4 * LAB) / 10),
    "Memory held": one(sum(map(used, ONLINE)) / sum(map(total, ONLINE))),
    "Energy in range": counted(kilowatt_hours(EVERY), span=HOUR),
    "Energy cost / h": counted(kilowatt_hours(EVERY) * KWH_PRICE * PUE),
    "GPU-hours cost / h": counted(len(TRAINING) * GPU_HOUR_PRICE),
    "Map of GPUs": each("node gpu", {(TRAIN, "0"): 0.6, (TRAIN, "2"): 0.3}, "A", COUNTED),
    "Wasted now": each("node gpu user", {(TRAIN, "3", USER): used(TRAINING[3])}),
    "Nearest to slowing down": each(
        "node gpu", {(MIXED, "2"): OF_MIXED[2].preset.temp_max - OF_MIXED[2].preset.temp_slowdown}
    ),
    "Held back": each("node gpu reason", {(TRAIN, "1", "sw_power_cap"): 1}, "A", COUNTED),
    "Clusters, busiest first": each(
        "cluster", {("lab",): LAB, ("prod",): MEAN[TRAIN]}, "F", COUNTED
    ),
    "GPUs: there, held, working, wasted": counted(MEAN[TRAIN] * 6 + 4 * LAB, "C"),
    "Busy by cluster": each("cluster", {("lab",): LAB, ("prod",): MEAN[TRAIN]}, "A", COUNTED),
    "Busy by node": each("node", {(TRAIN,): MEAN[TRAIN]}, "A", COUNTED),
    "Power of the hungriest nodes": each(
        "node", {(MIXED,): sum(watts((MIXED, n)) for n in range(4))}
    ),
    "All nodes": each("node", {(TRAIN,): 1, (MIXED,): 1, (GONE,): 0}),
}
_JOBS = {
    "GPU-hours held": counted(len(TRAINING), span=HOUR),
    "GPU-hours busy": counted(sum(map(load, EVERY)), span=HOUR),
    "GPU-hours wasted": counted(1, span=HOUR),
    "Wasted of held": counted(1 / 6, span=HOUR),
    "Energy": counted(kilowatt_hours(EVERY), span=HOUR),
    "Cost of energy": counted(kilowatt_hours(EVERY) * KWH_PRICE * PUE, span=HOUR),
    "Cost of GPU-hours": counted(len(TRAINING) * GPU_HOUR_PRICE, span=HOUR),
    "Carbon": counted(kilowatt_hours(EVERY) * KWH_CARBON * PUE, span=HOUR),
    "GPUs held by users": each("user", {(USER,): len(TRAINING)}, "A", COUNTED),
    "GPUs wasted by users": each("user", {(USER,): 1}, "A", COUNTED),
    "Power by user": each("user", {(USER,): 1000 * kilowatt_hours(TRAINING)}, "A", COUNTED),
    "Users": each("user", {(USER,): sum(map(load, TRAINING))}, "B", COUNTED, HOUR),
    "Slurm jobs": each("job_id", {(JOB,): len(OF_JOB), (HUNG_JOB,): 1}, "A", COUNTED, HOUR),
    "Containers and pods": each("container", {(CONTAINER,): 1}, "D", COUNTED, HOUR),
    "GPUs held, and nothing runs": each("gpu container", {("3", CONTAINER): used(TRAINING[3])}),
    "Jobs that run": each("job_id", {(JOB,): len(OF_JOB), (HUNG_JOB,): 1}),
    "GPUs that lag behind their job": each("gpu activity", {("2", "busy"): 0.5}, "A", COUNTED),
    "Lag of jobs": each("job_id", {(JOB,): 0.5}, "A", COUNTED),
    "Jobs that seemed to hang": each("job_id", {(HUNG_JOB,): 1}),
    "GPUs busy at low power": each("node gpu", {(TRAIN, "5"): 1}),
}
_PROCESSES = {
    "Users": one(1),
    "Processes now": one(len(TRAINING)),
    "GPUs held": one(len(TRAINING)),
    "GPUs without a process": one(len(OF_MIXED)),
    "Memory held": one(HELD),
    "Of all memory": one(HELD / sum(map(total, ONLINE))),
    "Who holds GPUs now": each("user", {(USER,): HELD}, "C"),
    "Memory by user": each("user", {(USER,): HELD}),
    "Processes on GPUs": each("gpu pid", {("1", "102"): used(TRAINING[1])}),
    "Processes that ended": each("gpu pid", {("4", ENDED): used(TRAINING[4])}, span=HOUR),
    "Memory by process": each("gpu pid", {("1", "102"): used(TRAINING[1])}, span=HOUR),
}
_NODE = {
    "State": one(1),
    "GPUs lost": one(0),
    "GPUs of this node": each("gpu", of(TRAIN, load), "B"),
    "Who holds the GPUs": each("job_id", {(JOB,): sum(map(used, OF_JOB))}),
    "Utilisation of GPUs": each("gpu", of(TRAIN, load), "A", COUNTED),
    "Memory of GPUs": each("gpu", of(TRAIN, used)),
    "Power of GPUs": each("gpu", {(str(n),): watts((TRAIN, n)) for n in (0, 1, 2, 3, 5)}),
    "Temperature of GPUs": each("gpu sensor", {("1", "core"): model.temperature(TRAINING[1], AT)}),
    "GPUs held back": each("reason", {("power limit",): 1 / 6}, "A", COUNTED),
    "PCIe": each("gpu", {("1",): TRAINING[1].preset.pcie_rx_bytes * 0.8}, "A", COUNTED),
}
_HEALTH = {
    "Lost or silent": one(0),
    "Ask for recovery": one(0),
    "XIDs in range": counted(HOUR * ERRORS_A_SECOND + 1, span=HOUR),
    "Recovery and repair": each("node gpu", {(TRAIN, "1"): 1}, "B"),
    "XIDs, what they mean and call for": each("gpu xid", {("0", LATE_XID): 1}, "B", span=HOUR),
    "Memory errors and repairs": each("node gpu", {(TRAIN, "1"): 3}, "B"),
    "Links that are not as they should be": each("node gpu", {(TRAIN, "2"): 1}, "B"),
    "GPUs held back in the time range": each(
        "gpu reason", {("1", "sw_power_cap"): HOUR, ("2", "hw_thermal"): HOUR}, "A", COUNTED, HOUR
    ),
    "To be replaced": one(1),
    "Errors on links in the time range": each(
        "node gpu", {(TRAIN, "5"): HOUR * ERRORS_A_SECOND}, "A", COUNTED, HOUR
    ),
    "Throttling of nodes": each("node reason", {(TRAIN, "power limit"): 1 / 6}, "A", COUNTED),
}
_STACK = {
    "Programs down": one(0),
    "Exporters online": one(2),
    "Exporters offline": one(1),
    "Files with mistakes": one(0),
    "Our programs": each("job", {(name,): 1 for name in ("keeper", "vmagent", "vmalert")}),
    "Rules that fail": one(0),
    "Who is told": one(1),
    "Faults of the keeper": one(0),
    "Files of targets": each("file", {("fleet.yml",): len(GPUS)}, "B"),
    "Files of your own rules": each("file", {("own.yml",): 1}, "B"),
}
_HISTORY = {
    "GPU-hours held": counted(6 * 24 * len(TRAINING), span=SIX_DAYS),
    "GPU-hours worked": counted(6 * 24 * sum(map(load, EVERY)), span=SIX_DAYS),
    "Energy used": counted(6 * 24 * kilowatt_hours(EVERY), span=SIX_DAYS),
    "Energy cost": counted(6 * 24 * kilowatt_hours(EVERY) * KWH_PRICE * PUE, span=SIX_DAYS),
    "Carbon": counted(6 * 24 * kilowatt_hours(EVERY) * KWH_CARBON * PUE, span=SIX_DAYS),
    "Clusters now and before": each(
        "cluster", {("prod",): 6 * 24 * len(TRAINING)}, "A", COUNTED, SIX_DAYS
    ),
    "Memory by cluster, by day": each(
        "cluster", {("prod",): HELD / sum(map(total, TRAINING))}, "A", COUNTED
    ),
    "Least available nodes": each("node", {(TRAIN,): 1}),
    "GPUs with most errors": each(
        "node gpu", {(TRAIN, "4"): SIX_DAYS * ERRORS_A_SECOND}, "A", COUNTED, SIX_DAYS
    ),
    "Most held at once": counted(len(TRAINING) / len(EVERY)),
    "GPUs by day": counted(len(TRAINING), "B"),
    "Busy by cluster, by day": each("cluster", {("prod",): MEAN[TRAIN]}, "A", COUNTED),
    "Held now and before": counted(len(TRAINING)),
    "Energy now and before": counted(24 * kilowatt_hours(EVERY)),
    "GPU-hours held by user": each("user", {(USER,): 24 * len(TRAINING)}, "A", COUNTED),
    "Energy by cluster": each("cluster", {("prod",): 24 * kilowatt_hours(TRAINING)}, "A", COUNTED),
    "Cost by cluster": each(
        "cluster", {("prod",): 24 * kilowatt_hours(TRAINING) * KWH_PRICE * PUE}, "A", COUNTED
    ),
    "Held in 30 days": counted(len(TRAINING)),
    "XIDs by day": each("xid", {("43",): 86400 * ERRORS_A_SECOND}, "A", COUNTED),
    "Hottest nodes": each("node", {(MIXED,): OF_MIXED[2].preset.temp_slowdown}),
}
# By dashboard, by the panel's title. Where one node can be chosen, it is TRAIN.
PREDICTED = {
    "gpu-fleet": _FLEET,
    "gpu-node": _NODE,
    "gpu-processes": _PROCESSES,
    "gpu-jobs": _JOBS,
    "gpu-health": _HEALTH,
    "gpu-history": _HISTORY,
    "gpu-stack": _STACK,
}
