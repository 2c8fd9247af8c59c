"""The kinds of cards that the stand-in NVML library plays, as in simulator/src/presets.c."""

from dataclasses import dataclass

GB = 1_000_000_000
NVLINK_GB = 976_562


@dataclass(frozen=True)
class Preset:
    """What a kind of card is. Power in mW, clocks in MHz, temperatures in degrees Celsius."""

    name: str
    memory_mib: int
    memory_reserved_mib: int
    power_idle: int
    power_default: int
    power_min: int
    power_max: int
    sm_idle: int
    sm_max: int
    mem_idle: int
    mem_max: int
    temp_idle: int
    temp_load: int
    temp_max: int
    temp_slowdown: int
    temp_shutdown: int
    pcie_tx_bytes: int
    pcie_rx_bytes: int
    memory_temp_idle: int = 0
    memory_temp_load: int = 0
    nvlink_kib: int = 0
    nvlink_links: int = 0
    fans: int = 0
    has_power_average: bool = True
    module_idle: int = 0
    module_load: int = 0


PRESETS = {
    "a100": Preset(
        name="NVIDIA A100-SXM4-80GB",
        memory_mib=81920,
        memory_reserved_mib=634,
        power_idle=55_000,
        power_default=400_000,
        power_min=100_000,
        power_max=400_000,
        sm_idle=210,
        sm_max=1410,
        mem_idle=1593,
        mem_max=1593,
        temp_idle=31,
        temp_load=72,
        memory_temp_idle=34,
        memory_temp_load=82,
        temp_max=85,
        temp_slowdown=89,
        temp_shutdown=92,
        pcie_tx_bytes=2 * GB,
        pcie_rx_bytes=4 * GB,
        nvlink_kib=8 * NVLINK_GB,
        nvlink_links=12,
        has_power_average=False,
    ),
    "b200": Preset(
        name="NVIDIA B200",
        memory_mib=183359,
        memory_reserved_mib=717,
        power_idle=140_000,
        power_default=1_000_000,
        power_min=200_000,
        power_max=1_000_000,
        sm_idle=120,
        sm_max=1965,
        mem_idle=3996,
        mem_max=3996,
        temp_idle=27,
        temp_load=66,
        memory_temp_idle=30,
        memory_temp_load=78,
        temp_max=87,
        temp_slowdown=90,
        temp_shutdown=95,
        pcie_tx_bytes=6 * GB,
        pcie_rx_bytes=9 * GB,
        nvlink_kib=24 * NVLINK_GB,
        nvlink_links=18,
    ),
    "gh200": Preset(
        name="NVIDIA GH200 480GB",
        memory_mib=97871,
        memory_reserved_mib=633,
        power_idle=80_000,
        power_default=900_000,
        power_min=100_000,
        power_max=900_000,
        sm_idle=345,
        sm_max=1980,
        mem_idle=2619,
        mem_max=2619,
        temp_idle=29,
        temp_load=70,
        memory_temp_idle=33,
        memory_temp_load=80,
        temp_max=87,
        temp_slowdown=89,
        temp_shutdown=95,
        pcie_tx_bytes=1 * GB,
        pcie_rx_bytes=2 * GB,
        module_idle=60_000,
        module_load=240_000,
    ),
    "gtx1080": Preset(
        name="NVIDIA GeForce GTX 1080",
        memory_mib=8192,
        memory_reserved_mib=70,
        power_idle=8_000,
        power_default=180_000,
        power_min=90_000,
        power_max=217_000,
        sm_idle=139,
        sm_max=1911,
        mem_idle=405,
        mem_max=5005,
        temp_idle=36,
        temp_load=76,
        temp_max=83,
        temp_slowdown=96,
        temp_shutdown=99,
        pcie_tx_bytes=1 * GB,
        pcie_rx_bytes=2 * GB,
        fans=1,
        has_power_average=False,
    ),
    "h200": Preset(
        name="NVIDIA H200",
        memory_mib=143771,
        memory_reserved_mib=618,
        power_idle=75_000,
        power_default=700_000,
        power_min=200_000,
        power_max=700_000,
        sm_idle=345,
        sm_max=1980,
        mem_idle=3201,
        mem_max=3201,
        temp_idle=28,
        temp_load=74,
        memory_temp_idle=36,
        memory_temp_load=85,
        temp_max=87,
        temp_slowdown=89,
        temp_shutdown=95,
        pcie_tx_bytes=5 * GB,
        pcie_rx_bytes=8 * GB,
        nvlink_kib=12 * NVLINK_GB,
        nvlink_links=18,
    ),
    "l40s": Preset(
        name="NVIDIA L40S",
        memory_mib=46068,
        memory_reserved_mib=488,
        power_idle=33_000,
        power_default=350_000,
        power_min=100_000,
        power_max=350_000,
        sm_idle=210,
        sm_max=2520,
        mem_idle=405,
        mem_max=9001,
        temp_idle=30,
        temp_load=70,
        temp_max=87,
        temp_slowdown=89,
        temp_shutdown=92,
        pcie_tx_bytes=2 * GB,
        pcie_rx_bytes=5 * GB,
    ),
    "rtx4090": Preset(
        name="NVIDIA GeForce RTX 4090",
        memory_mib=24564,
        memory_reserved_mib=346,
        power_idle=20_000,
        power_default=450_000,
        power_min=150_000,
        power_max=600_000,
        sm_idle=210,
        sm_max=3105,
        mem_idle=405,
        mem_max=10501,
        temp_idle=35,
        temp_load=68,
        temp_max=83,
        temp_slowdown=88,
        temp_shutdown=90,
        pcie_tx_bytes=1 * GB,
        pcie_rx_bytes=3 * GB,
        fans=2,
    ),
    "v100": Preset(
        name="Tesla V100-SXM2-32GB",
        memory_mib=32768,
        memory_reserved_mib=267,
        power_idle=40_000,
        power_default=300_000,
        power_min=150_000,
        power_max=300_000,
        sm_idle=135,
        sm_max=1530,
        mem_idle=877,
        mem_max=877,
        temp_idle=33,
        temp_load=68,
        memory_temp_idle=32,
        memory_temp_load=66,
        temp_max=83,
        temp_slowdown=87,
        temp_shutdown=90,
        pcie_tx_bytes=1 * GB,
        pcie_rx_bytes=3 * GB,
        nvlink_kib=8 * NVLINK_GB,
        nvlink_links=6,
        has_power_average=False,
    ),
}
