"""gpu-jobs, its lower half: what holds GPUs in vain now, lags behind its job, or hangs."""

from collections.abc import Iterator

from grafana.builder import links
from grafana.builder.grids import Column, table
from grafana.builder.meanings import HARMFUL
from grafana.builder.model import Query, Row, row
from grafana.builder.panels import state_timeline, timeseries
from grafana.builder.queries import MOST_ROWS
from grafana.builder.style import WARMER, Steps

_JOB = "cluster, job_id, user"
_GPU = "cluster, node, gpu, uuid"
_OWNER = f"{_GPU}, user, job_id, container, namespace, pod"
# Of a share by which a GPU lags behind.
LAG: Steps = ((None, "green"), (0.1, "yellow"), (0.3, "red"))
_ACTIVITIES = {
    "busy": ("time with any kernel", "text"),
    "sm": ("activity of the SMs", "text"),
    "clock": ("clock", "text"),
}
_MOST_CURVES = 12


def rows() -> Iterator[Row]:
    """From top to bottom."""
    yield _held_in_vain()
    yield _jobs_now()
    yield _stragglers()
    yield _hangs()


def _held_in_vain() -> Row:
    idle = "gpu:utilization_peak_ratio:max30m{$clusters} < 0.02"
    vain = (
        f"sum by ({_OWNER}) (gpu_owner_memory_used_bytes{{$users}} and on (instance, uuid) {idle})"
    )
    largest = f"topk({MOST_ROWS}, {vain} > 0)"
    last = f"max by ({_GPU}) (tlast_change_over_time(gpu:busy_ratio:avg5m{{$clusters}}[1d]))"
    return row(
        "Held in vain now",
        table(
            "GPUs held, and nothing runs",
            "GPUs on which nothing has run for half an hour, and who holds their memory. The time "
            "of the last work is known for a day; before that the column is empty.",
            Column("Memory held", largest, unit="bytes", width=120),
            Column(
                "Of the GPU",
                f"{largest} / on ({_GPU}) group_left () "
                f"max by ({_GPU}) (gpu_memory_total_bytes{{$clusters}})",
                unit="percentunit",
                look="bar",
                steps=WARMER,
                width=140,
            ),
            Column(
                "Last work",
                f"({largest} * 0 + 1) * on ({_GPU}) group_left () ({last} * 1000)",
                unit="dateTimeFromNow",
                width=140,
            ),
            labels={
                "cluster": "Cluster",
                "node": "Node",
                "gpu": "GPU",
                "user": "User",
                "job_id": "Job",
                "container": "Container",
                "namespace": "Namespace",
                "pod": "Pod",
                "uuid": "",
            },
            links={
                "Node": links.NODE_OF_ROW,
                "GPU": links.CARD_OF_ROW,
                "User": links.USER_OF_ROW,
                "Job": links.PROCESSES_OF_ROW,
            },
            sort="Memory held",
            empty="Everything that is held is in use",
        ),
    )


def _jobs_now() -> Row:
    matched = '{$users,job_id!=""}'
    on_gpus = f"sum by ({_JOB}, instance, node, uuid) (gpu_owner_processes{matched}) > 0"
    largest = f"topk({MOST_ROWS}, count by ({_JOB}) ({on_gpus}))"

    def of_these(value: str) -> str:
        return f"max by ({_JOB}) ({value}) and on ({_JOB}) {largest}"

    return row(
        "Slurm jobs now",
        table(
            "Jobs that run",
            f"Slurm jobs with processes on GPUs now, the {MOST_ROWS} on most GPUs. Lag is by how "
            "much the least active GPU is below the median of its job, in jobs of three GPUs or "
            "more.",
            Column("GPUs", largest, unit="short", width=80),
            Column(
                "Nodes",
                f"count by ({_JOB}) (count by ({_JOB}, node) ({on_gpus})) "
                f"and on ({_JOB}) {largest}",
                unit="short",
                width=80,
            ),
            Column(
                "Busy",
                of_these(f"job:busy_ratio:avg5m{matched}"),
                unit="percentunit",
                look="bar",
                steps=WARMER,
                width=140,
            ),
            Column(
                "Memory",
                f"sum by ({_JOB}) (gpu_owner_memory_used_bytes{matched}) and on ({_JOB}) {largest}",
                unit="bytes",
                width=110,
            ),
            Column("Power", of_these(f"job:power_watts:avg5m{matched}"), unit="watt", width=100),
            Column(
                "Held back",
                of_these(f"job:throttled_ratio:avg5m{matched}"),
                unit="percentunit",
                steps=LAG,
                decimals=0,
                width=100,
            ),
            Column(
                "Lag",
                of_these(f"job:straggler_ratio:max{matched}"),
                unit="percentunit",
                steps=LAG,
                decimals=0,
                width=80,
            ),
            Column(
                "Hangs",
                of_these(f"job:hang_suspected:min{matched}"),
                unit="short",
                mappings={"0": ("no", "green"), "1": ("it may", "red")},
                width=90,
            ),
            labels={"job_id": "Job", "user": "User", "cluster": "Cluster"},
            links={"User": links.USER_OF_ROW, "Job": links.PROCESSES_OF_ROW},
            sort="GPUs",
            empty="No Slurm job has processes on GPUs",
        ),
    )


