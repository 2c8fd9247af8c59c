/* Who uses the GPU. */
#include "api.h"
#include "mig.h"

/* What stands for "in no instance". */
static const unsigned no_instance = 0xFFFFFFFF;

typedef void (*Store)(void *list, unsigned place, const Process *process,
                      const MigInstance *instance);

static void store_v1(void *list, unsigned place, const Process *process,
                     const MigInstance *instance) {
    (void)instance;
    ((nvmlProcessInfo_v1_t *)list)[place] =
        (nvmlProcessInfo_v1_t){.pid = process->pid, .usedGpuMemory = process->memory};
}

static void store_v2(void *list, unsigned place, const Process *process,
                     const MigInstance *instance) {
    unsigned id = instance != NULL ? instance->id : no_instance;
    ((nvmlProcessInfo_v2_t *)list)[place] = (nvmlProcessInfo_v2_t){
        process->pid, process->memory, id, instance != NULL ? 0 : no_instance};
}

static void store_detail(void *list, unsigned place, const Process *process,
                         const MigInstance *instance) {
    unsigned id = instance != NULL ? instance->id : no_instance;
    ((nvmlProcessDetail_v1_t *)list)[place] = (nvmlProcessDetail_v1_t){
        process->pid, process->memory, id, instance != NULL ? 0 : no_instance, 0};
}

/* Fills the list, or only counts when it is too short. A MIG device only shows its own; the whole
 * GPU shows all of them, to administrators. */
static nvmlReturn_t list_processes(const View *view, ProcessType type, unsigned *count, void *list,
                                   Store store) {
    WANT(count != NULL);
    const Scenario *scenario = view->scenario;
    unsigned room = list != NULL ? *count : 0, found = 0;
    if (view->mig == NULL && mig_mode(view) && !machine_is_root(scenario))
        return NVML_ERROR_NO_PERMISSION;
    for (size_t i = 0; i < scenario->process_count; i++) {
        const Process *process = &scenario->processes[i];
        if (process->type != type || !process_runs(process, view))
            continue;
        const MigInstance *instance = mig_of_process(process, view);
        if (view->mig != NULL && view->mig != instance)
            continue;
        Process shown = *process;
        shown.memory = model_process_memory(process, view);
        if (found < room)
            store(list, found, &shown, instance);
        found++;
    }
    *count = found;
    return found > room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
}

#define LIST(function, type, store)                                                                \
    NVML_API nvmlReturn_t function(nvmlDevice_t device, unsigned *count, void *list) {             \
        BEGIN_ANY_DEVICE(call, device);                                                            \
        return list_processes(&call.view, type, count, list, store);                               \
    }

LIST(nvmlDeviceGetComputeRunningProcesses, PROCESS_COMPUTE, store_v1)
LIST(nvmlDeviceGetComputeRunningProcesses_v2, PROCESS_COMPUTE, store_v2)
LIST(nvmlDeviceGetComputeRunningProcesses_v3, PROCESS_COMPUTE, store_v2)
LIST(nvmlDeviceGetGraphicsRunningProcesses, PROCESS_GRAPHICS, store_v1)
LIST(nvmlDeviceGetGraphicsRunningProcesses_v2, PROCESS_GRAPHICS, store_v2)
LIST(nvmlDeviceGetGraphicsRunningProcesses_v3, PROCESS_GRAPHICS, store_v2)
LIST(nvmlDeviceGetMPSComputeRunningProcesses, PROCESS_MPS, store_v1)
LIST(nvmlDeviceGetMPSComputeRunningProcesses_v2, PROCESS_MPS, store_v2)
LIST(nvmlDeviceGetMPSComputeRunningProcesses_v3, PROCESS_MPS, store_v2)

