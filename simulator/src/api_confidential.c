/* Confidential computing: encrypted links, and memory that nothing else can read. */
#include "api.h"

enum { ENVIRONMENT_PRODUCTION = 2, CPU_INTEL_TDX = 2 };

NVML_API nvmlReturn_t nvmlSystemGetConfComputeState(nvmlConfComputeSystemState_t *state) {
    BEGIN(call);
    WANT(state != NULL);
    bool on = call.view.scenario->confidential;
    *state = (nvmlConfComputeSystemState_t){on ? ENVIRONMENT_PRODUCTION : 0, on, 0};
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t
nvmlSystemGetConfComputeSettings(nvmlSystemConfComputeSettings_v1_t *settings) {
    BEGIN(call);
    WANT(settings != NULL);
    if (settings->version != STRUCT_VERSION(*settings, 1))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    bool on = call.view.scenario->confidential;
    *settings = (nvmlSystemConfComputeSettings_v1_t){settings->version,
                                                     on ? ENVIRONMENT_PRODUCTION : 0, on, 0, 0};
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlSystemGetConfComputeCapabilities(nvmlConfComputeSystemCaps_t *caps) {
    BEGIN(call);
    WANT(caps != NULL);
    bool on = call.view.scenario->confidential;
    *caps = (nvmlConfComputeSystemCaps_t){on ? CPU_INTEL_TDX : 0, on};
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlSystemGetConfComputeGpusReadyState(unsigned *ready) {
    BEGIN(call);
    WANT(ready != NULL);
    *ready = 1;
    return NVML_SUCCESS;
}

/* All memory that can be used is protected, or none is. */
static unsigned long long protected_bytes(const View *view) {
    const Preset *preset = view->gpu->preset;
    bool on = view->scenario->confidential && preset->architecture >= ARCH_HOPPER;
    return on ? (unsigned long long)(preset->memory_mib - preset->memory_reserved_mib) << 20 : 0;
}

NVML_API nvmlReturn_t nvmlDeviceGetConfComputeMemSizeInfo(nvmlDevice_t device,
                                                          nvmlConfComputeMemSizeInfo_t *sizes) {
    BEGIN_DEVICE(call, device);
    WANT(sizes != NULL);
    SUPPORTED(call.view.gpu->preset->architecture >= ARCH_HOPPER);
    unsigned long long whole = (unsigned long long)call.view.gpu->preset->memory_mib << 10;
    sizes->protectedMemSizeKib = protected_bytes(&call.view) >> 10;
    sizes->unprotectedMemSizeKib = sizes->protectedMemSizeKib > 0 ? 0 : whole;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetConfComputeProtectedMemoryUsage(nvmlDevice_t device,
                                                                   nvmlMemory_t *memory) {
    BEGIN_DEVICE(call, device);
    WANT(memory != NULL);
    SUPPORTED(call.view.gpu->preset->architecture >= ARCH_HOPPER);
    memory->total = protected_bytes(&call.view);
    memory->used = memory->total > 0 ? model_memory_used(&call.view) : 0;
    memory->free = memory->total - memory->used;
    return NVML_SUCCESS;
}
