/* A scenario: the machine that is played, and what happens to it when. See SCENARIOS.md for the
 * language. */
#ifndef SCENARIO_H
#define SCENARIO_H

#include "nvml_abi.h"
#include "presets.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MAX_GPUS = 32,
    MAX_PROCESSES = 16384,
    MAX_FAULTS = 256,
    MAX_MIGS = 256,
    MAX_VGPUS = 64,
    MAX_LATENCIES = 64,
    MAX_MISSING = 64
};
enum { CALL_NAME_SIZE = 64 };

typedef uint64_t GpuMask;

typedef enum { LOAD_CONSTANT, LOAD_WAVE, LOAD_BURST } LoadShape;

typedef struct {
    LoadShape shape;
    double min, max;      /* a constant has both equal */
    double period, phase; /* seconds; part of a period */
    double duty;          /* part of the period a burst stays at max */
} Load;

typedef struct {
    const Preset *preset;
    char name[96];
    char uuid[96];
    char serial[32];
    unsigned pci_domain, pci_bus;
    unsigned minor;
    unsigned numa_node;
    unsigned power_limit_mw;
    uint64_t memory_base, memory_load;  /* bytes: always used; used in proportion to the load */
    double encoder, decoder, jpeg, ofa; /* engine utilisation at full load */
    bool persistence, ecc, ecc_pending, mig, accounting, display;
    unsigned compute_mode, virtualization_mode;
    unsigned captures;                      /* sessions of frame capture */
    unsigned vgpu_scheduler, vgpu_arr_mode; /* NVML's numbers, the first from 1 on */
    bool encryption, encryption_pending, licensed;
    Load load;
} Gpu;

/* One instance of a GPU that is cut into several. */
typedef struct {
    unsigned gpu;
    unsigned profile; /* a place in mig_profiles */
    unsigned index;   /* of the MIG device on its GPU */
    unsigned id;      /* of the GPU instance */
    uint64_t memory;  /* bytes in use besides what processes take */
    double share;     /* of the GPU's load */
    double from, until;
    char uuid[48];
} MigInstance;

/* A part of a GPU that a virtual machine has, as its host sees it. */
typedef struct {
    unsigned gpu;
    char type[64];
    char vm[64];
    char uuid[40];
    char driver[80];       /* in the machine; empty: none */
    uint64_t size, memory; /* bytes: what it may use and uses */
    double share;          /* of the GPU's load */
    bool licensed;
    double from, until;
} Vgpu;

enum { VIRTUALIZATION_VGPU = 2, VIRTUALIZATION_HOST_VGPU = 3 };

typedef enum { PROCESS_COMPUTE, PROCESS_GRAPHICS, PROCESS_MPS } ProcessType;

typedef struct {
    unsigned pid;
    GpuMask gpus;
    ProcessType type;
    uint64_t memory;
    bool follows_load; /* no sm= given: its share of the GPU's utilisation */
    unsigned sm, mem, enc, dec;
    double from, until;
    int mig; /* the index of the MIG device that it is in; -1: none */
    char name[64];
} Process;

typedef enum {
    FAULT_LOST,
    FAULT_HANG,
    FAULT_SEGFAULT,
    FAULT_ERROR,
    FAULT_INIT,
    FAULT_GPU_COUNT,
    FAULT_THROTTLE,
    FAULT_LOAD,
    FAULT_NVLINK_DOWN,
    FAULT_PCIE_LINK,
    FAULT_RECOVERY,
    FAULT_XID,
    FAULT_ECC,
    FAULT_REMAP,
    FAULT_BANK_REMAP,
    FAULT_PCIE_REPLAY,
    FAULT_COUNTER,
    FAULT_RETIRE,
    FAULT_FABRIC,
    FAULT_REPAIR,
    FAULT_MIG_MODE,
    FAULT_MIG_PENDING,
    FAULT_SET,
    FAULT_DRIVER,
    FAULT_PERMUTE,
    FAULT_RESET_COUNTERS
} FaultKind;

/* Answers that a line can set to anything. */
typedef enum {
    SET_UTILIZATION,
    SET_MEMORY_UTILIZATION,
    SET_POWER,
    SET_ENERGY,
    SET_ENERGY_BACK,
    SET_TEMPERATURE,
    SET_MEMORY_TEMPERATURE,
    SET_MEMORY_USED,
    SET_PROCESS_MEMORY,
    SET_PROCESS_SM,
    SET_CLOCK,
    SET_FAN,
    SET_PCIE_BYTES,
    SET_TIME_BACK,
    SETTINGS
} Setting;

typedef struct {
    FaultKind kind;
    double at, duration, every; /* INFINITY: for ever; every 0: once */
    GpuMask gpus;
    char call[CALL_NAME_SIZE]; /* empty: every call; of a driver line, its version */
    nvmlReturn_t code;
    unsigned long long reason;
    double load;
    unsigned value; /* xid code, number of GPUs, link, link width, recovery action, a count */
    unsigned corrected, uncorrected, location;
    unsigned pending, failure;
    int mig;         /* the MIG device that it happens in; -1: none */
    unsigned repeat; /* events at once */
    Setting setting;
    uint64_t set_to;
    unsigned order_count;
    unsigned char order[MAX_GPUS]; /* the GPU that each index means */
    unsigned state, health;        /* of the fabric */
    unsigned misconfiguration;     /* of the fabric, by NVML's number; 1: none */
    bool partition, manager;       /* of the fabric: assigned, connected */
    unsigned channel, tpc, memory; /* what waits for repair, or cannot be repaired */
    unsigned field, scope;         /* which counter, of which link or lane */
} Fault;

typedef struct {
    char call[CALL_NAME_SIZE];
    double seconds;
} Latency;

typedef struct Scenario {
    const struct Scenario *older; /* the one this replaced, which stays: see context.c */
    char driver[80];
    int cuda; /* 13000 is 13.0 */
    int64_t start_us;
    bool frozen;
    double frozen_at;
    unsigned pcie_counter_bits;
    bool confidential;      /* confidential computing is on */
    bool samples_from_boot; /* the samples' clock starts where t does, not in 1970 */
    int root;               /* whether clients are; -1: whoever they are */
    unsigned gpu_count;
    Gpu gpus[MAX_GPUS];
    size_t mig_count;
    MigInstance migs[MAX_MIGS];
    size_t vgpu_count;
    Vgpu vgpus[MAX_VGPUS];
    size_t process_count, process_room;
    Process *processes;
    size_t fault_count;
    Fault faults[MAX_FAULTS];
    double default_latency;
    size_t latency_count;
    Latency latencies[MAX_LATENCIES];
    size_t missing_count;
    char missing[MAX_MISSING][CALL_NAME_SIZE];
} Scenario;

void scenario_free(Scenario *scenario);
/* Both give NULL, and one line in `error`, for a scenario that is not valid. */
Scenario *scenario_from_file(const char *path, char *error, size_t error_size);
Scenario *scenario_default(char *error, size_t error_size);

#endif