def _stragglers() -> Row:
    matched = "{$users}"
    by = f"{_GPU}, job_id, user, activity"
    behind = f"topk(50, max by ({by}) (gpu:straggler_ratio:avg5m{matched}) > 0.05)"
    harmful = "|".join(HARMFUL)
    return row(
        "Stragglers",
        table(
            "GPUs that lag behind their job",
            "By how much each GPU is less active than the median of its job, the worst first, in "
            "jobs of three GPUs or more that work. All others wait for it. Held back is the share "
            "of the last 5 minutes in which heat, power or the like held its clocks down.",
            Column(
                "Behind",
                behind,
                unit="percentunit",
                look="bar",
                steps=LAG,
                width=150,
            ),
            Column(
                "Held back",
                f"{behind} * 0 + on ({_GPU}) group_left () "
                f'max by ({_GPU}) (gpu:throttled_ratio:avg5m{{$clusters,reason=~"{harmful}"}})',
                unit="percentunit",
                steps=LAG,
                decimals=0,
                width=100,
            ),
            labels={
                "job_id": "Job",
                "user": "User",
                "cluster": "Cluster",
                "node": "Node",
                "gpu": "GPU",
                "activity": "Compared by",
                "uuid": "",
            },
            words={"Compared by": _ACTIVITIES},
            links={
                "Node": links.NODE_OF_ROW,
                "GPU": links.CARD_OF_ROW,
                "User": links.USER_OF_ROW,
                "Job": links.PROCESSES_OF_ROW,
            },
            sort="Behind",
            width=14,
            empty="No GPU lags behind its job",
        ),
        timeseries(
            "Lag of jobs",
            "By how much the least active GPU of a job lagged behind its median; the "
            f"{_MOST_CURVES} worst.",
            Query(
                f"topk_max({_MOST_CURVES}, max by (job_id, user) ("
                f"max_over_time(job:straggler_ratio:max${{max}}{matched}[$__interval])))",
                "{{job_id}} {{user}}",
            ),
            unit="percentunit",
            top=1,
            width=10,
            height=9,
            calcs=("max",),
            empty="No job of three GPUs or more",
        ),
    )


def _hangs() -> Row:
    by = "cluster, job_id, user"
    return row(
        "Hangs",
        state_timeline(
            "Jobs that seemed to hang",
            "Red where all GPUs of a job ran kernels without a pause at less than a third of their "
            "power for 10 minutes, as when a collective operation waits for somebody who never "
            "comes. Some light work looks the same: ask its owner.",
            Query(
                f"topk_max(20, max by ({by}) ("
                "max_over_time(job:hang_suspected:min${max}"
                '{$users,job_id!=""}[$__interval])) > 0)',
                "{{job_id}} {{user}}",
            ),
            mappings={"1": ("seems to hang", "red")},
            unit="short",
            width=12,
            height=7,
            empty="No job seemed to hang",
        ),
        state_timeline(
            "GPUs busy at low power",
            "The same of single GPUs, whether or not they belong to a job.",
            Query(
                f"topk_max(20, max by ({_GPU}) ("
                "max_over_time(gpu:hang_suspected:min10m${max}{$clusters}[$__interval])) > 0)",
                "{{node}} GPU {{gpu}}",
            ),
            mappings={"1": ("busy at low power", "orange")},
            unit="short",
            width=12,
            height=7,
            empty="No GPU was busy at low power",
            links=(links.CARD,),
        ),
    )
