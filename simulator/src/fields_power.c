/* Fields of power, its limits and its smoothing. */
#include "fields.h"

/* What a power is of: the module is the one that a GPU shares with a processor, where it does. */
enum { SCOPE_GPU, SCOPE_MODULE, SCOPE_MEMORY };

static nvmlReturn_t draw(const View *view, nvmlFieldValue_t *field, bool average) {
    const Preset *preset = view->gpu->preset;
    SUPPORTED(!average || preset->has_power_average);
    switch (field->scopeId) {
    case SCOPE_GPU:
        return give_uint(field, true,
                         average ? model_power_average_mw(view) : model_power_mw(view));
    case SCOPE_MODULE:
        return give_uint(field, preset->module_idle > 0, model_module_power_mw(view, average));
    case SCOPE_MEMORY: /* of which there only is a mean */
        return give_uint(field, average && preset_has_memory_power(preset),
                         model_memory_power_mw(view));
    default:
        return NVML_ERROR_NOT_SUPPORTED;
    }
}

/* A module may draw what its GPU may, and what the rest of it needs at the most. */
static nvmlReturn_t limit(const View *view, nvmlFieldValue_t *field, unsigned of_gpu) {
    const Preset *preset = view->gpu->preset;
    if (field->scopeId == SCOPE_MODULE)
        return give_uint(field, preset->module_load > 0, of_gpu + preset->module_load);
    return give_uint(field, field->scopeId == SCOPE_GPU, of_gpu);
}

nvmlReturn_t power_field(const View *view, nvmlFieldValue_t *field) {
    const Preset *preset = view->gpu->preset;
    switch (field->fieldId) {
    case 185:
        return draw(view, field, true);
    case 186:
        return draw(view, field, false);
    case 187:
        return limit(view, field, preset->power_min);
    case 188:
        return limit(view, field, preset->power_max);
    case 189:
        return limit(view, field, preset->power_default);
    case 190: /* enforced */
    case 192: /* requested */
        return limit(view, field, view->gpu->power_limit_mw);
    default:
        return NVML_ERROR_NOT_SUPPORTED;
    }
}

typedef struct {
    unsigned id, value;
} Constant;

static nvmlReturn_t give_constant(nvmlFieldValue_t *field, const Constant *constants,
                                  size_t count) {
    for (size_t i = 0; i < count; i++)
        if (constants[i].id == field->fieldId)
            return give_uint(field, true, constants[i].value);
    return NVML_ERROR_NOT_SUPPORTED;
}

enum { PROFILES = 5 };

/* Smoothing is there from Blackwell on, and switched on; its limits follow the card's. */
nvmlReturn_t smoothing_field(const View *view, nvmlFieldValue_t *field) {
    const Preset *preset = view->gpu->preset;
    const Constant constants[] = {{251, 1},                            /* enabled */
                                  {252, 0},                            /* privilege level */
                                  {253, 1},                            /* immediate ramp down */
                                  {254, preset->power_default / 1000}, /* ceiling in force */
                                  {255, preset->power_default / 2000}, /* floor in force */
                                  {256, 90},                           /* highest and */
                                  {257, 10},       /* lowest floor that can be set, % */
                                  {258, 99},       /* lifetime left, % */
                                  {259, PROFILES}, /* profiles */
                                  {264, 0},        /* the active one */
                                  {265, 0}, /* administrator's floor, ramps, hysteresis: unset */
                                  {266, 0},
                                  {267, 0},
                                  {268, 0},
                                  {275, preset->power_default / 4000}, /* primary floor */
                                  {276, preset->power_default / 5000}, /* secondary floor */
                                  {277, 10},
                                  {278, 20},
                                  {279, 100}, /* offset, point, window */
                                  {280, 0},   /* delayed smoothing */
                                  {285, 0},
                                  {286, 0},
                                  {287, 0},
                                  {288, 0},
                                  {300, 1}}; /* by a state of charge */
    SUPPORTED(preset->architecture >= ARCH_BLACKWELL);
    SUPPORTED(field->fieldId != 300 || machine_driver_since(view, 610));
    return give_constant(field, constants, sizeof constants / sizeof *constants);
}

/* The scope is the number of the profile: each is gentler than the one before. */
nvmlReturn_t smoothing_profile_field(const View *view, nvmlFieldValue_t *field) {
    unsigned profile = field->scopeId;
    SUPPORTED(view->gpu->preset->architecture >= ARCH_BLACKWELL);
    WANT(profile < PROFILES);
    const Constant constants[] = {{260, 10 * (profile + 1)},
                                  {261, 100000 / (profile + 1)},
                                  {262, 100000 / (profile + 1)},
                                  {263, 500 * (profile + 1)},
                                  {281, 100},
                                  {282, 4},
                                  {283, 8},
                                  {284, 20}};
    return give_constant(field, constants, sizeof constants / sizeof *constants);
}
