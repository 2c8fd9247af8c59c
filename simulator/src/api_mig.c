/* MIG instances: finding them, and what they are. */
#include "api.h"
#include "mig.h"

PAIR(nvmlDeviceGetMigMode, gpu->preset->has_mig, mig_mode(view), mig_mode_pending(view))
NUMBER(nvmlDeviceGetMaxMigDeviceCount, true, gpu->preset->has_mig ? MIG_SLICES : 0)

NVML_API nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned index,
                                                          nvmlDevice_t *mig) {
    BEGIN_DEVICE(call, device);
    WANT(mig != NULL);
    SUPPORTED(call.view.gpu->preset->has_mig);
    WANT(index < MIG_SLICES);
    const MigInstance *instance = mig_by_index(&call.view, index);
    if (instance == NULL)
        return NVML_ERROR_NOT_FOUND;
    *mig = context_mig_handle(instance);
    return *mig != NULL ? NVML_SUCCESS : NVML_ERROR_MEMORY;
}

NVML_API nvmlReturn_t nvmlDeviceIsMigDeviceHandle(nvmlDevice_t device, unsigned *is_mig) {
    BEGIN_ANY_DEVICE(call, device);
    WANT(is_mig != NULL);
    *is_mig = call.view.mig != NULL;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetGpuInstanceId(nvmlDevice_t device, unsigned *id) {
    BEGIN_ANY_DEVICE(call, device);
    WANT(id != NULL);
    SUPPORTED(call.view.mig != NULL);
    *id = call.view.mig->id;
    return NVML_SUCCESS;
}

/* Each GPU instance has one compute instance here. */
NVML_API nvmlReturn_t nvmlDeviceGetComputeInstanceId(nvmlDevice_t device, unsigned *id) {
    BEGIN_ANY_DEVICE(call, device);
    WANT(id != NULL);
    SUPPORTED(call.view.mig != NULL);
    *id = 0;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvmlDevice_t mig,
                                                                   nvmlDevice_t *device) {
    BEGIN_ANY_DEVICE(call, mig);
    WANT(device != NULL && call.view.mig != NULL);
    *device = context_handle(call.view.index);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetAttributes_v2(nvmlDevice_t device,
                                                 nvmlDeviceAttributes_t *attributes) {
    BEGIN_ANY_DEVICE(call, device);
    WANT(attributes != NULL);
    SUPPORTED(call.view.mig != NULL);
    const MigInstance *instance = call.view.mig;
    const Preset *preset = call.view.gpu->preset;
    const MigProfile *profile = mig_profile(instance);
    *attributes = (nvmlDeviceAttributes_t){
        .multiprocessorCount = mig_multiprocessors(instance, call.view.gpu),
        .sharedCopyEngineCount = profile->slices,
        .sharedDecoderCount = mig_engines(instance, preset->decoders),
        .sharedJpegCount = mig_engines(instance, preset->jpegs),
        .sharedOfaCount = mig_engines(instance, preset->ofas),
        .gpuInstanceSliceCount = profile->slices,
        .computeInstanceSliceCount = profile->slices,
        .memorySizeMB = mig_memory_total(instance, call.view.gpu) >> 20};
    return NVML_SUCCESS;
}
