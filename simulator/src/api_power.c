/* Power, energy, temperature, fans. */
#include "api.h"

static unsigned power_usage(const View *view) {
    return view->gpu->preset->has_power_average ? model_power_average_mw(view)
                                                : model_power_mw(view);
}

NUMBER(nvmlDeviceGetPowerUsage, true, power_usage(view))
NUMBER(nvmlDeviceGetEnforcedPowerLimit, true, gpu->power_limit_mw)
NUMBER(nvmlDeviceGetPowerManagementLimit, true, gpu->power_limit_mw)
NUMBER(nvmlDeviceGetPowerManagementDefaultLimit, true, gpu->preset->power_default)
PAIR(nvmlDeviceGetPowerManagementLimitConstraints, true, gpu->preset->power_min,
     gpu->preset->power_max)
NUMBER(nvmlDeviceGetPowerState, true,
       model_idle(view) ? gpu->preset->pstate_idle : gpu->preset->pstate_load)
NUMBER(nvmlDeviceGetPerformanceState, true,
       model_idle(view) ? gpu->preset->pstate_idle : gpu->preset->pstate_load)
NUMBER(nvmlDeviceGetNumFans, true, gpu->preset->fans)
NUMBER(nvmlDeviceGetFanSpeed, gpu->preset->fans > 0, model_fan_percent(view))

NVML_API nvmlReturn_t nvmlDeviceGetTotalEnergyConsumption(nvmlDevice_t device,
                                                          unsigned long long *millijoules) {
    BEGIN_DEVICE(call, device);
    WANT(millijoules != NULL);
    SUPPORTED(call.view.gpu->preset->architecture >= ARCH_VOLTA);
    *millijoules = model_energy_mj(&call.view);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, unsigned sensor,
                                               unsigned *celsius) {
    BEGIN_DEVICE(call, device);
    WANT(celsius != NULL && sensor == 0);
    *celsius = model_temperature(&call.view);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t device,
                                                nvmlTemperature_v1_t *temperature) {
    BEGIN_DEVICE(call, device);
    WANT(temperature != NULL);
    if (temperature->version != STRUCT_VERSION(*temperature, 1))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    WANT(temperature->sensorType == 0);
    temperature->temperature = (int)model_temperature(&call.view);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetMarginTemperature(nvmlDevice_t device,
                                                     nvmlMarginTemperature_v1_t *margin) {
    BEGIN_DEVICE(call, device);
    WANT(margin != NULL);
    if (margin->version != STRUCT_VERSION(*margin, 1))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    const Preset *preset = call.view.gpu->preset;
    SUPPORTED(preset->has_tlimit);
    margin->marginTemperature = (int)preset->temp_max - (int)model_temperature(&call.view);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetTemperatureThreshold(nvmlDevice_t device, unsigned type,
                                                        unsigned *celsius) {
    BEGIN_DEVICE(call, device);
    WANT(celsius != NULL && type < 8);
    const Preset *preset = call.view.gpu->preset;
    const unsigned thresholds[] = {preset->temp_shutdown, preset->temp_slowdown,
                                   preset->memory_temp_max, preset->temp_max};
    SUPPORTED(type < 4 && (type != 2 || preset->has_memory_temp));
    *celsius = thresholds[type];
    return NVML_SUCCESS;
}

/* The speed of one fan, in percent. */
static nvmlReturn_t fan_speed(const View *view, unsigned fan, unsigned *speed) {
    WANT(speed != NULL);
    SUPPORTED(view->gpu->preset->fans > 0);
    WANT(fan < view->gpu->preset->fans);
    *speed = model_fan_percent(view);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetFanSpeed_v2(nvmlDevice_t device, unsigned fan, unsigned *speed) {
    BEGIN_DEVICE(call, device);
    return fan_speed(&call.view, fan, speed);
}

NVML_API nvmlReturn_t nvmlDeviceGetTargetFanSpeed(nvmlDevice_t device, unsigned fan,
                                                  unsigned *speed) {
    BEGIN_DEVICE(call, device);
    return fan_speed(&call.view, fan, speed);
}

NVML_API nvmlReturn_t nvmlDeviceGetFanSpeedRPM(nvmlDevice_t device, nvmlFanSpeedInfo_v1_t *info) {
    BEGIN_DEVICE(call, device);
    WANT(info != NULL);
    if (info->version != STRUCT_VERSION(*info, 1))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    nvmlReturn_t result = fan_speed(&call.view, info->fan, &info->speed);
    if (result == NVML_SUCCESS)
        info->speed *= 30; /* 3,000 turns a minute at full speed */
    return result;
}

NVML_API nvmlReturn_t nvmlDeviceGetFanControlPolicy_v2(nvmlDevice_t device, unsigned fan,
                                                       unsigned *policy) {
    BEGIN_DEVICE(call, device);
    unsigned speed;
    nvmlReturn_t result = fan_speed(&call.view, fan, &speed);
    WANT(policy != NULL);
    *policy = 0;
    return result;
}

PAIR(nvmlDeviceGetMinMaxFanSpeed, gpu->preset->fans > 0, 30, 100)