NVML_API nvmlReturn_t nvmlDeviceGetRunningProcessDetailList(nvmlDevice_t device,
                                                            nvmlProcessDetailList_v1_t *list) {
    BEGIN_ANY_DEVICE(call, device);
    WANT(list != NULL);
    if (list->version != STRUCT_VERSION(*list, 1))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    WANT(list->mode <= PROCESS_MPS);
    SUPPORTED(call.view.gpu->preset->architecture >= 9);
    return list_processes(&call.view, (ProcessType)list->mode, &list->numProcArrayEntries,
                          list->procArray, store_detail);
}

/* The driver makes a sample of all processes each second. */
static unsigned long long last_sample_us(const Call *call) {
    const Scenario *scenario = call->view.scenario;
    unsigned long long seconds = (unsigned long long)call->view.t;
    return (unsigned long long)(scenario->start_us - model_time_back_us(&call->view)) +
           seconds * 1000000ULL;
}

/* Only what was used at all is in a sample. */
static bool sample(const View *view, const Process *process, unsigned sharing,
                   nvmlProcessUtilizationInfo_v1_t *info) {
    if (!process_runs(process, view))
        return false;
    *info = (nvmlProcessUtilizationInfo_v1_t){.pid = process->pid,
                                              .smUtil = model_process_sm(process, view, sharing),
                                              .memUtil = process->mem,
                                              .encUtil = process->enc,
                                              .decUtil = process->dec};
    return info->smUtil + info->memUtil + info->encUtil + info->decUtil > 0;
}

typedef void (*StoreSample)(void *list, unsigned place,
                            const nvmlProcessUtilizationInfo_v1_t *info);

static nvmlReturn_t list_samples(const Call *call, unsigned long long last_seen, unsigned *count,
                                 void *list, StoreSample store) {
    enum { RING = 100 };
    WANT(count != NULL);
    SUPPORTED(!mig_mode(&call->view));
    const Scenario *scenario = call->view.scenario;
    unsigned room = list != NULL ? *count : 0, found = 0;
    unsigned long long moment = last_sample_us(call);
    View then = call->view;
    then.t = (double)(unsigned long long)then.t;
    unsigned sharing = model_processes_sharing(&then);
    for (size_t i = 0; i < scenario->process_count && moment > last_seen; i++) {
        nvmlProcessUtilizationInfo_v1_t info;
        if (!sample(&then, &scenario->processes[i], sharing, &info))
            continue;
        info.timeStamp = moment;
        if (found < room)
            store(list, found, &info);
        found++;
    }
    /* A call without a list asks for the size of the driver's ring, which is never small. */
    *count = list != NULL || found > RING ? found : RING;
    if (found == 0 && list != NULL)
        return NVML_ERROR_NOT_FOUND;
    return *count > room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
}

static void store_sample(void *list, unsigned place, const nvmlProcessUtilizationInfo_v1_t *info) {
    ((nvmlProcessUtilizationSample_t *)list)[place] = (nvmlProcessUtilizationSample_t){
        info->pid, info->timeStamp, info->smUtil, info->memUtil, info->encUtil, info->decUtil};
}

static void store_info(void *list, unsigned place, const nvmlProcessUtilizationInfo_v1_t *info) {
    ((nvmlProcessUtilizationInfo_v1_t *)list)[place] = *info;
}

NVML_API nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t device,
                                                      nvmlProcessUtilizationSample_t *samples,
                                                      unsigned *count,
                                                      unsigned long long last_seen) {
    BEGIN_DEVICE(call, device);
    return list_samples(&call, last_seen, count, samples, store_sample);
}

NVML_API nvmlReturn_t nvmlDeviceGetProcessesUtilizationInfo(
    nvmlDevice_t device, nvmlProcessesUtilizationInfo_v1_t *info) {
    BEGIN_DEVICE(call, device);
    WANT(info != NULL);
    if (info->version != STRUCT_VERSION(*info, 1))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    return list_samples(&call, info->lastSeenTimeStamp, &info->processSamplesCount,
                        info->procUtilArray, store_info);
}
