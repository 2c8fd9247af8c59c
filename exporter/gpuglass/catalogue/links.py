"""What connects a GPU with the machine, with its processor and with other GPUs."""

from gpuglass.catalogue.model import Metric, Type, of_device

GAUGE, COUNTER, INFO = Type.GAUGE, Type.COUNTER, Type.INFO

# PCIe

PCIE_UTILIZATION = of_device(
    "gpu_pcie_utilization_ratio",
    GAUGE,
    "Share of what the PCIe link can carry that was in use of late, also on cards that count no "
    "bytes",
    "nvmlDeviceGetDynamicPstatesInfo, its bus",
    unit="ratio",
)
PCIE_REPLAYS = of_device(
    "gpu_pcie_replays_total",
    COUNTER,
    "Packets that had to be sent again over PCIe",
    "field 94 PCIE_REPLAY_COUNTER, else nvmlDeviceGetPcieReplayCounter",
)
PCIE_REPLAY_ROLLOVERS = of_device(
    "gpu_pcie_replay_rollovers_total",
    COUNTER,
    "Times that the counter of packets sent again over PCIe was full",
    "field 95 PCIE_REPLAY_ROLLOVER_COUNTER",
)
PCIE_ERRORS = of_device(
    "gpu_pcie_errors_total",
    COUNTER,
    "Errors on PCIe as the GPU counts them, and times that the link had to recover; one event may "
    "count in several types",
    "fields 169, 173 to 183, the last summed over the lanes (Hopper and newer)",
    "type",
)

# NVLink

NVLINK_LINKS = of_device(
    "gpu_nvlink_links", GAUGE, "NVLinks that the GPU has", "field 91 NVLINK_LINK_COUNT"
)
NVLINK_LINKS_UP = of_device(
    "gpu_nvlink_links_up",
    GAUGE,
    "NVLinks that are up",
    "field 165 NVLINK_GET_STATE of each link",
)
NVLINK_UP = of_device(
    "gpu_nvlink_up",
    GAUGE,
    "1 while the link is up, also if it sleeps; 0 if not; with --nvlink.links=each",
    "field 165 NVLINK_GET_STATE",
    "link",
)
NVLINK_INFO = of_device(
    "gpu_nvlink_info",
    INFO,
    "Version of NVLink and what is at the other end; link is all for all together",
    "field 166 NVLINK_GET_VERSION, nvmlDeviceGetNvLinkRemoteDeviceType",
    "link",
    "version",
    "remote",
)
NVLINK_SPEED = of_device(
    "gpu_nvlink_speed_bytes_per_second",
    GAUGE,
    "Speed of the link in each direction, overhead included; link is all for the sum",
    "field 164 NVLINK_GET_SPEED",
    "link",
    unit="bytes_per_second",
)
NVLINK_LOW_POWER = of_device(
    "gpu_nvlink_low_power",
    GAUGE,
    "1 while the link saves power; with link all the number of those that do",
    "field 167 NVLINK_GET_POWER_STATE",
    "link",
)
NVLINK_BYTES = of_device(
    "gpu_nvlink_bytes_total",
    COUNTER,
    "Payload over NVLink; link is all for the sum",
    "fields 138 and 139, else 202 and 204",
    "link",
    "direction",
    unit="bytes",
)
NVLINK_PACKETS = of_device(
    "gpu_nvlink_packets_total",
    COUNTER,
    "Packets over NVLink; link is all for the sum",
    "fields 201 and 203 (Blackwell and newer)",
    "link",
    "direction",
)
NVLINK_ERRORS = of_device(
    "gpu_nvlink_errors_total",
    COUNTER,
    "Errors on NVLink, and what was done about them; link is all for the sum, and one event may "
    "count in several types",
    "fields 38, 45, 52, 59 and 160, or nvmlDeviceGetNvLinkErrorCounter of each link (Volta to "
    "Hopper); fields 206 to 215, 219, 221, 289, 290 (Blackwell and newer)",
    "link",
    "type",
)
NVLINK_BIT_ERRORS = of_device(
    "gpu_nvlink_bit_error_ratio",
    GAUGE,
    "Share of bits that were wrong; with --nvlink.links=each",
    "fields 220, 222, 293 (Blackwell and newer)",
    "link",
    "type",
    unit="ratio",
)
NVLINK_FEC_BLOCKS = of_device(
    "gpu_nvlink_fec_blocks_total",
    COUNTER,
    "Blocks in which forward error correction mended so many symbols, over all links",
    "fields 235 to 250 (Blackwell and newer)",
    "mended",
)
NVLINK_RETRY_BLOCKS = of_device(
    "gpu_nvlink_retry_blocks_total",
    COUNTER,
    "Blocks that the link's own retries sent, and sent again; link is all for the sum",
    "fields 294 and 295 (Blackwell and newer)",
    "link",
    "kind",
)

