"""What is broken in a GPU, what was done about it, and what has to be done."""

from gpuglass.catalogue.model import Metric, Type, of_device

GAUGE, COUNTER = Type.GAUGE, Type.COUNTER

# ECC

ECC_ERRORS = of_device(
    "gpu_ecc_errors_total",
    COUNTER,
    "Memory errors that ECC corrected or could only detect, since the driver was loaded "
    "(volatile) or in the card's life (aggregate); location is all where the card tells only sums",
    "nvmlDeviceGetMemoryErrorCounter, else fields 3 to 6, else nvmlDeviceGetTotalEccErrors "
    "(cards with ECC switched on)",
    "kind",
    "scope",
    "location",
)
ECC_SRAM_ERRORS = of_device(
    "gpu_ecc_sram_errors_total",
    COUNTER,
    "Errors in SRAM that were found by parity, found by ECC (secded), or corrected",
    "nvmlDeviceGetSramEccErrorStatus (Ampere and newer; only for root)",
    "scope",
    "type",
)
ECC_SRAM_UNIT_ERRORS = of_device(
    "gpu_ecc_sram_unit_errors_total",
    COUNTER,
    "Uncorrected errors in SRAM in the card's life, by the unit that they were in",
    "nvmlDeviceGetSramEccErrorStatus (Ampere and newer; only for root)",
    "unit",
)
ECC_SRAM_THRESHOLD = of_device(
    "gpu_ecc_sram_threshold_exceeded",
    GAUGE,
    "1 if there were more errors in SRAM than the card should be kept with; 0 if not",
    "nvmlDeviceGetSramEccErrorStatus (Ampere and newer; only for root)",
)

# Memory that was taken out of use

REMAPPED_ROWS = of_device(
    "gpu_remapped_rows",
    GAUGE,
    "Memory rows that were replaced by spare ones, after corrected errors or an uncorrected one",
    "fields 142 and 143, else nvmlDeviceGetRemappedRows (Ampere and newer)",
    "cause",
)
REMAPPED_ROWS_INACTIVE = of_device(
    "gpu_remapped_rows_inactive",
    GAUGE,
    "Replacements of memory rows that are not in force",
    "fields 301 and 302 (driver 615 and newer)",
    "cause",
)
ROW_REMAP_PENDING = of_device(
    "gpu_row_remap_pending",
    GAUGE,
    "1 if a memory row is to be replaced at the next reset of the GPU; 0 if not",
    "field 144, else nvmlDeviceGetRemappedRows (Ampere and newer)",
)
ROW_REMAP_FAILURE = of_device(
    "gpu_row_remap_failure",
    GAUGE,
    "1 if a memory row could not be replaced, so that the card has to be; 0 if not",
    "field 145, else nvmlDeviceGetRemappedRows (Ampere and newer)",
)
ROW_REMAP_BANKS = of_device(
    "gpu_row_remap_banks",
    GAUGE,
    "Memory banks by how many of their spare rows are left",
    "nvmlDeviceGetRowRemapperHistogram (Ampere and newer)",
    "availability",
)
BANK_REMAPPINGS = of_device(
    "gpu_bank_remappings",
    GAUGE,
    "Memory banks that were replaced by spare ones, and whether that is in force",
    "fields 303 and 304 (driver 615 and newer)",
    "state",
)
BANK_REMAP_PENDING = of_device(
    "gpu_bank_remap_pending",
    GAUGE,
    "1 if a memory bank is to be replaced at the next reset of the GPU; 0 if not",
    "field 307 (driver 615 and newer)",
)
BANK_REMAP_GROUPS = of_device(
    "gpu_bank_remap_groups",
    GAUGE,
    "Groups of memory banks by how many of their spare banks are left",
    "fields 305 and 306 (driver 615 and newer)",
    "availability",
)
RETIRED_PAGES = of_device(
    "gpu_retired_pages",
    GAUGE,
    "Memory pages that were taken out of use, after corrected errors or an uncorrected one",
    "fields 29 and 30 (before Ampere)",
    "cause",
)
RETIRED_PAGES_PENDING = of_device(
    "gpu_retired_pages_pending",
    GAUGE,
    "1 if a memory page is to be taken out of use at the next reboot; 0 if not",
    "field 31, else nvmlDeviceGetRetiredPagesPendingStatus (before Ampere)",
)

# What has to be done

RECOVERY_ACTION = of_device(
    "gpu_recovery_action",
    GAUGE,
    "What the GPU needs to work again: 0 nothing, 1 reset it, 2 reboot the node, 3 drain its "
    "peers, 4 drain and reset it, 5 recover the IMEX domain, 6 reset the bus, 7 reboot the system",
    "field 230 GET_GPU_RECOVERY_ACTION (newer drivers)",
)
REPAIR_PENDING = of_device(
    "gpu_repair_pending",
    GAUGE,
    "1 if a memory channel or a TPC is to be repaired at the next reset of the GPU; 0 if not",
    "nvmlDeviceGetRepairStatus (Ampere and newer)",
    "what",
)
MEMORY_UNREPAIRABLE = of_device(
    "gpu_memory_unrepairable",
    GAUGE,
    "1 if the card has memory that cannot be repaired; 0 if not",
    "nvmlDeviceGetUnrepairableMemoryFlag_v1 (Hopper and newer, driver 590 and newer)",
)

METRICS: tuple[Metric, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Metric)
)
