/* The performance monitor: samples, and metrics over the time between two of them. */
#include "api.h"
#include "gpm.h"
#include "mig.h"

#include <stdlib.h>
#include <string.h>

struct nvmlGpmSample {
    bool filled;
    unsigned gpu;
    const MigInstance *instance; /* of a scenario, which stays in memory; NULL: the whole GPU */
    double t;
};

NVML_API nvmlReturn_t nvmlGpmQueryDeviceSupport(nvmlDevice_t device, nvmlGpmSupport_t *support) {
    BEGIN_DEVICE(call, device);
    WANT(support != NULL);
    if (support->version != 1)
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    support->isSupportedDevice = preset_has_gpm(call.view.gpu->preset);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlGpmSampleAlloc(nvmlGpmSample_t *sample) {
    BEGIN(call);
    WANT(sample != NULL);
    *sample = calloc(1, sizeof **sample);
    return *sample != NULL ? NVML_SUCCESS : NVML_ERROR_MEMORY;
}

NVML_API nvmlReturn_t nvmlGpmSampleFree(nvmlGpmSample_t sample) {
    BEGIN(call);
    WANT(sample != NULL);
    free(sample);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlGpmSampleGet(nvmlDevice_t device, nvmlGpmSample_t sample) {
    BEGIN_DEVICE(call, device);
    WANT(sample != NULL);
    SUPPORTED(preset_has_gpm(call.view.gpu->preset));
    *sample = (struct nvmlGpmSample){true, call.view.index, NULL, call.view.t};
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlGpmMigSampleGet(nvmlDevice_t device, unsigned id,
                                          nvmlGpmSample_t sample) {
    BEGIN_DEVICE(call, device);
    WANT(sample != NULL);
    SUPPORTED(preset_has_gpm(call.view.gpu->preset) && mig_mode(&call.view));
    const MigInstance *instance = mig_by_gpu_instance(&call.view, id);
    WANT(instance != NULL);
    *sample = (struct nvmlGpmSample){true, call.view.index, instance, call.view.t};
    return NVML_SUCCESS;
}

static bool same_source(nvmlGpmSample_t first, nvmlGpmSample_t second) {
    const MigInstance *a = first->instance, *b = second->instance;
    return first->filled && second->filled && first->gpu == second->gpu && first->t <= second->t &&
           (a == NULL) == (b == NULL) && (a == NULL || strcmp(a->uuid, b->uuid) == 0);
}

static nvmlReturn_t read_metric(const View *first, const View *second, nvmlGpmMetric_t *metric) {
    const double refresh = 0.1; /* the monitor's own rhythm */
    gpm_describe(metric->metricId, &metric->metricInfo);
    /* Times are fractions: two samples just the refresh apart may seem a little closer. */
    if (second->t - first->t < refresh - 1e-6)
        return NVML_ERROR_NO_DATA;
    return gpm_value(first, second, metric->metricId, &metric->value);
}

NVML_API nvmlReturn_t nvmlGpmMetricsGet(nvmlGpmMetricsGet_t *get) {
    BEGIN(call);
    WANT(get != NULL);
    if (get->version != 1)
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    WANT(get->sample1 != NULL && get->sample2 != NULL && get->numMetrics <= GPM_METRICS);
    WANT(same_source(get->sample1, get->sample2));
    View second = call.view;
    second.index = get->sample2->gpu;
    WANT(second.index < call.view.scenario->gpu_count);
    second.gpu = &call.view.scenario->gpus[second.index];
    second.mig = get->sample2->instance;
    second.t = get->sample2->t;
    View first = second;
    first.t = get->sample1->t;
    for (unsigned i = 0; i < get->numMetrics; i++) {
        nvmlGpmMetric_t *metric = &get->metrics[i];
        metric->value = 0;
        metric->nvmlReturn = read_metric(&first, &second, metric);
    }
    return NVML_SUCCESS;
}

NUMBER(nvmlGpmQueryIfStreamingEnabled, preset_has_gpm(gpu->preset), 0)
