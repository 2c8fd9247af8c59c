"""How a GPU is set up, and where it sits."""

from gpuglass.catalogue.model import Metric, Type, of_device

GAUGE, INFO = Type.GAUGE, Type.INFO

PERSISTENCE_MODE = of_device(
    "gpu_persistence_mode",
    GAUGE,
    "1 if the driver stays loaded while nobody uses the GPU; 0 if not",
    "nvmlDeviceGetPersistenceMode",
)
COMPUTE_MODE = of_device(
    "gpu_compute_mode",
    GAUGE,
    "Who may compute: 0 everybody, 1 one thread, 2 nobody, 3 one process",
    "nvmlDeviceGetComputeMode",
)
ECC_MODE = of_device(
    "gpu_ecc_mode",
    GAUGE,
    "1 if ECC is on; 0 if not",
    "nvmlDeviceGetEccMode",
)
ECC_MODE_PENDING = of_device(
    "gpu_ecc_mode_pending",
    GAUGE,
    "1 if ECC will be on after the next reboot; 0 if not",
    "nvmlDeviceGetEccMode",
)
MIG_MODE = of_device(
    "gpu_mig_mode",
    GAUGE,
    "1 if the GPU can be cut into MIG instances; 0 if not",
    "nvmlDeviceGetMigMode (Ampere and newer, data-centre cards)",
)
MIG_MODE_PENDING = of_device(
    "gpu_mig_mode_pending",
    GAUGE,
    "1 if the GPU can be cut into MIG instances after its next reset; 0 if not",
    "nvmlDeviceGetMigMode (Ampere and newer, data-centre cards)",
)
ACCOUNTING_MODE = of_device(
    "gpu_accounting_mode",
    GAUGE,
    "1 if the driver keeps accounts of processes; 0 if not",
    "nvmlDeviceGetAccountingMode",
)
DISPLAY_MODE = of_device(
    "gpu_display_mode",
    GAUGE,
    "1 if a display is connected; 0 if not",
    "nvmlDeviceGetDisplayMode",
)
DISPLAY_ACTIVE = of_device(
    "gpu_display_active",
    GAUGE,
    "1 if a display is set up on the GPU, connected or not; 0 if not",
    "nvmlDeviceGetDisplayActive",
)
VIRTUALIZATION_MODE = of_device(
    "gpu_virtualization_mode",
    GAUGE,
    "0 bare metal, 1 passed through to a machine, 2 a vGPU in a machine, 3 host of vGPUs, "
    "4 host of vSGA",
    "nvmlDeviceGetVirtualizationMode",
)
ADDRESSING_MODE = of_device(
    "gpu_addressing_mode",
    GAUGE,
    "How the GPU reaches the processor's memory: 0 not by itself, 1 HMM, 2 ATS",
    "nvmlDeviceGetAddressingMode (Turing and newer)",
)
DRAM_ENCRYPTION = of_device(
    "gpu_dram_encryption_mode",
    GAUGE,
    "1 if device memory is encrypted; 0 if not",
    "nvmlDeviceGetDramEncryptionMode (Blackwell and newer)",
)
DRAM_ENCRYPTION_PENDING = of_device(
    "gpu_dram_encryption_mode_pending",
    GAUGE,
    "1 if device memory will be encrypted after the next reset; 0 if not",
    "nvmlDeviceGetDramEncryptionMode (Blackwell and newer)",
)
POWER_SOURCE = of_device(
    "gpu_power_source",
    GAUGE,
    "0 mains, 1 battery, 2 too weak a supply",
    "nvmlDeviceGetPowerSource",
)
GSP_MODE = of_device(
    "gpu_gsp_firmware_mode",
    GAUGE,
    "1 if the driver runs on the GPU's own processor; 0 if not",
    "nvmlDeviceGetGspFirmwareMode (Turing and newer)",
)
GSP_INFO = of_device(
    "gpu_gsp_firmware_info",
    INFO,
    "Version of the firmware of the GPU's own processor",
    "nvmlDeviceGetGspFirmwareVersion (Turing and newer)",
    "version",
)
INFOROM_INFO = of_device(
    "gpu_inforom_info",
    INFO,
    "Versions of the InfoROM and of its parts; a label that the card does not tell is empty",
    "nvmlDeviceGetInforomImageVersion, nvmlDeviceGetInforomVersion (not on GeForce)",
    "image_version",
    "oem_version",
    "ecc_version",
    "power_version",
)
MEMORY_BUS_WIDTH = of_device(
    "gpu_memory_bus_width",
    GAUGE,
    "Width of the memory bus, in bits",
    "nvmlDeviceGetMemoryBusWidth",
)
NUMA_NODE = of_device(
    "gpu_numa_node",
    GAUGE,
    "NUMA node of the GPU",
    "nvmlDeviceGetNumaNodeId",
)
MULTI_GPU_BOARD = of_device(
    "gpu_multi_gpu_board",
    GAUGE,
    "1 if the board carries several GPUs; 0 if not",
    "nvmlDeviceGetMultiGpuBoard",
)
MODULE_ID = of_device(
    "gpu_module_id",
    GAUGE,
    "Place of the GPU on its baseboard",
    "nvmlDeviceGetModuleId (cards on a baseboard)",
)
PLATFORM_INFO = of_device(
    "gpu_platform_info",
    INFO,
    "Where in a rack the GPU sits",
    "nvmlDeviceGetPlatformInfo (Hopper and newer, where there is a chassis or a fabric)",
    "chassis_serial",
    "slot",
    "tray",
    "host",
    "peer_type",
    "module",
    "fabric_guid",
)

METRICS: tuple[Metric, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Metric)
)
