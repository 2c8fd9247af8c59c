/* From numbers and names to handles. */
#include "context.h"
#include "mig.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static nvmlReturn_t count_gpus(const Call *call, unsigned *count) {
    WANT(count != NULL);
    *count = machine_gpu_count(call->view.scenario, call->view.t);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetCount(unsigned *count) {
    BEGIN(call);
    return count_gpus(&call, count);
}

NVML_API nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *count) {
    BEGIN(call);
    return count_gpus(&call, count);
}

static nvmlReturn_t give_handle(const Call *call, unsigned index, nvmlDevice_t *device) {
    if (machine_gpu_lost(call->view.scenario, index, call->view.t))
        return NVML_ERROR_GPU_IS_LOST;
    *device = context_handle(index);
    return NVML_SUCCESS;
}

static nvmlReturn_t by_index(const Call *call, unsigned index, nvmlDevice_t *device) {
    WANT(device != NULL && index < machine_gpu_count(call->view.scenario, call->view.t));
    return give_handle(call, machine_gpu_at(index), device);
}

NVML_API nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned index, nvmlDevice_t *device) {
    BEGIN(call);
    return by_index(&call, index, device);
}

NVML_API nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *device) {
    BEGIN(call);
    return by_index(&call, index, device);
}

typedef bool (*Matches)(const Gpu *gpu, const char *text);

/* An instance that exists, on a GPU that is there. */
static nvmlReturn_t by_mig_uuid(const Call *call, const char *uuid, nvmlDevice_t *device) {
    View view = call->view;
    unsigned count = machine_gpu_count(view.scenario, view.t);
    for (size_t i = 0; i < view.scenario->mig_count; i++) {
        const MigInstance *instance = &view.scenario->migs[i];
        view.index = instance->gpu;
        view.gpu = &view.scenario->gpus[instance->gpu];
        if (instance->gpu >= count || strcmp(instance->uuid, uuid) != 0 ||
            !mig_exists(instance, &view))
            continue;
        if (machine_gpu_lost(view.scenario, instance->gpu, view.t))
            return NVML_ERROR_GPU_IS_LOST;
        *device = context_mig_handle(instance);
        return *device != NULL ? NVML_SUCCESS : NVML_ERROR_MEMORY;
    }
    return NVML_ERROR_NOT_FOUND;
}

static nvmlReturn_t by_text(const Call *call, const char *text, Matches matches,
                            nvmlDevice_t *device) {
    WANT(text != NULL && device != NULL);
    unsigned count = machine_gpu_count(call->view.scenario, call->view.t);
    for (unsigned i = 0; i < count; i++)
        if (matches(&call->view.scenario->gpus[i], text))
            return give_handle(call, i, device);
    return NVML_ERROR_NOT_FOUND;
}

static bool uuid_matches(const Gpu *gpu, const char *text) { return strcmp(gpu->uuid, text) == 0; }

static nvmlReturn_t by_uuid(const Call *call, const char *uuid, nvmlDevice_t *device) {
    nvmlReturn_t result = by_text(call, uuid, uuid_matches, device);
    return result == NVML_ERROR_NOT_FOUND ? by_mig_uuid(call, uuid, device) : result;
}

static bool serial_matches(const Gpu *gpu, const char *text) {
    return gpu->preset->data_center && strcmp(gpu->serial, text) == 0;
}

/* The domain may be written with any number of digits, or left out. */
static bool bus_id_matches(const Gpu *gpu, const char *text) {
    unsigned domain, bus, device;
    if (sscanf(text, "%x:%x:%x", &domain, &bus, &device) != 3) {
        domain = 0;
        if (sscanf(text, "%x:%x", &bus, &device) != 2)
            return false;
    }
    return domain == gpu->pci_domain && bus == gpu->pci_bus && device == 0;
}

NVML_API nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device) {
    BEGIN(call);
    return by_uuid(&call, uuid, device);
}

NVML_API nvmlReturn_t nvmlDeviceGetHandleByUUIDV(const nvmlUUID_v1_t *uuid, nvmlDevice_t *device) {
    BEGIN(call);
    WANT(uuid != NULL);
    if (uuid->version != STRUCT_VERSION(*uuid, 1))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    WANT(uuid->type == 1);
    return by_uuid(&call, uuid->value.str, device);
}

NVML_API nvmlReturn_t nvmlDeviceGetHandleBySerial(const char *serial, nvmlDevice_t *device) {
    BEGIN(call);
    return by_text(&call, serial, serial_matches, device);
}

NVML_API nvmlReturn_t nvmlDeviceGetHandleByPciBusId(const char *bus_id, nvmlDevice_t *device) {
    BEGIN(call);
    return by_text(&call, bus_id, bus_id_matches, device);
}

NVML_API nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, nvmlDevice_t *device) {
    BEGIN(call);
    return by_text(&call, bus_id, bus_id_matches, device);
}

NVML_API nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned *index) {
    BEGIN_DEVICE(call, device);
    WANT(index != NULL);
    *index = machine_index_of(call.view.index);
    return NVML_SUCCESS;
}

static void describe_pci(const Gpu *gpu, nvmlPciInfo_t *pci) {
    *pci = (nvmlPciInfo_t){.domain = gpu->pci_domain,
                           .bus = gpu->pci_bus,
                           .pciDeviceId = gpu->preset->pci_device_id,
                           .pciSubSystemId = gpu->preset->pci_subsystem_id};
    snprintf(pci->busIdLegacy, sizeof pci->busIdLegacy, "%04X:%02X:00.0", gpu->pci_domain & 0xFFFF,
             gpu->pci_bus & 0xFF);
    snprintf(pci->busId, sizeof pci->busId, "%08X:%02X:00.0", gpu->pci_domain, gpu->pci_bus);
}

NVML_API nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci) {
    BEGIN_DEVICE(call, device);
    WANT(pci != NULL);
    describe_pci(call.view.gpu, pci);
    return NVML_SUCCESS;
}

/* The older layouts have the same start and 32 reserved bytes where the long bus id is now; the
 * oldest has only 16. */
NVML_API nvmlReturn_t nvmlDeviceGetPciInfo_v2(nvmlDevice_t device, void *pci) {
    BEGIN_DEVICE(call, device);
    WANT(pci != NULL);
    nvmlPciInfo_t full;
    describe_pci(call.view.gpu, &full);
    memset(full.busId, 0, sizeof full.busId);
    memcpy(pci, &full, offsetof(nvmlPciInfo_t, busId) + 16);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetPciInfo(nvmlDevice_t device, void *pci) {
    BEGIN_DEVICE(call, device);
    WANT(pci != NULL);
    nvmlPciInfo_t full;
    describe_pci(call.view.gpu, &full);
    memcpy(pci, &full, offsetof(nvmlPciInfo_t, pciSubSystemId));
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetPciInfoExt(nvmlDevice_t device, nvmlPciInfoExt_v1_t *pci) {
    BEGIN_DEVICE(call, device);
    WANT(pci != NULL);
    if (pci->version != STRUCT_VERSION(*pci, 1))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    nvmlPciInfo_t plain;
    describe_pci(call.view.gpu, &plain);
    *pci = (nvmlPciInfoExt_v1_t){.version = pci->version,
                                 .domain = plain.domain,
                                 .bus = plain.bus,
                                 .pciDeviceId = plain.pciDeviceId,
                                 .pciSubSystemId = plain.pciSubSystemId,
                                 .baseClass = 3,
                                 .subClass = call.view.gpu->preset->data_center ? 2 : 0};
    memcpy(pci->busId, plain.busId, sizeof pci->busId);
    return NVML_SUCCESS;
}
