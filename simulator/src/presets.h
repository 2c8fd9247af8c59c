/* What each kind of card is and can do. */
#ifndef PRESETS_H
#define PRESETS_H

#include <stdbool.h>
#include <stddef.h>

/* Generations of cards, with NVML's numbers. */
enum {
    ARCH_PASCAL = 4,
    ARCH_VOLTA = 5,
    ARCH_TURING = 6,
    ARCH_AMPERE = 7,
    ARCH_ADA = 8,
    ARCH_HOPPER = 9,
    ARCH_BLACKWELL = 10
};

/* The fifth NVLink counts in other fields than those before it. */
enum { NVLINK_5 = 7 };

typedef struct {
    const char *id;
    const char *name;
    const char *vbios;
    const char *part_number; /* NULL: not readable on this card */
    const char *inforom;     /* NULL: likewise */
    unsigned brand;
    unsigned architecture;
    unsigned cc_major, cc_minor;
    unsigned cores;
    unsigned bus_width_bits;
    unsigned pci_device_id, pci_subsystem_id;
    unsigned pcie_gen, pcie_gen_idle, pcie_width;
    unsigned memory_mib, memory_reserved_mib, bar1_mib;
    /* milliwatts */
    unsigned power_idle, power_default, power_min, power_max;
    /* MHz */
    unsigned sm_idle, sm_max, mem_idle, mem_max;
    /* degrees Celsius; the last three are thresholds */
    unsigned temp_idle, temp_load, memory_temp_idle, memory_temp_load;
    unsigned temp_max, temp_slowdown, temp_shutdown, memory_temp_max;
    /* per second at full load */
    unsigned long long pcie_tx_bytes, pcie_rx_bytes, nvlink_kib;
    unsigned nvlink_links, nvlink_mbps, nvlink_version;
    unsigned c2c_links, c2c_mbps; /* between processor and GPU; 0: a card without */
    /* milliwatts that a module takes besides its GPU, idle and at full load; 0: no module */
    unsigned module_idle, module_load;
    unsigned fans;
    const char *mig_names[7]; /* see mig_profiles.c for what they are */
    unsigned mig_multiprocessors[7];
    unsigned decoders, jpegs, ofas; /* engines; only counted where they can be told apart */
    unsigned pstate_load, pstate_idle;
    bool data_center; /* serial number, application clocks, ECC counters */
    bool has_memory_temp;
    bool has_power_average; /* GA100 only has the instantaneous reading */
    bool has_tlimit;        /* Ada and newer */
    bool has_encoder;
    bool has_mig;
    bool has_pcie_errors; /* the detailed PCIe error counters */
    bool has_fabric;
    bool on_baseboard; /* carries a module id */
} Preset;

/* Memory that fails is taken out of use by rows since Ampere, before that by pages. */
bool preset_remaps_rows(const Preset *preset);
bool preset_retires_pages(const Preset *preset);
/* Whether the card tells what its memory draws. */
bool preset_has_memory_power(const Preset *preset);
/* Whether the card has the performance monitor. */
bool preset_has_gpm(const Preset *preset);
/* NULL if there is none of this name. */
const Preset *preset_find(const char *id);
/* All names, for error messages. */
const char *preset_names(void);

#endif
