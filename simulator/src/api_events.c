/* Waiting for events: Xid errors and ECC errors. */
#include "api.h"
#include "mig.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

/* A set remembers what it has told: everything up to a moment, and at that moment the lines of the
 * scenario up to one. What happened before it was made it never tells. */
struct nvmlEventSet {
    pthread_mutex_t lock;
    unsigned long long types[MAX_GPUS];
    double told_until;
    size_t told_order;
    unsigned told_times; /* how many of the events of that line at that moment */
};

NVML_API nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *set) {
    BEGIN(call);
    WANT(set != NULL);
    nvmlEventSet_t made = calloc(1, sizeof *made);
    if (made == NULL)
        return NVML_ERROR_MEMORY;
    pthread_mutex_init(&made->lock, NULL);
    made->told_until = call.view.t;
    made->told_order = SIZE_MAX;
    *set = made;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set) {
    BEGIN(call);
    WANT(set != NULL);
    pthread_mutex_destroy(&set->lock);
    free(set);
    return NVML_SUCCESS;
}

static unsigned long long supported_types(const Preset *preset) {
    unsigned long long types = EVENT_PSTATE | EVENT_XID | EVENT_CLOCK;
    return preset->data_center ? types | EVENT_SINGLE_BIT_ECC | EVENT_DOUBLE_BIT_ECC : types;
}

NVML_API nvmlReturn_t nvmlDeviceGetSupportedEventTypes(nvmlDevice_t device,
                                                       unsigned long long *types) {
    BEGIN_DEVICE(call, device);
    WANT(types != NULL);
    *types = supported_types(call.view.gpu->preset);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t device, unsigned long long types,
                                               nvmlEventSet_t set) {
    BEGIN_DEVICE(call, device);
    WANT(set != NULL);
    /* Asking for too much registers nothing at all. */
    SUPPORTED((types & ~supported_types(call.view.gpu->preset)) == 0);
    pthread_mutex_lock(&set->lock);
    set->types[call.view.index] |= types;
    pthread_mutex_unlock(&set->lock);
    return NVML_SUCCESS;
}

static unsigned long long event_type(const Fault *fault) {
    if (fault->kind == FAULT_XID)
        return EVENT_XID;
    if (fault->kind != FAULT_ECC)
        return 0;
    return fault->uncorrected > 0 ? EVENT_DOUBLE_BIT_ECC : EVENT_SINGLE_BIT_ECC;
}

/* An event of the scenario: line `line`, told as line * MAX_GPUS + GPU so that each GPU of a line
 * with several gets its own. */
typedef struct {
    double at;
    size_t order;
    const Fault *fault;
    unsigned gpu;
} Event;

/* The first beginning of the line that has not been told. */
static double next_untold(const nvmlEventSet_t set, const Fault *fault, size_t order) {
    double last = fault_last_start(fault, set->told_until);
    bool more =
        order > set->told_order || (order == set->told_order && set->told_times < fault->repeat);
    if (last >= 0 && last >= set->told_until && more)
        return last;
    return fault_next_start(fault, set->told_until);
}

static bool find_event(const nvmlEventSet_t set, const Scenario *scenario, double t, Event *found) {
    *found = (Event){.at = INFINITY};
    for (size_t i = 0; i < scenario->fault_count; i++) {
        const Fault *fault = &scenario->faults[i];
        for (unsigned gpu = 0; event_type(fault) != 0 && gpu < scenario->gpu_count; gpu++) {
            size_t order = i * MAX_GPUS + gpu;
            if (!(fault->gpus >> gpu & 1) || !(set->types[gpu] & event_type(fault)))
                continue;
            double at = next_untold(set, fault, order);
            if (at <= t && at < found->at)
                *found = (Event){at, order, fault, gpu};
        }
    }
    return found->fault != NULL;
}

static bool any_lost(const nvmlEventSet_t set, const Scenario *scenario, double t) {
    for (unsigned gpu = 0; gpu < scenario->gpu_count; gpu++)
        if (set->types[gpu] != 0 && machine_gpu_lost(scenario, gpu, t))
            return true;
    return false;
}

/* The instance that an event happened in. */
static void name_instance(const View *view, const Fault *fault, nvmlEventData_t *data) {
    const MigInstance *instance = fault->mig >= 0 ? mig_by_index(view, (unsigned)fault->mig) : NULL;
    data->gpuInstanceId = instance != NULL ? instance->id : 0xFFFFFFFF;
    data->computeInstanceId = instance != NULL ? 0 : 0xFFFFFFFF;
}

/* Looks once: an event, a lost GPU, or a timeout for "nothing yet". */
static nvmlReturn_t look(nvmlEventSet_t set, bool with_instances, nvmlEventData_t *data) {
    const Scenario *scenario = context_scenario();
    int64_t ignored;
    double t = context_time(scenario, &ignored);
    Event event;
    if (!find_event(set, scenario, t, &event))
        /* What was reported before the loss is still told. */
        return any_lost(set, scenario, t) ? NVML_ERROR_GPU_IS_LOST : NVML_ERROR_TIMEOUT;
    bool again = event.at == set->told_until && event.order == set->told_order;
    set->told_times = again ? set->told_times + 1 : 1;
    set->told_until = event.at;
    set->told_order = event.order;
    data->device = context_handle(event.gpu);
    data->eventType = event_type(event.fault);
    data->eventData = event.fault->kind == FAULT_XID ? event.fault->value : 0;
    if (with_instances)
        name_instance(&(View){scenario, &scenario->gpus[event.gpu], NULL, event.gpu, event.at},
                      event.fault, data);
    return NVML_SUCCESS;
}

static nvmlReturn_t wait_for_event(const Call *call, nvmlEventSet_t set, nvmlEventData_t *data,
                                   unsigned timeout_ms, bool with_instances) {
    (void)call;
    WANT(set != NULL && data != NULL);
    const double slice = 0.02;
    double left = timeout_ms / 1000.0;
    for (;;) {
        pthread_mutex_lock(&set->lock);
        nvmlReturn_t result = look(set, with_instances, data);
        pthread_mutex_unlock(&set->lock);
        if (result != NVML_ERROR_TIMEOUT || left <= 0)
            return result;
        double nap = fmin(slice, left);
        context_sleep(nap);
        left -= nap;
    }
}

NVML_API nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *data,
                                          unsigned timeout_ms) {
    BEGIN(call);
    return wait_for_event(&call, set, data, timeout_ms, true);
}

/* The first version's struct ends before the MIG instances. */
NVML_API nvmlReturn_t nvmlEventSetWait(nvmlEventSet_t set, nvmlEventData_t *data,
                                       unsigned timeout_ms) {
    BEGIN(call);
    return wait_for_event(&call, set, data, timeout_ms, false);
}
