/* vGPUs, as the host of the virtual machines sees them, and the licence of one as its guest does.
 */
#include "api.h"
#include "mig.h"

#include <string.h>

/* A vGPU and its type are known by their place in the scenario, from 1. */
static unsigned vgpu_id(const View *view, const Vgpu *vgpu) {
    return (unsigned)(vgpu - view->scenario->vgpus) + 1;
}

static bool vgpu_runs(const Vgpu *vgpu, double t) { return t >= vgpu->from && t < vgpu->until; }

/* Finds a vGPU that runs on a GPU that is there, and completes the view with that GPU. */
static const Vgpu *find_vgpu(View *view, unsigned id) {
    const Scenario *scenario = view->scenario;
    if (id == 0 || id > scenario->vgpu_count)
        return NULL;
    const Vgpu *vgpu = &scenario->vgpus[id - 1];
    if (!vgpu_runs(vgpu, view->t) || vgpu->gpu >= machine_gpu_count(scenario, view->t))
        return NULL;
    view->index = vgpu->gpu;
    view->gpu = &scenario->gpus[vgpu->gpu];
    return vgpu;
}

/* The first vGPU of its type, which gives the type its number. */
static const Vgpu *type_of(const View *view, const char *name) {
    const Vgpu *vgpu = view->scenario->vgpus;
    while (strcmp(vgpu->type, name) != 0)
        vgpu++;
    return vgpu;
}

#define BEGIN_VGPU(call, vgpu, id)                                                                 \
    BEGIN(call);                                                                                   \
    const Vgpu *vgpu = find_vgpu(&call.view, id);                                                  \
    do {                                                                                           \
        if (vgpu == NULL)                                                                          \
            return NVML_ERROR_NOT_FOUND;                                                           \
        if (machine_gpu_lost(call.view.scenario, vgpu->gpu, call.view.t))                          \
            return NVML_ERROR_GPU_IS_LOST;                                                         \
    } while (0)

NVML_API nvmlReturn_t nvmlDeviceGetHostVgpuMode(nvmlDevice_t device, unsigned *mode) {
    BEGIN_DEVICE(call, device);
    WANT(mode != NULL);
    SUPPORTED(call.view.gpu->virtualization_mode == VIRTUALIZATION_HOST_VGPU);
    *mode = call.view.gpu->preset->architecture >= ARCH_AMPERE; /* through SR-IOV */
    return NVML_SUCCESS;
}

enum { TIMESLICE_NS = 2000000, ENGINE_GRAPHICS = 1, ENGINES = 4 };

NVML_API nvmlReturn_t nvmlDeviceGetVgpuSchedulerState(nvmlDevice_t device,
                                                      nvmlVgpuSchedulerGetState_t *state) {
    BEGIN_DEVICE(call, device);
    WANT(state != NULL);
    const Gpu *gpu = call.view.gpu;
    SUPPORTED(gpu->virtualization_mode == VIRTUALIZATION_HOST_VGPU && !mig_mode(&call.view));
    *state =
        (nvmlVgpuSchedulerGetState_t){gpu->vgpu_scheduler, gpu->vgpu_arr_mode, {TIMESLICE_NS, 0}};
    return NVML_SUCCESS;
}

/* The newer one is asked for an engine, and tells no mode of the adaptive round robin. */
NVML_API nvmlReturn_t nvmlDeviceGetVgpuSchedulerState_v2(nvmlDevice_t device,
                                                         nvmlVgpuSchedulerStateInfo_v2_t *state) {
    BEGIN_DEVICE(call, device);
    WANT(state != NULL && state->engineId >= ENGINE_GRAPHICS && state->engineId < ENGINES);
    const Gpu *gpu = call.view.gpu;
    SUPPORTED(gpu->virtualization_mode == VIRTUALIZATION_HOST_VGPU && !mig_mode(&call.view));
    *state =
        (nvmlVgpuSchedulerStateInfo_v2_t){state->engineId, gpu->vgpu_scheduler, 0, TIMESLICE_NS};
    return NVML_SUCCESS;
}

