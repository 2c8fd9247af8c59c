/* Utilisation and memory. */
#include "api.h"
#include "mig.h"

NVML_API nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device,
                                                    nvmlUtilization_t *utilization) {
    BEGIN_DEVICE(call, device);
    WANT(utilization != NULL);
    SUPPORTED(!mig_mode(&call.view)); /* a GPU in pieces has no utilisation as a whole */
    utilization->gpu = model_utilization_percent(&call.view);
    utilization->memory = model_memory_percent(&call.view);
    return NVML_SUCCESS;
}

/* How long the driver looks for one engine reading. */
enum { ENGINE_PERIOD_US = 167000 };

#define ENGINE(function, condition, factor)                                                        \
    PAIR(function, (condition) && !mig_mode(view), model_percent((factor) * model_load(view)),     \
         ENGINE_PERIOD_US)

ENGINE(nvmlDeviceGetEncoderUtilization, gpu->preset->has_encoder, gpu->encoder)
ENGINE(nvmlDeviceGetDecoderUtilization, true, gpu->decoder)
ENGINE(nvmlDeviceGetJpgUtilization, gpu->preset->architecture >= ARCH_TURING, gpu->jpeg)
ENGINE(nvmlDeviceGetOfaUtilization, gpu->preset->architecture >= ARCH_TURING, gpu->ofa)

NVML_API nvmlReturn_t nvmlDeviceGetDynamicPstatesInfo(nvmlDevice_t device,
                                                      nvmlGpuDynamicPstatesInfo_t *info) {
    BEGIN_DEVICE(call, device);
    WANT(info != NULL);
    SUPPORTED(!mig_mode(&call.view));
    const double factors[] = {1, 0.6, call.view.gpu->decoder, 0.2};
    *info = (nvmlGpuDynamicPstatesInfo_t){0};
    for (unsigned i = 0; i < 4; i++) {
        info->utilization[i].bIsPresent = 1;
        info->utilization[i].percentage = model_percent(factors[i] * model_load(&call.view));
    }
    return NVML_SUCCESS;
}

static unsigned long long mib(unsigned number) { return (unsigned long long)number << 20; }

/* A scenario may have more in use than there is. */
static unsigned long long left(unsigned long long total, unsigned long long used) {
    return used < total ? total - used : 0;
}

/* Only an administrator sees the whole of a GPU that is cut into instances. */
static bool hidden(const View *view) {
    return view->mig == NULL && mig_mode(view) && !machine_is_root(view->scenario);
}

static void instance_memory(const View *view, nvmlMemory_t *memory) {
    memory->total = mig_memory_total(view->mig, view->gpu);
    memory->used = mig_memory_used(view->mig, view);
    memory->free = left(memory->total, memory->used);
}

/* The first version counts what the driver keeps for itself as used. */
NVML_API nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory) {
    BEGIN_ANY_DEVICE(call, device);
    WANT(memory != NULL);
    if (hidden(&call.view))
        return NVML_ERROR_NO_PERMISSION;
    if (call.view.mig != NULL) {
        instance_memory(&call.view, memory);
        return NVML_SUCCESS;
    }
    memory->total = mib(call.view.gpu->preset->memory_mib);
    memory->used = model_memory_used(&call.view) + mib(call.view.gpu->preset->memory_reserved_mib);
    memory->free = left(memory->total, memory->used);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory) {
    BEGIN_ANY_DEVICE(call, device);
    WANT(memory != NULL);
    if (memory->version != STRUCT_VERSION(*memory, 2))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    if (hidden(&call.view))
        return NVML_ERROR_NO_PERMISSION;
    if (call.view.mig != NULL) {
        nvmlMemory_t plain;
        instance_memory(&call.view, &plain);
        *memory = (nvmlMemory_v2_t){memory->version, plain.total, 0, plain.free, plain.used};
        return NVML_SUCCESS;
    }
    memory->total = mib(call.view.gpu->preset->memory_mib);
    memory->reserved = mib(call.view.gpu->preset->memory_reserved_mib);
    memory->used = model_memory_used(&call.view);
    memory->free = left(memory->total, memory->reserved + memory->used);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetBAR1MemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory) {
    BEGIN_ANY_DEVICE(call, device);
    WANT(memory != NULL);
    memory->total = mib(call.view.gpu->preset->bar1_mib);
    memory->used = mib(4);
    if (call.view.mig != NULL) {
        memory->total =
            memory->total * mig_profile(call.view.mig)->memory_slices / MIG_MEMORY_SLICES;
        memory->used = 0;
    }
    memory->free = left(memory->total, memory->used);
    return NVML_SUCCESS;
}
