"""How busy a GPU is, in more detail than its utilisation: recent peaks, and what its SMs do."""

from gpuglass.catalogue.model import Metric, Type, of_device

GAUGE, COUNTER = Type.GAUGE, Type.COUNTER

WINDOW_SECONDS = 60

_SAMPLES = "nvmlDeviceGetSamples, else what is read at the sampling rate"
_GPM = "nvmlGpmMetricsGet, metric"

# The last minute, from the driver's buffers

POWER_MEAN = of_device(
    "gpu_power_mean_watts",
    GAUGE,
    "Mean power draw of the last 60 s",
    _SAMPLES,
    unit="watts",
    digits=1,
)
POWER_PEAK = of_device(
    "gpu_power_peak_watts",
    GAUGE,
    "Highest power draw of the last 60 s",
    _SAMPLES,
    unit="watts",
    digits=1,
)
UTILIZATION_MEAN = of_device(
    "gpu_utilization_mean_ratio",
    GAUGE,
    "Share of the last 60 s in which at least one kernel ran",
    _SAMPLES,
    unit="ratio",
    digits=4,
)
UTILIZATION_PEAK = of_device(
    "gpu_utilization_peak_ratio",
    GAUGE,
    "Highest utilisation in the last 60 s",
    _SAMPLES,
    unit="ratio",
)
MEMORY_ACTIVITY_MEAN = of_device(
    "gpu_memory_activity_mean_ratio",
    GAUGE,
    "Share of the last 60 s in which memory was read or written",
    _SAMPLES,
    unit="ratio",
    digits=4,
)
MEMORY_ACTIVITY_PEAK = of_device(
    "gpu_memory_activity_peak_ratio",
    GAUGE,
    "Highest memory activity in the last 60 s",
    _SAMPLES,
    unit="ratio",
)
CLOCK_MEAN = of_device(
    "gpu_clock_mean_hertz",
    GAUGE,
    "Mean clock of the last 60 s",
    _SAMPLES,
    "domain",
    unit="hertz",
    digits=0,
)
CLOCK_PEAK = of_device(
    "gpu_clock_peak_hertz",
    GAUGE,
    "Highest clock in the last 60 s",
    _SAMPLES,
    "domain",
    unit="hertz",
)

# The performance monitor of Hopper and newer: means over the time between two readings

GRAPHICS_ACTIVE = of_device(
    "gpu_graphics_active_ratio",
    GAUGE,
    "Share of time in which a compute or graphics context was at work",
    f"{_GPM} 1",
    unit="ratio",
    digits=4,
)
SM_ACTIVE = of_device(
    "gpu_sm_active_ratio",
    GAUGE,
    "Share of the SMs that were busy, on the mean",
    f"{_GPM} 2",
    unit="ratio",
    digits=4,
)
SM_OCCUPANCY = of_device(
    "gpu_sm_occupancy_ratio",
    GAUGE,
    "Warps resident on the SMs, as a share of the most that they can hold",
    f"{_GPM} 3",
    unit="ratio",
    digits=4,
)
PIPE_ACTIVE = of_device(
    "gpu_pipe_active_ratio",
    GAUGE,
    "Share of time in which a pipe of the SMs was busy; tensor is any of the tensor pipes",
    f"{_GPM}s 4 to 9 and 11 to 13",
    "pipe",
    unit="ratio",
    digits=4,
)
DRAM_ACTIVE = of_device(
    "gpu_dram_active_ratio",
    GAUGE,
    "Bandwidth of device memory in use, as a share of the most that it can do",
    f"{_GPM} 10",
    unit="ratio",
    digits=4,
)
ENGINE_ACTIVE = of_device(
    "gpu_engine_active_ratio",
    GAUGE,
    "Share of time in which one of the media engines was busy",
    f"{_GPM}s 30 to 51 and 166 to 169",
    "engine",
    "number",
    unit="ratio",
    digits=4,
)
CACHE_HIT = of_device(
    "gpu_cache_hit_ratio",
    GAUGE,
    "Share of the accesses to device, host or peer memory that the cache answered",
    f"{_GPM}s 160, 162 and 164",
    "memory",
    unit="ratio",
    digits=4,
)
PCIE_RATE = of_device(
    "gpu_pcie_bytes_per_second",
    GAUGE,
    "Traffic over PCIe, as the GPU sees it",
    f"{_GPM}s 20 and 21",
    "direction",
    unit="bytes_per_second",
    digits=0,
)
C2C_RATE = of_device(
    "gpu_c2c_bytes_per_second",
    GAUGE,
    "Payload between GPU and processor, over all links of the module",
    f"{_GPM}s 102 and 103 (Grace)",
    "direction",
    unit="bytes_per_second",
    digits=0,
)
NVLINK_RATE = of_device(
    "gpu_nvlink_bytes_per_second",
    GAUGE,
    "Traffic over all NVLinks, as the GPU sees it",
    f"{_GPM}s 60 and 61",
    "direction",
    unit="bytes_per_second",
    digits=0,
)
SM_ACTIVE_SECONDS = of_device(
    "gpu_sm_active_seconds_total",
    COUNTER,
    "Time for which the SMs were busy, weighted by how many of them",
    "gpu_sm_active_ratio, integrated",
    unit="seconds",
    digits=3,
)
DRAM_ACTIVE_SECONDS = of_device(
    "gpu_dram_active_seconds_total",
    COUNTER,
    "Time for which the bandwidth of device memory was in use, weighted by how much of it",
    "gpu_dram_active_ratio, integrated",
    unit="seconds",
    digits=3,
)

METRICS: tuple[Metric, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Metric)
)
