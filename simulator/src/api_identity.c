/* What a GPU is and how it is set up. */
#include "api.h"

#include <stdio.h>

NVML_API nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned length) {
    BEGIN_ANY_DEVICE(call, device);
    const Gpu *gpu = call.view.gpu;
    if (call.view.mig == NULL)
        return give_text(gpu->name, name, length);
    char text[sizeof gpu->name + 24];
    snprintf(text, sizeof text, "%s MIG %s", gpu->name,
             gpu->preset->mig_names[call.view.mig->profile]);
    return give_text(text, name, length);
}

NVML_API nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned length) {
    BEGIN_ANY_DEVICE(call, device);
    return give_text(call.view.mig != NULL ? call.view.mig->uuid : call.view.gpu->uuid, uuid,
                     length);
}

NVML_API nvmlReturn_t nvmlDeviceGetSerial(nvmlDevice_t device, char *serial, unsigned length) {
    BEGIN_DEVICE(call, device);
    SUPPORTED(call.view.gpu->preset->data_center);
    return give_text(call.view.gpu->serial, serial, length);
}

NVML_API nvmlReturn_t nvmlDeviceGetBoardPartNumber(nvmlDevice_t device, char *part,
                                                   unsigned length) {
    BEGIN_DEVICE(call, device);
    SUPPORTED(call.view.gpu->preset->part_number != NULL);
    return give_text(call.view.gpu->preset->part_number, part, length);
}

NVML_API nvmlReturn_t nvmlDeviceGetVbiosVersion(nvmlDevice_t device, char *version,
                                                unsigned length) {
    BEGIN_DEVICE(call, device);
    return give_text(call.view.gpu->preset->vbios, version, length);
}

NVML_API nvmlReturn_t nvmlDeviceGetInforomImageVersion(nvmlDevice_t device, char *version,
                                                       unsigned length) {
    BEGIN_DEVICE(call, device);
    SUPPORTED(call.view.gpu->preset->inforom != NULL);
    return give_text(call.view.gpu->preset->inforom, version, length);
}

NVML_API nvmlReturn_t nvmlDeviceGetInforomVersion(nvmlDevice_t device, unsigned object,
                                                  char *version, unsigned length) {
    BEGIN_DEVICE(call, device);
    static const char *const versions[] = {"2.1", "7.16", "2.0"};
    WANT(object < 3);
    SUPPORTED(call.view.gpu->preset->inforom != NULL);
    return give_text(versions[object], version, length);
}

NVML_API nvmlReturn_t nvmlDeviceGetGspFirmwareVersion(nvmlDevice_t device, char *version) {
    BEGIN_DEVICE(call, device);
    SUPPORTED(call.view.gpu->preset->architecture >= ARCH_TURING);
    return give_text(machine_driver(call.view.scenario, call.view.t), version, 64);
}

NVML_API nvmlReturn_t nvmlDeviceGetGspFirmwareMode(nvmlDevice_t device, unsigned *enabled,
                                                   unsigned *by_default) {
    BEGIN_DEVICE(call, device);
    WANT(enabled != NULL && by_default != NULL);
    SUPPORTED(call.view.gpu->preset->architecture >= ARCH_TURING);
    *enabled = *by_default = 1;
    return NVML_SUCCESS;
}

NUMBER(nvmlDeviceGetMinorNumber, true, gpu->minor)
NUMBER(nvmlDeviceGetBoardId, true, gpu->pci_domain << 16 | gpu->pci_bus << 8)
NUMBER(nvmlDeviceGetMultiGpuBoard, true, 0)
NUMBER(nvmlDeviceGetBrand, true, gpu->preset->brand)
NUMBER(nvmlDeviceGetArchitecture, true, gpu->preset->architecture)
NUMBER(nvmlDeviceGetNumGpuCores, true, gpu->preset->cores)
NUMBER(nvmlDeviceGetMemoryBusWidth, true, gpu->preset->bus_width_bits)
NUMBER(nvmlDeviceGetModuleId, true, gpu->preset->on_baseboard ? call.view.index % 8 + 1 : 0)
NUMBER(nvmlDeviceGetNumaNodeId, true, gpu->numa_node)
NUMBER(nvmlDeviceGetIrqNum, true, 120 + call.view.index)
NUMBER(nvmlDeviceGetBusType, true, 2)
NUMBER(nvmlDeviceGetPersistenceMode, true, gpu->persistence)
NUMBER(nvmlDeviceGetComputeMode, true, gpu->compute_mode)
NUMBER(nvmlDeviceGetVirtualizationMode, true, gpu->virtualization_mode)
NUMBER(nvmlDeviceGetDisplayMode, true, gpu->display)
NUMBER(nvmlDeviceGetDisplayActive, true, gpu->display)
NUMBER(nvmlDeviceGetPowerManagementMode, true, 1)
NUMBER(nvmlDeviceGetPowerSource, true, 0)
NUMBER(nvmlDeviceGetInforomConfigurationChecksum, gpu->preset->inforom != NULL,
       0x5AE2C1F0 + call.view.index)
