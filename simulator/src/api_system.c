/* The library itself: init, versions, error texts. */
#include "context.h"

#include <stdio.h>
#include <string.h>

NVML_API nvmlReturn_t nvmlInit(void) { return context_init(__func__); }
NVML_API nvmlReturn_t nvmlInit_v2(void) { return context_init(__func__); }

NVML_API nvmlReturn_t nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    return context_init(__func__);
}

NVML_API nvmlReturn_t nvmlShutdown(void) { return context_shutdown(__func__); }

NVML_API const char *nvmlErrorString(nvmlReturn_t result) {
    static const char *const texts[] = {
        "Success",
        "Uninitialized",
        "Invalid Argument",
        "Not Supported",
        "Insufficient Permissions",
        "Already Initialized",
        "Not Found",
        "Insufficient Size",
        "Insufficient External Power",
        "Driver Not Loaded",
        "Timeout",
        "Interrupt Request Issue",
        "NVML Shared Library Not Found",
        "Function Not Found",
        "Corrupted infoROM",
        "GPU is lost",
        "GPU requires reset",
        "Operating system call failed",
        "Driver/library version mismatch",
        "In use by another client",
        "Insufficient Memory",
        "No data",
        "ECC is not supported on this vGPU",
        "Insufficient resources",
        "Frequency not supported",
        "Argument version mismatch",
        "Deprecated",
        "Not ready",
        "GPU not found",
        "Invalid state",
        "Reset type not supported",
    };
    size_t index = (size_t)result;
    return index < sizeof texts / sizeof *texts ? texts[index] : "Unknown Error";
}

NVML_API nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned length) {
    BEGIN(call);
    return give_text(machine_driver(call.view.scenario, call.view.t), version, length);
}

/* NVML's own version is the driver's behind the number of the interface. */
NVML_API nvmlReturn_t nvmlSystemGetNVMLVersion(char *version, unsigned length) {
    BEGIN(call);
    char text[96];
    snprintf(text, sizeof text, "%d.%s", call.view.scenario->cuda / 1000,
             machine_driver(call.view.scenario, call.view.t));
    return give_text(text, version, length);
}

static nvmlReturn_t cuda_version(const Call *call, int *version) {
    WANT(version != NULL);
    *version = call->view.scenario->cuda;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *version) {
    BEGIN(call);
    return cuda_version(&call, version);
}

NVML_API nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *version) {
    BEGIN(call);
    return cuda_version(&call, version);
}

NVML_API nvmlReturn_t nvmlSystemGetDriverBranch(nvmlSystemDriverBranchInfo_v1_t *info,
                                                unsigned length) {
    BEGIN(call);
    WANT(info != NULL && length > 0);
    if (info->version != STRUCT_VERSION(*info, 1))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    char text[sizeof info->branch];
    const char *driver = machine_driver(call.view.scenario, call.view.t);
    snprintf(text, sizeof text, "r%.*s_00", (int)strcspn(driver, "."), driver);
    return give_text(text, info->branch,
                     length < sizeof info->branch ? length : sizeof info->branch);
}

NVML_API nvmlReturn_t nvmlSystemGetProcessName(unsigned pid, char *name, unsigned length) {
    BEGIN(call);
    const Scenario *scenario = call.view.scenario;
    WANT(name != NULL && length > 0);
    for (size_t i = 0; i < scenario->process_count; i++)
        if (scenario->processes[i].pid == pid && scenario->processes[i].name[0] != '\0') {
            snprintf(name, length, "%s", scenario->processes[i].name);
            return NVML_SUCCESS;
        }
    char path[64];
    snprintf(path, sizeof path, "/proc/%u/comm", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return NVML_ERROR_NOT_FOUND;
    char line[64] = "";
    bool read = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    line[strcspn(line, "\n")] = '\0';
    snprintf(name, length, "%s", line);
    return read ? NVML_SUCCESS : NVML_ERROR_NOT_FOUND;
}

NVML_API nvmlReturn_t nvmlSystemGetHicVersion(unsigned *count, void *entries) {
    BEGIN(call);
    (void)entries;
    WANT(count != NULL);
    *count = 0;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlGetExcludedDeviceCount(unsigned *count) {
    BEGIN(call);
    WANT(count != NULL);
    *count = 0;
    return NVML_SUCCESS;
}
