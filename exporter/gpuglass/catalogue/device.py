"""What a GPU is, how busy, full, hot and fast it is, and what it draws.

All but ``gpu_driver_info``, ``gpu_devices`` and ``gpu_runtime_suspended`` carry ``gpu``, NVML's
index, for people, and ``uuid``, the identity.
"""

from gpuglass.catalogue.model import Metric, Rollup, Type, of_device

GAUGE, COUNTER, INFO = Type.GAUGE, Type.COUNTER, Type.INFO

# Identity

DEVICES = Metric("gpu_devices", GAUGE, "GPUs that NVML lists on this node", "nvmlDeviceGetCount_v2")
DRIVER_INFO = Metric(
    "gpu_driver_info",
    INFO,
    "Versions of the driver, of NVML and of the newest CUDA that the driver can run",
    "nvmlSystemGetDriverVersion, nvmlSystemGetNVMLVersion, nvmlSystemGetCudaDriverVersion_v2",
    ("driver_version", "nvml_version", "cuda_version"),
)
INFO_ = of_device(
    "gpu_info",
    INFO,
    "What the card is; a label that it does not tell is empty",
    "nvmlDeviceGetName, Serial, BoardPartNumber, VbiosVersion, PciInfo_v3, Architecture, "
    "CudaComputeCapability, MinorNumber; nvmlSystemGetDriverVersion",
    "name",
    "serial",
    "part_number",
    "pci_bus_id",
    "minor_number",
    "architecture",
    "compute_capability",
    "vbios_version",
    "driver_version",
)
UP = of_device(
    "gpu_up",
    GAUGE,
    "1 while the GPU answers; 0 when it is lost or silent, and then nothing else of it is shown; "
    "one that the driver lists no longer stays at 0 for an hour and then leaves",
    "the probe",
)
DATA_AGE = of_device(
    "gpu_data_age_seconds",
    GAUGE,
    "Time since the last reading of this GPU",
    "the probe",
    unit="seconds",
    digits=1,
)
RUNTIME_SUSPENDED = Metric(
    "gpu_runtime_suspended",
    GAUGE,
    "1 while the card sleeps and is not read, so that it is not woken; only of cards that may",
    "sysfs: power/runtime_status of the PCI device",
    ("pci_bus_id",),
)
CAPABILITY = of_device(
    "gpu_capability",
    GAUGE,
    "1 if this card, driver and permission give anything of the group; 0 if not, and why",
    "the probe",
    "group",
    "why",
)
SOURCE = of_device(
    "gpu_source_info",
    INFO,
    "Where a counter comes from that is not the driver's own: its buffers of samples, its "
    "performance monitor, our sampling, or nowhere (absent) and why",
    "the probe",
    "metric",
    "source",
    "why",
)
CORES = of_device("gpu_cores", GAUGE, "CUDA cores", "nvmlDeviceGetNumGpuCores")

# Utilisation

UTILIZATION = of_device(
    "gpu_utilization_ratio",
    GAUGE,
    "Share of the last 1/6 to 1 s in which at least one kernel ran; 1 does not mean busy SMs",
    "nvmlDeviceGetUtilizationRates gpu",
    unit="ratio",
)
MEMORY_ACTIVITY = of_device(
    "gpu_memory_activity_ratio",
    GAUGE,
    "Share of the last 1/6 to 1 s in which memory was read or written; not how full it is",
    "nvmlDeviceGetUtilizationRates memory",
    unit="ratio",
)
ENGINE_UTILIZATION = of_device(
    "gpu_engine_utilization_ratio",
    GAUGE,
    "Share of time in which a media engine was busy",
    "nvmlDeviceGetEncoderUtilization, DecoderUtilization, JpgUtilization, OfaUtilization",
    "engine",
    unit="ratio",
)
MMA_STALL = of_device(
    "gpu_mma_stall_ratio",
    GAUGE,
    "Share of time in which the tensor cores waited",
    "field 297 MMA_STALL_PERCENT (Blackwell and newer)",
    unit="ratio",
)
BUSY_SECONDS = of_device(
    "gpu_busy_seconds_total",
    COUNTER,
    "Time in which at least one kernel ran",
    "nvmlDeviceGetSamples, else gpu_utilization_ratio, integrated",
    unit="seconds",
    digits=3,
)
MEMORY_ACTIVITY_SECONDS = of_device(
    "gpu_memory_activity_seconds_total",
    COUNTER,
    "Time in which memory was read or written",
    "nvmlDeviceGetSamples, else gpu_memory_activity_ratio, integrated",
    unit="seconds",
    digits=3,
)
ENGINE_BUSY_SECONDS = of_device(
    "gpu_engine_busy_seconds_total",
    COUNTER,
    "Time in which a media engine was busy",
    "nvmlDeviceGetSamples, else gpu_engine_utilization_ratio, integrated",
    "engine",
    unit="seconds",
    digits=3,
)

