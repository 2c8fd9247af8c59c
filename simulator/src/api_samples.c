/* The ring of recent readings that the driver keeps: 120, one each 20 ms. */
#include "api.h"
#include "mig.h"

enum { RING = 120, STEP_US = 20000 };

enum { POWER, GPU, MEMORY, ENCODER, DECODER, SM_CLOCK, MEMORY_CLOCK, MODULE_POWER, JPEG, OFA };

static bool sampled(const Preset *preset, unsigned type) {
    switch (type) {
    case MODULE_POWER:
        return preset->module_idle > 0;
    case ENCODER:
        return preset->has_encoder;
    case JPEG:
    case OFA:
        return preset->architecture >= ARCH_TURING;
    default:
        return true;
    }
}

static bool is_utilization(unsigned type) {
    return type != POWER && type != MODULE_POWER && type != SM_CLOCK && type != MEMORY_CLOCK;
}

static unsigned reading(const View *view, unsigned type) {
    const Gpu *gpu = view->gpu;
    double load = model_load(view);
    switch (type) {
    case POWER:
        return model_power_mw(view);
    case GPU:
        return model_utilization_percent(view);
    case MEMORY:
        return model_memory_percent(view);
    case ENCODER:
        return model_percent(gpu->encoder * load);
    case DECODER:
        return model_percent(gpu->decoder * load);
    case SM_CLOCK:
        return model_clock_mhz(view, CLOCK_SM);
    case MEMORY_CLOCK:
        return model_clock_mhz(view, CLOCK_MEM);
    case MODULE_POWER:
        return model_module_power_mw(view, false);
    case JPEG:
        return model_percent(gpu->jpeg * load);
    default:
        return model_percent(gpu->ofa * load);
    }
}

NVML_API nvmlReturn_t nvmlDeviceGetSamples(nvmlDevice_t device, unsigned type,
                                           unsigned long long last_seen, unsigned *value_type,
                                           unsigned *count, nvmlSample_t *samples) {
    BEGIN_DEVICE(call, device);
    WANT(value_type != NULL && count != NULL && type <= OFA);
    SUPPORTED(sampled(call.view.gpu->preset, type));
    SUPPORTED(!is_utilization(type) || !mig_mode(&call.view));
    *value_type = VALUE_UINT;
    if (samples == NULL) {
        *count = RING;
        return NVML_SUCCESS;
    }
    uint64_t newest = (uint64_t)(call.view.t * 1e6 / STEP_US);
    uint64_t oldest = newest >= RING ? newest - RING + 1 : 0;
    const Scenario *scenario = call.view.scenario;
    uint64_t begin_us = scenario->samples_from_boot ? 0 : (uint64_t)scenario->start_us;
    begin_us -= (uint64_t)model_time_back_us(&call.view);
    unsigned found = 0;
    View then = call.view;
    for (uint64_t step = oldest; step <= newest && found < *count; step++) {
        uint64_t moment = begin_us + step * STEP_US;
        if (moment <= last_seen)
            continue;
        then.t = (double)(step * STEP_US) / 1e6;
        samples[found].timeStamp = moment;
        samples[found].sampleValue.ull = reading(&then, type);
        found++;
    }
    *count = found;
    return found > 0 ? NVML_SUCCESS : NVML_ERROR_NOT_FOUND;
}
