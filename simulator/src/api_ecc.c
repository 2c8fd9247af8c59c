/* Memory errors and what was done about them. */
#include "api.h"
#include "mig.h"

/* Where the card counts errors at all, and it is switched on. */
static bool counts_errors(const Gpu *gpu) { return gpu->preset->data_center && gpu->ecc; }

NVML_API nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t device, unsigned type,
                                                  unsigned counter, unsigned long long *count) {
    BEGIN_DEVICE(call, device);
    WANT(count != NULL && type < 2 && counter < 2);
    SUPPORTED(counts_errors(call.view.gpu));
    *count = model_ecc_total(&call.view, type == 1, counter == 0);
    return NVML_SUCCESS;
}

/* Since Ampere there are only two places; what the one before it calls CBU corrects nothing. */
NVML_API nvmlReturn_t nvmlDeviceGetMemoryErrorCounter(nvmlDevice_t device, unsigned type,
                                                      unsigned counter, unsigned location,
                                                      unsigned long long *count) {
    BEGIN_ANY_DEVICE(call, device);
    WANT(count != NULL && type < 2 && counter < 2 && location < LOCATIONS);
    SUPPORTED(counts_errors(call.view.gpu));
    bool uncorrected = type == 1, of_late = counter == 0;
    /* Instances know what went wrong in them since the driver was loaded; then the GPU does not. */
    if (call.view.mig != NULL)
        SUPPORTED(location == LOCATION_SRAM && uncorrected && of_late);
    else
        SUPPORTED(!of_late || !mig_mode(&call.view));
    SUPPORTED(model_has_location(call.view.gpu->preset, location));
    SUPPORTED(location != LOCATION_CBU || uncorrected);
    *count = model_ecc(&call.view, uncorrected, location, of_late);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetDetailedEccErrors(nvmlDevice_t device, unsigned type,
                                                     unsigned counter,
                                                     nvmlEccErrorCounts_t *counts) {
    BEGIN_DEVICE(call, device);
    WANT(counts != NULL && type < 2 && counter < 2);
    SUPPORTED(counts_errors(call.view.gpu));
    bool uncorrected = type == 1, of_late = counter == 0;
    /* What newer cards call SRAM is told as second-level cache. */
    *counts = (nvmlEccErrorCounts_t){
        .l1Cache = model_ecc(&call.view, uncorrected, LOCATION_L1, of_late),
        .l2Cache = model_ecc(&call.view, uncorrected, LOCATION_SRAM, of_late) +
                   model_ecc(&call.view, uncorrected, LOCATION_L2, of_late),
        .deviceMemory = model_ecc(&call.view, uncorrected, LOCATION_DRAM, of_late),
        .registerFile = model_ecc(&call.view, uncorrected, LOCATION_REGISTERS, of_late)};
    return NVML_SUCCESS;
}

/* The retired pages have made-up addresses and the time of the scenario's start. */
static nvmlReturn_t retired_pages(const Call *call, unsigned cause, unsigned *count,
                                  unsigned long long *addresses, unsigned long long *timestamps) {
    enum { PAGE = 0x10000 };
    const View *view = &call->view;
    WANT(count != NULL && cause < 2);
    SUPPORTED(preset_retires_pages(view->gpu->preset));
    unsigned room = *count;
    *count = (unsigned)model_event_sum(view, FAULT_RETIRE,
                                       cause == 0 ? EVENT_CORRECTED : EVENT_UNCORRECTED);
    if (addresses == NULL || room < *count)
        return *count == 0 ? NVML_SUCCESS : NVML_ERROR_INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < *count; i++) {
        addresses[i] = (unsigned long long)(2 * i + cause + 1) * PAGE;
        if (timestamps != NULL)
            timestamps[i] = (unsigned long long)call->view.scenario->start_us;
    }
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetRetiredPages(nvmlDevice_t device, unsigned cause,
                                                unsigned *count, unsigned long long *addresses) {
    BEGIN_DEVICE(call, device);
    return retired_pages(&call, cause, count, addresses, NULL);
}

NVML_API nvmlReturn_t nvmlDeviceGetRetiredPages_v2(nvmlDevice_t device, unsigned cause,
                                                   unsigned *count, unsigned long long *addresses,
                                                   unsigned long long *timestamps) {
    BEGIN_DEVICE(call, device);
    return retired_pages(&call, cause, count, addresses, timestamps);
}

NUMBER(nvmlDeviceGetRetiredPagesPendingStatus, preset_retires_pages(gpu->preset),
       model_event_sum(view, FAULT_RETIRE, EVENT_PENDING) > 0)

NVML_API nvmlReturn_t nvmlDeviceGetRemappedRows(nvmlDevice_t device, unsigned *corrected,
                                                unsigned *uncorrected, unsigned *pending,
                                                unsigned *failure) {
    BEGIN_DEVICE(call, device);
    WANT(corrected != NULL && uncorrected != NULL && pending != NULL && failure != NULL);
    SUPPORTED(preset_remaps_rows(call.view.gpu->preset) && !mig_mode(&call.view));
    *corrected = (unsigned)model_event_sum(&call.view, FAULT_REMAP, EVENT_CORRECTED);
    *uncorrected = (unsigned)model_event_sum(&call.view, FAULT_REMAP, EVENT_UNCORRECTED);
    *pending = model_event_sum(&call.view, FAULT_REMAP, EVENT_PENDING) > 0;
    *failure = model_event_sum(&call.view, FAULT_REMAP, EVENT_FAILURE) > 0;
    return NVML_SUCCESS;
}

enum { BANKS = 640 };

NVML_API nvmlReturn_t nvmlDeviceGetRowRemapperHistogram(nvmlDevice_t device,
                                                        nvmlRowRemapperHistogramValues_t *values) {
    BEGIN_DEVICE(call, device);
    WANT(values != NULL);
    SUPPORTED(preset_remaps_rows(call.view.gpu->preset) && !mig_mode(&call.view));
    uint64_t rows = model_event_sum(&call.view, FAULT_REMAP, EVENT_CORRECTED) +
                    model_event_sum(&call.view, FAULT_REMAP, EVENT_UNCORRECTED);
    /* Each remapped row is in a bank of its own, which then has a little less to spare. */
    unsigned used = rows < BANKS ? (unsigned)rows : BANKS;
    *values = (nvmlRowRemapperHistogramValues_t){.max = BANKS - used, .high = used};
    return NVML_SUCCESS;
}

/* The driver keeps this one for administrators. */
NVML_API nvmlReturn_t nvmlDeviceGetSramEccErrorStatus(nvmlDevice_t device,
                                                      nvmlEccSramErrorStatus_v1_t *status) {
    BEGIN_DEVICE(call, device);
    WANT(status != NULL);
    if (status->version != STRUCT_VERSION(*status, 1))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    SUPPORTED(counts_errors(call.view.gpu) && preset_remaps_rows(call.view.gpu->preset));
    if (!machine_is_root(call.view.scenario))
        return NVML_ERROR_NO_PERMISSION;
    uint64_t uncorrected = model_ecc(&call.view, true, LOCATION_SRAM, false);
    *status = (nvmlEccSramErrorStatus_v1_t){
        .version = status->version,
        .aggregateUncSecDed = uncorrected,
        .aggregateCor = model_ecc(&call.view, false, LOCATION_SRAM, false),
        .volatileUncSecDed = model_ecc(&call.view, true, LOCATION_SRAM, true),
        .volatileCor = model_ecc(&call.view, false, LOCATION_SRAM, true),
        .aggregateUncBucketL2 = uncorrected,
        .bThresholdExceeded = uncorrected > 4};
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetRepairStatus(nvmlDevice_t device,
                                                nvmlRepairStatus_v1_t *status) {
    BEGIN_DEVICE(call, device);
    WANT(status != NULL);
    if (status->version != STRUCT_VERSION(*status, 1))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    SUPPORTED(preset_remaps_rows(call.view.gpu->preset));
    const Fault *repair = model_window(&call.view, FAULT_REPAIR);
    status->bChannelRepairPending = repair != NULL && repair->channel > 0;
    status->bTpcRepairPending = repair != NULL && repair->tpc > 0;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetUnrepairableMemoryFlag_v1(nvmlDevice_t device,
                                                             nvmlUnrepairableMemory_v1_t *flag) {
    BEGIN_DEVICE(call, device);
    WANT(flag != NULL);
    if (flag->version != STRUCT_VERSION(*flag, 1))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    SUPPORTED(call.view.gpu->preset->architecture >= ARCH_HOPPER);
    const Fault *repair = model_window(&call.view, FAULT_REPAIR);
    flag->unrepairableMemory = repair != NULL && repair->memory > 0;
    return NVML_SUCCESS;
}
