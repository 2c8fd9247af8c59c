"""Virtual GPUs, as their host and as a guest see them."""

from gpuglass.catalogue.model import Metric, Type, of_device

GAUGE, INFO = Type.GAUGE, Type.INFO

INSTANCES = of_device(
    "gpu_vgpu_instances",
    GAUGE,
    "Virtual GPUs that run on the GPU",
    "nvmlDeviceGetActiveVgpus (hosts of vGPUs)",
)
INSTANCE_INFO = of_device(
    "gpu_vgpu_info",
    INFO,
    "A virtual GPU, its machine, its type and the driver in the machine, once there is one",
    "nvmlVgpuInstanceGetUUID, VmID, Type, VmDriverVersion; nvmlVgpuTypeGetName (hosts of vGPUs)",
    "vgpu",
    "vm",
    "type",
    "driver_version",
)
MEMORY_TOTAL = of_device(
    "gpu_vgpu_memory_total_bytes",
    GAUGE,
    "Device memory of the virtual GPU",
    "nvmlVgpuTypeGetFramebufferSize (hosts of vGPUs)",
    "vgpu",
    unit="bytes",
)
MEMORY_USED = of_device(
    "gpu_vgpu_memory_used_bytes",
    GAUGE,
    "Device memory of the virtual GPU that is allocated",
    "nvmlVgpuInstanceGetFbUsage (hosts of vGPUs)",
    "vgpu",
    unit="bytes",
)
LICENSED = of_device(
    "gpu_vgpu_licensed",
    GAUGE,
    "1 if the virtual GPU has a licence; 0 if not",
    "nvmlVgpuInstanceGetLicenseInfo_v2, else nvmlVgpuInstanceGetLicenseStatus (hosts of vGPUs)",
    "vgpu",
)
UTILIZATION = of_device(
    "gpu_vgpu_utilization_ratio",
    GAUGE,
    "Share of the GPU's time that the virtual GPU has used since the last reading, by engine: sm, "
    "memory, encoder, decoder",
    "nvmlDeviceGetVgpuUtilization (hosts of vGPUs)",
    "vgpu",
    "engine",
    unit="ratio",
)
HOST_MODE = of_device(
    "gpu_vgpu_host_mode",
    GAUGE,
    "How the host offers virtual GPUs: 0 without SR-IOV, 1 with it",
    "nvmlDeviceGetHostVgpuMode (hosts of vGPUs)",
)
SCHEDULER_POLICY = of_device(
    "gpu_vgpu_scheduler_policy",
    GAUGE,
    "How virtual GPUs take turns: 1 best effort, 2 equal share, 3 fixed share",
    "nvmlDeviceGetVgpuSchedulerState_v2, else nvmlDeviceGetVgpuSchedulerState (hosts of vGPUs)",
)
SCHEDULER_ARR_MODE = of_device(
    "gpu_vgpu_scheduler_arr_mode",
    GAUGE,
    "Adaptive round robin of virtual GPUs: 0 by default, 1 off, 2 on",
    "nvmlDeviceGetVgpuSchedulerState (hosts of vGPUs)",
)
GUEST_LICENSED = of_device(
    "gpu_license_active",
    GAUGE,
    "1 if the feature is licensed, such as to run as a virtual GPU; 0 if not",
    "nvmlDeviceGetGridLicensableFeatures_v4 (guests with a vGPU)",
    "feature",
)

METRICS: tuple[Metric, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Metric)
)