# The link between processor and GPU

C2C_MODE = of_device(
    "gpu_c2c_mode",
    GAUGE,
    "1 if the link between processor and GPU is switched on; 0 if not",
    "nvmlDeviceGetC2cModeInfoV (Hopper and newer; off where there is no Grace)",
)
C2C_UP = of_device(
    "gpu_c2c_link_up",
    GAUGE,
    "1 while the link between processor and GPU is up; 0 if not",
    "field 171 C2C_LINK_GET_STATUS (Grace)",
    "link",
)
C2C_SPEED = of_device(
    "gpu_c2c_link_speed_bytes_per_second",
    GAUGE,
    "Most that the link between processor and GPU can carry",
    "field 172 C2C_LINK_GET_MAX_BW (Grace)",
    "link",
    unit="bytes_per_second",
)
C2C_LOW_POWER = of_device(
    "gpu_c2c_link_low_power",
    GAUGE,
    "1 while the link between processor and GPU saves power; 0 if not",
    "field 234 C2C_LINK_POWER_STATE (Grace)",
    "link",
)
C2C_ERRORS = of_device(
    "gpu_c2c_errors_total",
    COUNTER,
    "CRC errors between processor and GPU, replays, and replays back to back",
    "fields 231 to 233 (Grace)",
    "link",
    "type",
)

# The fabric of NVSwitches

FABRIC_STATE = of_device(
    "gpu_fabric_state",
    GAUGE,
    "How far the GPU has joined the fabric: 1 not started, 2 in progress, 3 completed",
    "nvmlDeviceGetGpuFabricInfoV, else nvmlDeviceGetGpuFabricInfo (Hopper and newer with NVSwitch)",
)
FABRIC_STATUS = of_device(
    "gpu_fabric_status",
    GAUGE,
    "NVML's code of how joining the fabric went, once it is completed: 0 is success",
    "nvmlDeviceGetGpuFabricInfoV, else nvmlDeviceGetGpuFabricInfo (Hopper and newer with NVSwitch)",
)
FABRIC_HEALTHY = of_device(
    "gpu_fabric_healthy",
    GAUGE,
    "1 if nothing is wrong with the GPU's part of the fabric; 0 if something is",
    "nvmlDeviceGetGpuFabricInfoV: its summary, else its health mask (Hopper and newer with "
    "NVSwitch)",
)
FABRIC_TROUBLE = of_device(
    "gpu_fabric_trouble",
    GAUGE,
    "1 while the fabric has this trouble; 0 if not",
    "nvmlDeviceGetGpuFabricInfoV: the health mask (Hopper and newer with NVSwitch)",
    "trouble",
)
FABRIC_MISCONFIGURATION = of_device(
    "gpu_fabric_misconfiguration",
    GAUGE,
    "What is wrong with the fabric's configuration: 0 nothing, 1 system GUID, 2 chassis serial "
    "number, 3 no partition, 4 too few NVLinks, 5 firmware, 6 location, 7 state of the GPU",
    "nvmlDeviceGetGpuFabricInfoV: the health mask (Hopper and newer with NVSwitch)",
)
FABRIC_PARTITION = of_device(
    "gpu_fabric_partition_assigned",
    GAUGE,
    "1 if the GPU is in a partition of the fabric; 0 if not",
    "nvmlDeviceGetGpuFabricInfoV: the health mask (Hopper and newer with NVSwitch)",
)
FABRIC_MANAGER = of_device(
    "gpu_fabric_manager_connected",
    GAUGE,
    "1 while the global fabric manager is connected; 0 if not",
    "nvmlDeviceGetGpuFabricInfoV: the health mask (Hopper and newer with NVSwitch)",
)
FABRIC_INFO = of_device(
    "gpu_fabric_info",
    INFO,
    "Which NVLink cluster and clique the GPU belongs to, once it has joined",
    "nvmlDeviceGetGpuFabricInfoV, else nvmlDeviceGetGpuFabricInfo (Hopper and newer with NVSwitch)",
    "cluster_uuid",
    "clique",
)

METRICS: tuple[Metric, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Metric)
)