/* A guest with a vGPU has one feature to license: that it runs as one. */
NVML_API nvmlReturn_t nvmlDeviceGetGridLicensableFeatures_v4(
    nvmlDevice_t device, nvmlGridLicensableFeatures_v4_t *features) {
    BEGIN_DEVICE(call, device);
    enum { FEATURE_VGPU = 1 };
    WANT(features != NULL);
    bool guest = call.view.gpu->virtualization_mode == VIRTUALIZATION_VGPU;
    *features = (nvmlGridLicensableFeatures_v4_t){.isGridLicenseSupported = guest,
                                                  .licensableFeaturesCount = guest};
    if (guest)
        features->gridLicensableFeatures[0] =
            (nvmlGridLicensableFeature_v4_t){.featureCode = FEATURE_VGPU,
                                             .featureState = call.view.gpu->licensed,
                                             .productName = "NVIDIA Virtual Compute Server",
                                             .featureEnabled = 1};
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetActiveVgpus(nvmlDevice_t device, unsigned *count,
                                               unsigned *vgpus) {
    BEGIN_DEVICE(call, device);
    WANT(count != NULL);
    SUPPORTED(call.view.gpu->virtualization_mode == VIRTUALIZATION_HOST_VGPU);
    unsigned room = vgpus != NULL ? *count : 0, found = 0;
    for (size_t i = 0; i < call.view.scenario->vgpu_count; i++) {
        const Vgpu *vgpu = &call.view.scenario->vgpus[i];
        if (vgpu->gpu != call.view.index || !vgpu_runs(vgpu, call.view.t))
            continue;
        if (found < room)
            vgpus[found] = vgpu_id(&call.view, vgpu);
        found++;
    }
    *count = found;
    return found > room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetVgpuUtilization(nvmlDevice_t device,
                                                   unsigned long long last_seen,
                                                   unsigned *value_type, unsigned *count,
                                                   nvmlVgpuInstanceUtilizationSample_t *samples) {
    BEGIN_DEVICE(call, device);
    WANT(value_type != NULL && count != NULL);
    const Gpu *gpu = call.view.gpu;
    SUPPORTED(gpu->virtualization_mode == VIRTUALIZATION_HOST_VGPU);
    unsigned long long now = (unsigned long long)call.now_us;
    unsigned room = samples != NULL ? *count : 0, found = 0;
    double load = model_load(&call.view);
    *value_type = VALUE_UINT;
    for (size_t i = 0; i < call.view.scenario->vgpu_count && now > last_seen; i++) {
        const Vgpu *vgpu = &call.view.scenario->vgpus[i];
        if (vgpu->gpu != call.view.index || !vgpu_runs(vgpu, call.view.t))
            continue;
        double part = vgpu->share * load;
        if (found < room)
            samples[found] = (nvmlVgpuInstanceUtilizationSample_t){
                .vgpuInstance = vgpu_id(&call.view, vgpu),
                .timeStamp = now,
                .smUtil.ui = model_percent(part),
                .memUtil.ui = model_percent(0.6 * part),
                .encUtil.ui = model_percent(gpu->encoder * part),
                .decUtil.ui = model_percent(gpu->decoder * part)};
        found++;
    }
    *count = found;
    return found > room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlVgpuInstanceGetVmID(unsigned id, char *vm, unsigned size,
                                              unsigned *type) {
    BEGIN_VGPU(call, vgpu, id);
    enum { DOMAIN_ID = 0 };
    WANT(type != NULL);
    *type = DOMAIN_ID;
    return give_text(vgpu->vm, vm, size);
}

NVML_API nvmlReturn_t nvmlVgpuInstanceGetUUID(unsigned id, char *uuid, unsigned size) {
    BEGIN_VGPU(call, vgpu, id);
    return give_text(vgpu->uuid, uuid, size);
}

/* Without a driver in the machine nobody knows of one. */
NVML_API nvmlReturn_t nvmlVgpuInstanceGetVmDriverVersion(unsigned id, char *version,
                                                         unsigned size) {
    BEGIN_VGPU(call, vgpu, id);
    return give_text(vgpu->driver[0] != '\0' ? vgpu->driver : "Not Available", version, size);
}

NVML_API nvmlReturn_t nvmlVgpuInstanceGetFbUsage(unsigned id, unsigned long long *bytes) {
    BEGIN_VGPU(call, vgpu, id);
    WANT(bytes != NULL);
    *bytes = vgpu->memory;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlVgpuInstanceGetLicenseStatus(unsigned id, unsigned *licensed) {
    BEGIN_VGPU(call, vgpu, id);
    WANT(licensed != NULL);
    *licensed = vgpu->licensed;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlVgpuInstanceGetFrameRateLimit(unsigned id, unsigned *fps) {
    BEGIN_VGPU(call, vgpu, id);
    WANT(fps != NULL);
    (void)vgpu;
    *fps = 60;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlVgpuInstanceGetEccMode(unsigned id, unsigned *mode) {
    BEGIN_VGPU(call, vgpu, id);
    WANT(mode != NULL);
    *mode = call.view.scenario->gpus[vgpu->gpu].ecc;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlVgpuInstanceGetType(unsigned id, unsigned *type) {
    BEGIN_VGPU(call, vgpu, id);
    WANT(type != NULL);
    *type = vgpu_id(&call.view, type_of(&call.view, vgpu->type));
    return NVML_SUCCESS;
}

/* Types are there whether a vGPU of theirs runs or not. */
static const Vgpu *find_type(const Call *call, unsigned type) {
    bool known = type > 0 && type <= call->view.scenario->vgpu_count;
    return known ? &call->view.scenario->vgpus[type - 1] : NULL;
}

static nvmlReturn_t give_type_text(const char *text, char *buffer, unsigned *size) {
    WANT(size != NULL);
    nvmlReturn_t result = give_text(text, buffer, *size);
    *size = (unsigned)strlen(text) + 1;
    return result;
}

NVML_API nvmlReturn_t nvmlVgpuTypeGetName(unsigned type, char *name, unsigned *size) {
    BEGIN(call);
    const Vgpu *vgpu = find_type(&call, type);
    WANT(vgpu != NULL);
    return give_type_text(vgpu->type, name, size);
}

/* The letter that a type's name ends with tells its class. */
NVML_API nvmlReturn_t nvmlVgpuTypeGetClass(unsigned type, char *name, unsigned *size) {
    BEGIN(call);
    const Vgpu *vgpu = find_type(&call, type);
    WANT(vgpu != NULL);
    char last = vgpu->type[strlen(vgpu->type) - 1];
    return give_type_text(last == 'C' ? "Compute" : last == 'B' ? "NVS" : "Quadro", name, size);
}

NVML_API nvmlReturn_t nvmlVgpuTypeGetFramebufferSize(unsigned type, unsigned long long *bytes) {
    BEGIN(call);
    const Vgpu *vgpu = find_type(&call, type);
    WANT(vgpu != NULL && bytes != NULL);
    *bytes = vgpu->size;
    return NVML_SUCCESS;
}