# Memory

MEMORY_TOTAL = of_device(
    "gpu_memory_total_bytes", GAUGE, "Device memory", "nvmlDeviceGetMemoryInfo_v2", unit="bytes"
)
MEMORY_USED = of_device(
    "gpu_memory_used_bytes",
    GAUGE,
    "Device memory that is allocated, without what the driver reserves",
    "nvmlDeviceGetMemoryInfo_v2 (before driver 510 nvmlDeviceGetMemoryInfo: with the reserve)",
    unit="bytes",
)
MEMORY_FREE = of_device(
    "gpu_memory_free_bytes",
    GAUGE,
    "Device memory that can be allocated",
    "nvmlDeviceGetMemoryInfo_v2",
    unit="bytes",
)
MEMORY_RESERVED = of_device(
    "gpu_memory_reserved_bytes",
    GAUGE,
    "Device memory that the driver and the firmware keep for themselves",
    "nvmlDeviceGetMemoryInfo_v2",
    unit="bytes",
)
BAR1_TOTAL = of_device(
    "gpu_bar1_memory_total_bytes",
    GAUGE,
    "BAR1 window, through which the CPU and other devices reach device memory",
    "nvmlDeviceGetBAR1MemoryInfo",
    unit="bytes",
)
BAR1_USED = of_device(
    "gpu_bar1_memory_used_bytes",
    GAUGE,
    "BAR1 window that is mapped",
    "nvmlDeviceGetBAR1MemoryInfo",
    unit="bytes",
)

# Power and energy

POWER = of_device(
    "gpu_power_watts",
    GAUGE,
    "Power draw: the mean of the last second on Ampere (but not GA100) and newer, "
    "else the present value",
    "field 185 POWER_AVERAGE, else nvmlDeviceGetPowerUsage",
    unit="watts",
    digits=1,
)
POWER_INSTANT = of_device(
    "gpu_power_instant_watts",
    GAUGE,
    "Power draw at this moment",
    "field 186 POWER_INSTANT",
    unit="watts",
    digits=1,
)
MODULE_POWER = of_device(
    "gpu_module_power_watts",
    GAUGE,
    "Power draw of the module that the GPU shares with a processor: the mean of the last second",
    "field 185 POWER_AVERAGE of the module (Grace)",
    unit="watts",
    digits=1,
)
MODULE_POWER_INSTANT = of_device(
    "gpu_module_power_instant_watts",
    GAUGE,
    "Power draw of the module that the GPU shares with a processor, at this moment",
    "field 186 POWER_INSTANT of the module (Grace)",
    unit="watts",
    digits=1,
)
MODULE_POWER_LIMIT = of_device(
    "gpu_module_power_limit_watts",
    GAUGE,
    "Power limits of the module that the GPU shares with a processor: enforced now, requested, "
    "default, and the range that may be set",
    "fields 190, 192, 189, 187, 188 of the module (Grace)",
    "limit",
    unit="watts",
)
MEMORY_POWER = of_device(
    "gpu_memory_power_watts",
    GAUGE,
    "Power draw of the device memory, which is a part of the GPU's: the mean of the last second",
    "field 185 POWER_AVERAGE of the memory (Hopper and newer)",
    unit="watts",
)
POWER_LIMIT = of_device(
    "gpu_power_limit_watts",
    GAUGE,
    "Power limits: enforced now, requested, default, and the range that may be set",
    "fields 190, 192, 189, 187, 188",
    "limit",
    unit="watts",
    digits=1,
)
EDPP_MULTIPLIER = of_device(
    "gpu_edpp_multiplier_ratio",
    GAUGE,
    "How far short peaks of power may go, as a share of what they may by default",
    "field 274 EDPP_MULTIPLIER (Hopper and newer)",
    unit="ratio",
)
ENERGY = of_device(
    "gpu_energy_joules_total",
    COUNTER,
    "Energy used since the driver was loaded, or since this exporter started where it is sampled",
    "nvmlDeviceGetTotalEnergyConsumption (Volta and newer), else gpu_power_watts, integrated",
    unit="joules",
    digits=3,
)

