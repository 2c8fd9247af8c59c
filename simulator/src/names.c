#include "names.h"

#include <stddef.h>
#include <string.h>

static const char *const functions[] = {
#include "names.inc"
};

bool is_function_name(const char *name) {
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strcmp(functions[i], name) == 0)
            return true;
    return false;
}

static const struct {
    const char *name;
    nvmlReturn_t code;
} codes[] = {
    {"uninitialized", NVML_ERROR_UNINITIALIZED},
    {"invalid_argument", NVML_ERROR_INVALID_ARGUMENT},
    {"not_supported", NVML_ERROR_NOT_SUPPORTED},
    {"no_permission", NVML_ERROR_NO_PERMISSION},
    {"already_initialized", NVML_ERROR_ALREADY_INITIALIZED},
    {"not_found", NVML_ERROR_NOT_FOUND},
    {"insufficient_size", NVML_ERROR_INSUFFICIENT_SIZE},
    {"insufficient_power", NVML_ERROR_INSUFFICIENT_POWER},
    {"driver_not_loaded", NVML_ERROR_DRIVER_NOT_LOADED},
    {"timeout", NVML_ERROR_TIMEOUT},
    {"irq_issue", NVML_ERROR_IRQ_ISSUE},
    {"library_not_found", NVML_ERROR_LIBRARY_NOT_FOUND},
    {"function_not_found", NVML_ERROR_FUNCTION_NOT_FOUND},
    {"corrupted_inforom", NVML_ERROR_CORRUPTED_INFOROM},
    {"gpu_is_lost", NVML_ERROR_GPU_IS_LOST},
    {"reset_required", NVML_ERROR_RESET_REQUIRED},
    {"operating_system", NVML_ERROR_OPERATING_SYSTEM},
    {"lib_rm_version_mismatch", NVML_ERROR_LIB_RM_VERSION_MISMATCH},
    {"in_use", NVML_ERROR_IN_USE},
    {"memory", NVML_ERROR_MEMORY},
    {"no_data", NVML_ERROR_NO_DATA},
    {"vgpu_ecc_not_supported", NVML_ERROR_VGPU_ECC_NOT_SUPPORTED},
    {"insufficient_resources", NVML_ERROR_INSUFFICIENT_RESOURCES},
    {"freq_not_supported", NVML_ERROR_FREQ_NOT_SUPPORTED},
    {"argument_version_mismatch", NVML_ERROR_ARGUMENT_VERSION_MISMATCH},
    {"deprecated", NVML_ERROR_DEPRECATED},
    {"not_ready", NVML_ERROR_NOT_READY},
    {"gpu_not_found", NVML_ERROR_GPU_NOT_FOUND},
    {"invalid_state", NVML_ERROR_INVALID_STATE},
    {"reset_type_not_supported", NVML_ERROR_RESET_TYPE_NOT_SUPPORTED},
    {"unknown", NVML_ERROR_UNKNOWN},
};

bool code_by_name(const char *name, nvmlReturn_t *code) {
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(codes[i].name, name) == 0) {
            *code = codes[i].code;
            return true;
        }
    return false;
}

bool is_counter_field(unsigned field) {
    static const struct {
        unsigned first, last;
    } ranges[] = {{45, 45},   {95, 95},   {160, 163}, {169, 169}, {173, 183}, {206, 215},
                  {219, 219}, {221, 221}, {231, 233}, {235, 250}, {289, 290}, {294, 295}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (field >= ranges[i].first && field <= ranges[i].last)
            return true;
    return false;
}
