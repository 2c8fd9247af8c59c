"""Who uses a GPU: its processes, and the people, containers and jobs that own them.

On a GPU that is cut into MIG instances, each process has the instance's numbers in the labels that
the instance's own metrics have too; on another GPU these are empty.
"""

from gpuglass.catalogue.model import Metric, Rollup, Type, of_device

GAUGE, COUNTER, INFO = Type.GAUGE, Type.COUNTER, Type.INFO
_PROCESS = ("pid", "name", "user", "gpu_instance", "compute_instance")
_OWNER = ("user", "container", "namespace", "pod", "job_id")
_LISTS = (
    "nvmlDeviceGetComputeRunningProcesses_v3, GraphicsRunningProcesses_v3, "
    "MPSComputeRunningProcesses_v3"
)
_SAMPLES = "nvmlDeviceGetProcessUtilization"


def _of_process(name: str, help: str, source: str, unit: str) -> Metric:
    return of_device(name, GAUGE, help, source, *_PROCESS, unit=unit, rollup=Rollup.MINUTE)


# Processes. The largest have series of their own; the rest is summed as pid="others".

PROCESSES = of_device("gpu_processes", GAUGE, "Processes on the GPU", _LISTS)
PROCESS_INFO = of_device(
    "gpu_process_info",
    INFO,
    "A process on the GPU and what it runs in; a label that is not known is empty",
    f"{_LISTS}; /proc/PID",
    *_PROCESS,
    "type",
    "container",
    "namespace",
    "pod",
    "job_id",
    "command",
    rollup=Rollup.NONE,
)
PROCESS_START = _of_process(
    "gpu_process_start_time_seconds",
    "Unix time at which the process started",
    "/proc/PID/stat",
    "seconds",
)
PROCESS_MEMORY = _of_process(
    "gpu_process_memory_used_bytes", "Device memory that the process holds", _LISTS, "bytes"
)
PROCESS_SM = _of_process(
    "gpu_process_sm_utilization_ratio",
    "Share of the last second or so in which a kernel of the process ran",
    _SAMPLES,
    "ratio",
)
PROCESS_MEMORY_ACTIVITY = _of_process(
    "gpu_process_memory_activity_ratio",
    "Share of the last second or so in which the process read or wrote device memory",
    _SAMPLES,
    "ratio",
)
PROCESS_ENCODER = _of_process(
    "gpu_process_encoder_utilization_ratio",
    "Share of the last second or so in which the process encoded",
    _SAMPLES,
    "ratio",
)
PROCESS_DECODER = _of_process(
    "gpu_process_decoder_utilization_ratio",
    "Share of the last second or so in which the process decoded",
    _SAMPLES,
    "ratio",
)

# Owners. Their counters add up to the GPU's own; what nobody owns is user="unattributed".

OWNER_PROCESSES = of_device(
    "gpu_owner_processes",
    GAUGE,
    "Processes of the owner on the GPU",
    f"{_LISTS}; /proc/PID",
    *_OWNER,
)
OWNER_MEMORY = of_device(
    "gpu_owner_memory_used_bytes",
    GAUGE,
    "Device memory that the owner's processes hold",
    f"{_LISTS}; /proc/PID",
    *_OWNER,
    unit="bytes",
)
OWNER_BUSY = of_device(
    "gpu_owner_busy_seconds_total",
    COUNTER,
    "The owner's part of gpu_busy_seconds_total since the exporter started",
    "split by SM time, else by memory: see gpu_source_info",
    *_OWNER,
    unit="seconds",
    digits=3,
)
OWNER_ENERGY = of_device(
    "gpu_owner_energy_joules_total",
    COUNTER,
    "The owner's part of gpu_energy_joules_total since the exporter started",
    "split by SM time, else by memory: see gpu_source_info",
    *_OWNER,
    unit="joules",
    digits=3,
)
OWNER_ALLOCATED = of_device(
    "gpu_owner_allocated_seconds_total",
    COUNTER,
    "The owner's part of gpu_allocated_seconds_total: a GPU that several hold is split by memory",
    _LISTS,
    *_OWNER,
    unit="seconds",
    digits=3,
)
ALLOCATED = of_device(
    "gpu_allocated_seconds_total",
    COUNTER,
    "Time in which at least one process held the GPU, since the exporter started",
    _LISTS,
    unit="seconds",
    digits=3,
)

METRICS: tuple[Metric, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Metric)
)
