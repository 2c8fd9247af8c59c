/* Clocks and why they are held down. */
#include "api.h"

NVML_API nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, unsigned type, unsigned *mhz) {
    BEGIN_DEVICE(call, device);
    WANT(mhz != NULL && type < CLOCK_TYPES);
    *mhz = model_clock_mhz(&call.view, type);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t device, unsigned type, unsigned *mhz) {
    BEGIN_DEVICE(call, device);
    WANT(mhz != NULL && type < CLOCK_TYPES);
    *mhz = model_max_clock_mhz(call.view.gpu, type);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetMaxCustomerBoostClock(nvmlDevice_t device, unsigned type,
                                                         unsigned *mhz) {
    BEGIN_DEVICE(call, device);
    WANT(mhz != NULL && type < CLOCK_TYPES);
    SUPPORTED(call.view.gpu->preset->data_center);
    *mhz = model_max_clock_mhz(call.view.gpu, type);
    return NVML_SUCCESS;
}

/* Nobody has set application clocks here: they are at their defaults, the maxima. */
static nvmlReturn_t application_clock(const Gpu *gpu, unsigned type, unsigned *mhz) {
    WANT(mhz != NULL && type < CLOCK_TYPES);
    SUPPORTED(gpu->preset->data_center && type != CLOCK_VIDEO);
    *mhz = model_max_clock_mhz(gpu, type);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetApplicationsClock(nvmlDevice_t device, unsigned type,
                                                     unsigned *mhz) {
    BEGIN_DEVICE(call, device);
    return application_clock(call.view.gpu, type, mhz);
}

NVML_API nvmlReturn_t nvmlDeviceGetDefaultApplicationsClock(nvmlDevice_t device, unsigned type,
                                                            unsigned *mhz) {
    BEGIN_DEVICE(call, device);
    return application_clock(call.view.gpu, type, mhz);
}

NVML_API nvmlReturn_t nvmlDeviceGetClock(nvmlDevice_t device, unsigned type, unsigned id,
                                         unsigned *mhz) {
    BEGIN_DEVICE(call, device);
    enum { CURRENT, APPLICATION_TARGET, APPLICATION_DEFAULT, CUSTOMER_BOOST_MAX };
    WANT(mhz != NULL && type < CLOCK_TYPES && id <= CUSTOMER_BOOST_MAX);
    if (id != CURRENT)
        return application_clock(call.view.gpu, type, mhz);
    *mhz = model_clock_mhz(&call.view, type);
    return NVML_SUCCESS;
}

static nvmlReturn_t current_reasons(const View *view, unsigned long long *reasons) {
    WANT(reasons != NULL);
    *reasons = model_reasons(view);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetCurrentClocksEventReasons(nvmlDevice_t device,
                                                             unsigned long long *reasons) {
    BEGIN_DEVICE(call, device);
    return current_reasons(&call.view, reasons);
}

NVML_API nvmlReturn_t nvmlDeviceGetCurrentClocksThrottleReasons(nvmlDevice_t device,
                                                                unsigned long long *reasons) {
    BEGIN_DEVICE(call, device);
    return current_reasons(&call.view, reasons);
}

static nvmlReturn_t supported_reasons(unsigned long long *reasons) {
    WANT(reasons != NULL);
    *reasons = 0x1FF;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetSupportedClocksEventReasons(nvmlDevice_t device,
                                                               unsigned long long *reasons) {
    BEGIN_DEVICE(call, device);
    return supported_reasons(reasons);
}

NVML_API nvmlReturn_t nvmlDeviceGetSupportedClocksThrottleReasons(nvmlDevice_t device,
                                                                  unsigned long long *reasons) {
    BEGIN_DEVICE(call, device);
    return supported_reasons(reasons);
}

NVML_API nvmlReturn_t nvmlDeviceGetViolationStatus(nvmlDevice_t device, unsigned policy,
                                                   nvmlViolationTime_t *time) {
    BEGIN_DEVICE(call, device);
    static const unsigned long long reasons[] = {
        REASON_SW_POWER_CAP, REASON_SW_THERMAL | REASON_HW_THERMAL, REASON_SYNC_BOOST};
    WANT(time != NULL && policy < 12);
    SUPPORTED(policy < sizeof reasons / sizeof *reasons);
    time->referenceTime = (unsigned long long)call.now_us;
    time->violationTime = model_reason_ns(&call.view, reasons[policy]);
    return NVML_SUCCESS;
}

/* Lists are filled as far as they reach, with the number needed where they are too short. */
static nvmlReturn_t give_list(const unsigned *values, unsigned have, unsigned *count,
                              unsigned *list) {
    WANT(count != NULL);
    unsigned room = *count;
    *count = have;
    if (room < have || list == NULL)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < have; i++)
        list[i] = values[i];
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetSupportedMemoryClocks(nvmlDevice_t device, unsigned *count,
                                                         unsigned *list) {
    BEGIN_DEVICE(call, device);
    const Preset *preset = call.view.gpu->preset;
    const unsigned clocks[] = {preset->mem_max, preset->mem_idle};
    return give_list(clocks, preset->mem_max == preset->mem_idle ? 1 : 2, count, list);
}

NVML_API nvmlReturn_t nvmlDeviceGetSupportedGraphicsClocks(nvmlDevice_t device, unsigned memory,
                                                           unsigned *count, unsigned *list) {
    BEGIN_DEVICE(call, device);
    const Preset *preset = call.view.gpu->preset;
    if (memory != preset->mem_max && memory != preset->mem_idle)
        return NVML_ERROR_NOT_FOUND;
    unsigned clocks[256], have = 0;
    for (unsigned mhz = preset->sm_max; mhz >= preset->sm_idle && have < 256; mhz -= 15)
        clocks[have++] = mhz;
    return give_list(clocks, have, count, list);
}

NVML_API nvmlReturn_t nvmlDeviceGetSupportedPerformanceStates(nvmlDevice_t device, unsigned *states,
                                                              unsigned size) {
    BEGIN_DEVICE(call, device);
    enum { UNKNOWN_STATE = 32 };
    const Preset *preset = call.view.gpu->preset;
    const unsigned have[] = {preset->pstate_load, preset->pstate_idle};
    unsigned count = have[0] == have[1] ? 1 : 2, room = size / sizeof *states;
    WANT(states != NULL);
    if (room < count)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < room; i++)
        states[i] = i < count ? have[i] : UNKNOWN_STATE;
    return NVML_SUCCESS;
}