# Temperature and fans

TEMPERATURE = of_device(
    "gpu_temperature_celsius",
    GAUGE,
    "Temperature of the core, of its hottest spot and, on cards with HBM, of the memory",
    "nvmlDeviceGetTemperatureV (hottest spot: driver 615 and newer), else "
    "nvmlDeviceGetTemperature; field 82 MEMORY_TEMP",
    "sensor",
    unit="celsius",
)
TEMPERATURE_LIMIT = of_device(
    "gpu_temperature_limit_celsius",
    GAUGE,
    "Temperature at which the card slows down, shuts down, which it should not exceed, or that "
    "a user chose for less noise",
    "nvmlDeviceGetTemperatureThreshold",
    "limit",
    unit="celsius",
)
TEMPERATURE_TLIMIT = of_device(
    "gpu_temperature_tlimit_celsius",
    GAUGE,
    "Margin to the slowdown point at which a limit acts; relative and signed (Ada and newer)",
    "fields 193 to 196",
    "limit",
    unit="celsius",
)
TEMPERATURE_MARGIN = of_device(
    "gpu_temperature_margin_celsius",
    GAUGE,
    "Distance to the nearest slowdown; 0 or less while the card slows down",
    "nvmlDeviceGetMarginTemperature (driver 570 and newer)",
    unit="celsius",
)
FAN_SPEED = of_device(
    "gpu_fan_speed_ratio",
    GAUGE,
    "Intended fan speed, as a share of the maximum; the driver allows more than 1",
    "nvmlDeviceGetFanSpeed_v2",
    "fan",
    unit="ratio",
)
FAN_TARGET = of_device(
    "gpu_fan_target_ratio",
    GAUGE,
    "Fan speed that is aimed at, as a share of the maximum",
    "nvmlDeviceGetTargetFanSpeed",
    "fan",
    unit="ratio",
)
FAN_RPM = of_device(
    "gpu_fan_speed_rpm",
    GAUGE,
    "Turns of the fan in a minute",
    "nvmlDeviceGetFanSpeedRPM (driver 565 and newer)",
    "fan",
)
FAN_POLICY = of_device(
    "gpu_fan_control_policy",
    GAUGE,
    "Who controls the fan: 0 the temperature, 1 a user",
    "nvmlDeviceGetFanControlPolicy_v2",
    "fan",
)

# Clocks and performance