NUMBER(nvmlDeviceGetAccountingMode, true, gpu->accounting)
NUMBER(nvmlDeviceGetAccountingBufferSize, true, 4000)

PAIR(nvmlDeviceGetCudaComputeCapability, true, gpu->preset->cc_major, gpu->preset->cc_minor)
PAIR(nvmlDeviceGetEccMode, true, gpu->ecc, gpu->ecc_pending)
PAIR(nvmlDeviceGetDriverModel, false, 0, 0)
PAIR(nvmlDeviceGetDriverModel_v2, false, 0, 0)
PAIR(nvmlDeviceGetGpuOperationMode, false, 0, 0)
PAIR(nvmlDeviceGetAutoBoostedClocksEnabled, false, 0, 0)

NVML_API nvmlReturn_t nvmlDeviceGetDefaultEccMode(nvmlDevice_t device, unsigned *mode) {
    BEGIN_DEVICE(call, device);
    WANT(mode != NULL);
    *mode = call.view.gpu->preset->data_center;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetAddressingMode(nvmlDevice_t device,
                                                  nvmlDeviceAddressingMode_v1_t *mode) {
    BEGIN_DEVICE(call, device);
    enum { HETEROGENEOUS_MEMORY_MANAGEMENT = 1, ADDRESS_TRANSLATION_SERVICES = 2 };
    const Preset *preset = call.view.gpu->preset;
    WANT(mode != NULL);
    if (mode->version != STRUCT_VERSION(*mode, 1))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    SUPPORTED(preset->architecture >= ARCH_TURING);
    mode->value =
        preset->c2c_links > 0 ? ADDRESS_TRANSLATION_SERVICES : HETEROGENEOUS_MEMORY_MANAGEMENT;
    return NVML_SUCCESS;
}

/* Where in a rack a GPU sits: the Hopper cards here are in none, of which they know only their
 * place on the board and a host. Both versions have one layout. */
enum { PEER_DIRECT = 0, PEER_SWITCH = 1 };

NVML_API nvmlReturn_t nvmlDeviceGetPlatformInfo(nvmlDevice_t device, void *info) {
    BEGIN_DEVICE(call, device);
    WANT(info != NULL);
    nvmlPlatformInfo_t *platform = info;
    if (platform->version != STRUCT_VERSION(*platform, 1) &&
        platform->version != STRUCT_VERSION(*platform, 2))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    SUPPORTED(call.view.gpu->preset->architecture >= ARCH_HOPPER);
    unsigned char module = (unsigned char)(call.view.index % 8 + 1);
    if (call.view.gpu->preset->architecture == ARCH_HOPPER) {
        *platform = (nvmlPlatformInfo_t){
            .version = platform->version, .host = 1, .peer = PEER_DIRECT, .module = module};
        return NVML_SUCCESS;
    }
    *platform = (nvmlPlatformInfo_t){.version = platform->version,
                                     .chassis = "1821124500123",
                                     .slot = 7,
                                     .tray = 3,
                                     .host = 1,
                                     .peer = PEER_SWITCH,
                                     .module = module};
    /* Bytes that are no text. */
    for (unsigned i = 0; i < sizeof platform->guid; i++)
        platform->guid[i] = (unsigned char)(0xF0 - 16 * i + module);
    return NVML_SUCCESS;
}

/* Links between processor and GPU are a thing of Grace; the cards of its age know that they have
 * none in use. */
NUMBER(nvmlDeviceGetC2cModeInfoV, gpu->preset->architecture >= ARCH_HOPPER,
       gpu->preset->c2c_links > 0)

NVML_API nvmlReturn_t nvmlDeviceGetDramEncryptionMode(nvmlDevice_t device,
                                                      nvmlDramEncryptionInfo_v1_t *current,
                                                      nvmlDramEncryptionInfo_v1_t *pending) {
    BEGIN_DEVICE(call, device);
    WANT(current != NULL && pending != NULL);
    if (current->version != STRUCT_VERSION(*current, 1) ||
        pending->version != STRUCT_VERSION(*pending, 1))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    SUPPORTED(call.view.gpu->preset->architecture >= ARCH_BLACKWELL);
    current->encryptionState = call.view.gpu->encryption;
    pending->encryptionState = call.view.gpu->encryption_pending;
    return NVML_SUCCESS;
}

/* Accounting is off: no process has been kept. */
NVML_API nvmlReturn_t nvmlDeviceGetAccountingPids(nvmlDevice_t device, unsigned *count,
                                                  unsigned *pids) {
    BEGIN_DEVICE(call, device);
    (void)pids;
    WANT(count != NULL);
    *count = 0;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetAccountingStats(nvmlDevice_t device, unsigned pid, void *stats) {
    BEGIN_DEVICE(call, device);
    (void)pid;
    WANT(stats != NULL);
    return NVML_ERROR_NOT_FOUND;
}
