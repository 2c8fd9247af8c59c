"""Confidential computing."""

from gpuglass.catalogue.model import Metric, Type, of_device

GAUGE = Type.GAUGE

MODE = of_device(
    "gpu_confidential_compute_mode",
    GAUGE,
    "1 if confidential computing is on, for all GPUs of the node; 0 if not",
    "nvmlSystemGetConfComputeState (Hopper and newer)",
)
DEVTOOLS_MODE = of_device(
    "gpu_confidential_compute_devtools_mode",
    GAUGE,
    "1 if confidential computing lets debuggers in; 0 if not",
    "nvmlSystemGetConfComputeState (Hopper and newer)",
)
READY = of_device(
    "gpu_confidential_compute_ready",
    GAUGE,
    "1 if the GPUs of the node take confidential work; 0 if not",
    "nvmlSystemGetConfComputeGpusReadyState (Hopper and newer)",
)
PROTECTED_TOTAL = of_device(
    "gpu_protected_memory_total_bytes",
    GAUGE,
    "Device memory that is protected",
    "nvmlDeviceGetConfComputeProtectedMemoryUsage, else nvmlDeviceGetConfComputeMemSizeInfo "
    "(Hopper and newer)",
    unit="bytes",
)
PROTECTED_USED = of_device(
    "gpu_protected_memory_used_bytes",
    GAUGE,
    "Protected device memory that is allocated",
    "nvmlDeviceGetConfComputeProtectedMemoryUsage (Hopper and newer)",
    unit="bytes",
)
PROTECTED_FREE = of_device(
    "gpu_protected_memory_free_bytes",
    GAUGE,
    "Protected device memory that can be allocated",
    "nvmlDeviceGetConfComputeProtectedMemoryUsage (Hopper and newer)",
    unit="bytes",
)
UNPROTECTED_TOTAL = of_device(
    "gpu_unprotected_memory_total_bytes",
    GAUGE,
    "Device memory that is not protected",
    "nvmlDeviceGetConfComputeMemSizeInfo (Hopper and newer)",
    unit="bytes",
)

METRICS: tuple[Metric, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Metric)
)