CLOCK = of_device(
    "gpu_clock_hertz", GAUGE, "Present clock", "nvmlDeviceGetClockInfo", "domain", unit="hertz"
)
CLOCK_MAX = of_device(
    "gpu_clock_max_hertz",
    GAUGE,
    "Highest clock that the card can run",
    "nvmlDeviceGetMaxClockInfo",
    "domain",
    unit="hertz",
)
CLOCK_APPLICATION = of_device(
    "gpu_clock_application_hertz",
    GAUGE,
    "Clock that applications are to run at",
    "nvmlDeviceGetClock APP_CLOCK_TARGET, else nvmlDeviceGetApplicationsClock (not on GeForce)",
    "domain",
    unit="hertz",
)
CLOCK_APPLICATION_DEFAULT = of_device(
    "gpu_clock_application_default_hertz",
    GAUGE,
    "Clock that applications run at unless somebody chooses another",
    "nvmlDeviceGetClock APP_CLOCK_DEFAULT, else nvmlDeviceGetDefaultApplicationsClock "
    "(not on GeForce)",
    "domain",
    unit="hertz",
)
CLOCK_BOOST_MAX = of_device(
    "gpu_clock_boost_max_hertz",
    GAUGE,
    "Highest clock that a user may choose",
    "nvmlDeviceGetMaxCustomerBoostClock",
    "domain",
    unit="hertz",
)
PERFORMANCE_STATE = of_device(
    "gpu_performance_state",
    GAUGE,
    "Performance state: 0 is the fastest, 15 the slowest",
    "nvmlDeviceGetPerformanceState",
)
CLOCK_EVENT_REASON = of_device(
    "gpu_clock_event_reason_active",
    GAUGE,
    "1 while the reason holds the clocks where they are",
    "nvmlDeviceGetCurrentClocksEventReasons, else nvmlDeviceGetCurrentClocksThrottleReasons",
    "reason",
)
THROTTLE_SECONDS = of_device(
    "gpu_throttle_seconds_total",
    COUNTER,
    "Time in which the reason held the clocks down",
    "fields 74, 76 to 79, 269, 270, 271, else gpu_clock_event_reason_active, integrated",
    "reason",
    unit="seconds",
    digits=3,
)

# PCIe

PCIE_GENERATION = of_device(
    "gpu_pcie_link_generation",
    GAUGE,
    "PCIe generation of the link now; it falls while the GPU idles",
    "nvmlDeviceGetCurrPcieLinkGeneration",
)
PCIE_GENERATION_MAX = of_device(
    "gpu_pcie_link_generation_max",
    GAUGE,
    "Highest PCIe generation that card and slot can do together",
    "nvmlDeviceGetMaxPcieLinkGeneration",
)
PCIE_GENERATION_GPU_MAX = of_device(
    "gpu_pcie_link_generation_gpu_max",
    GAUGE,
    "Highest PCIe generation that the card can do in any slot",
    "nvmlDeviceGetGpuMaxPcieLinkGeneration",
)
PCIE_GENERATION_BEST = of_device(
    "gpu_pcie_link_generation_best",
    GAUGE,
    "Highest PCIe generation of the link that this exporter has seen",
    "gpu_pcie_link_generation, its highest value",
    rollup=Rollup.LAST,
)
PCIE_WIDTH = of_device(
    "gpu_pcie_link_width", GAUGE, "PCIe lanes in use", "nvmlDeviceGetCurrPcieLinkWidth"
)
PCIE_WIDTH_MAX = of_device(
    "gpu_pcie_link_width_max",
    GAUGE,
    "PCIe lanes that card and slot can do together",
    "nvmlDeviceGetMaxPcieLinkWidth",
)
PCIE_WIDTH_BEST = of_device(
    "gpu_pcie_link_width_best",
    GAUGE,
    "Most PCIe lanes in use that this exporter has seen",
    "gpu_pcie_link_width, its highest value",
    rollup=Rollup.LAST,
)
PCIE_BYTES = of_device(
    "gpu_pcie_bytes_total",
    COUNTER,
    "Bytes over PCIe, as the GPU sees it",
    "fields 197 and 198, where they cannot wrap unseen",
    "direction",
    unit="bytes",
)

METRICS: tuple[Metric, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Metric)
)
