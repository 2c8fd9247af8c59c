#include "machine.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

unsigned machine_gpu_count(const Scenario *scenario, double t) {
    unsigned count = scenario->gpu_count;
    for (size_t i = 0; i < scenario->fault_count; i++)
        if (scenario->faults[i].kind == FAULT_GPU_COUNT && fault_active(&scenario->faults[i], t))
            count = scenario->faults[i].value;
    return count;
}

bool machine_gpu_lost(const Scenario *scenario, unsigned index, double t) {
    for (size_t i = 0; i < scenario->fault_count; i++) {
        const Fault *fault = &scenario->faults[i];
        if (fault->kind == FAULT_LOST && fault->gpus >> index & 1 && fault_active(fault, t))
            return true;
    }
    return false;
}

bool machine_is_root(const Scenario *scenario) {
    return scenario->root >= 0 ? scenario->root : geteuid() == 0;
}

/* The line that says which driver is loaded at t; NULL if it is that of the beginning. */
static const Fault *driver_change(const Scenario *scenario, double t) {
    const Fault *found = NULL;
    for (size_t i = 0; i < scenario->fault_count; i++)
        if (scenario->faults[i].kind == FAULT_DRIVER && fault_active(&scenario->faults[i], t))
            found = &scenario->faults[i];
    return found;
}

const char *machine_driver(const Scenario *scenario, double t) {
    const Fault *change = driver_change(scenario, t);
    return change != NULL ? change->call : scenario->driver;
}

bool machine_driver_since(const View *view, unsigned major) {
    return strtoul(machine_driver(view->scenario, view->t), NULL, 10) >= major;
}

/* What this process has loaded is of the driver that there was at its first init: it does not work
 * with another. Empty: that of the beginning. */
static char loaded_driver[CALL_NAME_SIZE];
static bool driver_loaded;

nvmlReturn_t machine_check_driver(const Scenario *scenario, double t) {
    const Fault *change = driver_change(scenario, t);
    if (!driver_loaded || strcmp(change != NULL ? change->call : "", loaded_driver) == 0)
        return NVML_SUCCESS;
    bool says = change != NULL && change->code != NVML_SUCCESS;
    return says ? change->code : NVML_ERROR_LIB_RM_VERSION_MISMATCH;
}

/* Indexes are given when the first user comes, and stay as they are until the last has gone. */
static _Atomic unsigned char order[MAX_GPUS];

static void settle_order(const View *view) {
    const Fault *permutation = NULL;
    for (size_t i = 0; i < view->scenario->fault_count; i++) {
        const Fault *fault = &view->scenario->faults[i];
        if (fault->kind == FAULT_PERMUTE && fault_active(fault, view->t))
            permutation = fault;
    }
    for (unsigned i = 0; i < MAX_GPUS; i++) {
        bool moved = permutation != NULL && i < permutation->order_count;
        atomic_store(&order[i], moved ? permutation->order[i] : (unsigned char)i);
    }
}

unsigned machine_gpu_at(unsigned index) { return index < MAX_GPUS ? order[index] : index; }

unsigned machine_index_of(unsigned gpu) {
    unsigned index = 0;
    while (index < MAX_GPUS && order[index] != gpu)
        index++;
    return index;
}

void machine_meet(const View *view, bool first) {
    const Fault *change = driver_change(view->scenario, view->t);
    if (!driver_loaded && change != NULL)
        strcpy(loaded_driver, change->call);
    driver_loaded = true;
    if (first)
        settle_order(view);
}
