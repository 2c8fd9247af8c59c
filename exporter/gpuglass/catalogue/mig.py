"""MIG: the instances that a GPU is cut into.

``gpu_instance`` and ``compute_instance`` are the numbers that nvidia-smi shows. Compute instances
share the memory and the monitor of their GPU instance.
"""

from gpuglass.catalogue.model import Metric, Type, of_device

GAUGE, COUNTER, INFO = Type.GAUGE, Type.COUNTER, Type.INFO

_COMPUTE_INSTANCE = ("gpu_instance", "compute_instance", "profile")
_GPU_INSTANCE = ("gpu_instance", "profile")
_MEMORY = "nvmlDeviceGetMemoryInfo_v2, of the instance"
_GPM = "nvmlGpmMigSampleGet, nvmlGpmMetricsGet, metric"

MIG_INFO = of_device(
    "gpu_mig_info",
    INFO,
    "A MIG instance and what it has: slices of the GPU and SMs",
    "nvmlDeviceGetMigDeviceHandleByIndex, GpuInstanceId, ComputeInstanceId, Name, UUID, "
    "Attributes_v2",
    *_COMPUTE_INSTANCE,
    "mig_uuid",
    "gpu_slices",
    "compute_slices",
    "multiprocessors",
)
MEMORY_TOTAL = of_device(
    "gpu_mig_memory_total_bytes",
    GAUGE,
    "Memory of the GPU instance",
    _MEMORY,
    *_COMPUTE_INSTANCE,
    unit="bytes",
)
MEMORY_USED = of_device(
    "gpu_mig_memory_used_bytes",
    GAUGE,
    "Memory of the GPU instance that is allocated",
    _MEMORY,
    *_COMPUTE_INSTANCE,
    unit="bytes",
)
MEMORY_FREE = of_device(
    "gpu_mig_memory_free_bytes",
    GAUGE,
    "Memory of the GPU instance that can be allocated",
    _MEMORY,
    *_COMPUTE_INSTANCE,
    unit="bytes",
)
MEMORY_RESERVED = of_device(
    "gpu_mig_memory_reserved_bytes",
    GAUGE,
    "Memory of the GPU instance that the driver and the firmware keep for themselves",
    _MEMORY,
    *_COMPUTE_INSTANCE,
    unit="bytes",
)
ECC_ERRORS = of_device(
    "gpu_mig_ecc_errors_total",
    COUNTER,
    "Memory errors in the instance that ECC found, since the driver was loaded; "
    "NVML only tells uncorrected ones in SRAM",
    "nvmlDeviceGetMemoryErrorCounter, of the instance",
    *_COMPUTE_INSTANCE,
    "type",
    "location",
)
GRAPHICS_ACTIVE = of_device(
    "gpu_mig_graphics_active_ratio",
    GAUGE,
    "Share of time in which a compute or graphics context was at work in the instance",
    f"{_GPM} 1",
    *_GPU_INSTANCE,
    unit="ratio",
    digits=4,
)
SM_ACTIVE = of_device(
    "gpu_mig_sm_active_ratio",
    GAUGE,
    "Share of the instance's SMs that were busy, on the mean",
    f"{_GPM} 2",
    *_GPU_INSTANCE,
    unit="ratio",
    digits=4,
)
SM_OCCUPANCY = of_device(
    "gpu_mig_sm_occupancy_ratio",
    GAUGE,
    "Warps resident on the instance's SMs, as a share of the most that they can hold",
    f"{_GPM} 3",
    *_GPU_INSTANCE,
    unit="ratio",
    digits=4,
)
PIPE_ACTIVE = of_device(
    "gpu_mig_pipe_active_ratio",
    GAUGE,
    "Share of time in which a pipe of the instance's SMs was busy; tensor is any of those pipes",
    f"{_GPM}s 5 and 11 to 13",
    *_GPU_INSTANCE,
    "pipe",
    unit="ratio",
    digits=4,
)
DRAM_ACTIVE = of_device(
    "gpu_mig_dram_active_ratio",
    GAUGE,
    "Bandwidth of the instance's memory in use, as a share of the most that it can do",
    f"{_GPM} 10",
    *_GPU_INSTANCE,
    unit="ratio",
    digits=4,
)
PCIE_RATE = of_device(
    "gpu_mig_pcie_bytes_per_second",
    GAUGE,
    "Traffic over PCIe of the instance, as the GPU sees it",
    f"{_GPM}s 20 and 21",
    *_GPU_INSTANCE,
    "direction",
    unit="bytes_per_second",
    digits=0,
)
SM_ACTIVE_SECONDS = of_device(
    "gpu_mig_sm_active_seconds_total",
    COUNTER,
    "Time for which the instance's SMs were busy, weighted by how many of them",
    "gpu_mig_sm_active_ratio, integrated",
    *_GPU_INSTANCE,
    unit="seconds",
    digits=3,
)
DRAM_ACTIVE_SECONDS = of_device(
    "gpu_mig_dram_active_seconds_total",
    COUNTER,
    "Time for which the bandwidth of the instance's memory was in use, weighted by how much of it",
    "gpu_mig_dram_active_ratio, integrated",
    *_GPU_INSTANCE,
    unit="seconds",
    digits=3,
)

METRICS: tuple[Metric, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Metric)
)
