/* Readings by field number, many in one call. */
#include "fields.h"
#include "mig.h"

enum { FIELD_MAX = 308, LANES = 16 };

nvmlReturn_t give_uint(nvmlFieldValue_t *field, bool supported, uint64_t value) {
    SUPPORTED(supported);
    field->valueType = VALUE_UINT;
    field->value.ui = (unsigned)value;
    return NVML_SUCCESS;
}

nvmlReturn_t give_long(nvmlFieldValue_t *field, bool supported, uint64_t value) {
    SUPPORTED(supported);
    field->valueType = VALUE_ULONG_LONG;
    field->value.ull = value;
    return NVML_SUCCESS;
}

/* Distances to limits are signed and counted from the highest temperature for work. */
static nvmlReturn_t give_tlimit(nvmlFieldValue_t *field, const Preset *preset, unsigned limit) {
    SUPPORTED(preset->has_tlimit);
    field->valueType = VALUE_INT;
    field->value.si = (int)preset->temp_max - (int)limit;
    return NVML_SUCCESS;
}

static nvmlReturn_t reason_field(const View *view, nvmlFieldValue_t *field) {
    static const struct {
        unsigned id;
        unsigned long long reasons;
    } counters[] = {{74, REASON_SW_POWER_CAP},
                    {75, REASON_SW_THERMAL | REASON_HW_THERMAL},
                    {76, REASON_SYNC_BOOST},
                    {269, REASON_SW_THERMAL},
                    {270, REASON_HW_THERMAL},
                    {271, REASON_HW_POWER_BRAKE},
                    /* Board limit, low utilisation, reliability, application and base clocks:
                     * nothing here ever counts for them. */
                    {77, 0},
                    {78, 0},
                    {79, 0},
                    {80, 0},
                    {81, 0}};
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        if (counters[i].id == field->fieldId)
            return give_long(field, true, model_reason_ns(view, counters[i].reasons));
    return NVML_ERROR_NOT_SUPPORTED;
}

static nvmlReturn_t temperature_field(const View *view, nvmlFieldValue_t *field) {
    const Preset *preset = view->gpu->preset;
    switch (field->fieldId) {
    case 82:
        return give_uint(field, preset->has_memory_temp, model_memory_temperature(view));
    case 193:
        return give_tlimit(field, preset, preset->temp_shutdown);
    case 194:
        return give_tlimit(field, preset, preset->temp_slowdown);
    case 195: /* memory has its own scale, and no distance by default */
    case 196:
        return give_tlimit(field, preset, preset->temp_max);
    default:
        return NVML_ERROR_NOT_SUPPORTED;
    }
}

static nvmlReturn_t ecc_field(const View *view, nvmlFieldValue_t *field) {
    const Gpu *gpu = view->gpu;
    unsigned id = field->fieldId;
    if (id <= 2)
        return give_uint(field, true, id == 1 ? gpu->ecc : gpu->ecc_pending);
    /* 3 and 4 are the volatile totals, 5 and 6 the aggregate ones; even ids are uncorrected. */
    return give_long(field, gpu->preset->data_center && gpu->ecc,
                     model_ecc_total(view, id % 2 == 0, id <= 4));
}

/* The same by place, on the cards before Ampere: volatile ones, then aggregate ones. */
static nvmlReturn_t ecc_location_field(const View *view, nvmlFieldValue_t *field) {
    static const unsigned locations[] = {LOCATION_L1, LOCATION_L2, LOCATION_DRAM,
                                         LOCATION_REGISTERS, LOCATION_TEXTURE};
    const Preset *preset = view->gpu->preset;
    bool of_late = field->fieldId <= 17;
    unsigned place = field->fieldId - (of_late ? 7 : 18);
    bool cbu = place / 2 == sizeof locations / sizeof *locations;
    unsigned location = cbu ? LOCATION_CBU : locations[place / 2];
    SUPPORTED(preset_retires_pages(preset) && view->gpu->ecc);
    return give_long(field, model_has_location(preset, location),
                     model_ecc(view, cbu || place % 2 == 1, location, of_late));
}

static nvmlReturn_t remap_field(const View *view, nvmlFieldValue_t *field) {
    static const Part parts[] = {EVENT_CORRECTED, EVENT_UNCORRECTED, EVENT_PENDING, EVENT_FAILURE};
    unsigned place = field->fieldId - 142;
    uint64_t sum = model_event_sum(view, FAULT_REMAP, parts[place]);
    return give_uint(field, preset_remaps_rows(view->gpu->preset) && !mig_mode(view),
                     place < 2 ? sum : sum > 0);
}

/* Remapped rows that are not in force (301, 302), and whole banks that were replaced. */
static nvmlReturn_t bank_field(const View *view, nvmlFieldValue_t *field) {
    enum { GROUPS = 16 };
    const Preset *preset = view->gpu->preset;
    uint64_t active = model_event_sum(view, FAULT_BANK_REMAP, EVENT_CORRECTED);
    uint64_t inactive = model_event_sum(view, FAULT_BANK_REMAP, EVENT_UNCORRECTED);
    /* Each bank is of a group of its own, which then has none to spare. */
    uint64_t used = active + inactive < GROUPS ? active + inactive : GROUPS;
    SUPPORTED(machine_driver_since(view, 615) && preset_remaps_rows(preset) && !mig_mode(view));
    if (field->fieldId == 301)
        return give_uint(field, true, model_event_sum(view, FAULT_REMAP, EVENT_VALUE));
    if (field->fieldId == 302)
        return give_uint(field, true, 0);
    SUPPORTED(preset->architecture >= ARCH_BLACKWELL);
    switch (field->fieldId) {
    case 303:
        return give_uint(field, true, active);
    case 304:
        return give_uint(field, true, inactive);
    case 305:
        return give_uint(field, true, GROUPS - used);
    case 306:
        return give_uint(field, true, used);
    default: /* 307 */
        return give_uint(field, true, model_event_sum(view, FAULT_BANK_REMAP, EVENT_PENDING) > 0);
    }
}

static nvmlReturn_t pcie_field(const View *view, nvmlFieldValue_t *field) {
    const Preset *preset = view->gpu->preset;
    bool counts_bytes = preset->architecture >= ARCH_VOLTA;
    switch (field->fieldId) {
    case 94:
        return give_uint(field, true, model_event_sum(view, FAULT_PCIE_REPLAY, EVENT_VALUE));
    case 95:
        return give_uint(field, true, model_counter(view, 95, 0));
    case 183:
        SUPPORTED(preset->has_pcie_errors);
        WANT(field->scopeId < LANES);
        return give_uint(field, true, model_counter(view, 183, field->scopeId));
    case 197:
        return give_long(field, counts_bytes, model_pcie_bytes(view, preset->pcie_tx_bytes));
    case 198:
        return give_long(field, counts_bytes, model_pcie_bytes(view, preset->pcie_rx_bytes));
    default: /* 169 and 173 to 182: error counts of the newer cards */
        return give_uint(field, preset->has_pcie_errors, model_counter(view, field->fieldId, 0));
    }
}

/* Pages that were taken out of use, on the cards before Ampere. */
static nvmlReturn_t retired_field(const View *view, nvmlFieldValue_t *field) {
    bool supported = preset_retires_pages(view->gpu->preset);
    switch (field->fieldId) {
    case 29:
        return give_uint(field, supported, model_event_sum(view, FAULT_RETIRE, EVENT_CORRECTED));
    case 30:
        return give_uint(field, supported, model_event_sum(view, FAULT_RETIRE, EVENT_UNCORRECTED));
    case 31:
        return give_uint(field, supported, model_event_sum(view, FAULT_RETIRE, EVENT_PENDING) > 0);
    default: /* 92 and 93: which cause is pending is not played */
        return NVML_ERROR_NOT_SUPPORTED;
    }
}

static nvmlReturn_t other_field(const View *view, nvmlFieldValue_t *field) {
    const Preset *preset = view->gpu->preset;
    const Fault *recovery;
    switch (field->fieldId) {
    case 83:
        return give_long(field, preset->architecture >= ARCH_VOLTA, model_energy_mj(view));
    case 90:
        return give_uint(field, preset->nvlink_links > 0, preset->nvlink_mbps);
    case 91:
        return give_uint(field, true, preset->nvlink_links);
    case 184:
    case 199:
        return give_uint(field, true, 0);
    case 230:
        recovery = model_window(view, FAULT_RECOVERY);
        return give_uint(field, true, recovery != NULL ? recovery->value : 0);
    case 274: /* how far peaks may go over the limit, % */
        return give_uint(field, preset->architecture >= ARCH_HOPPER, 100);
    case 297: /* time that tensor cores waited */
        return give_uint(field, preset->architecture >= ARCH_BLACKWELL,
                         model_percent(0.15 * model_load(view)));
    default:
        return NVML_ERROR_NOT_SUPPORTED;
    }
}

static FieldReader reader_of(unsigned id) {
    static const struct {
        unsigned first, last;
        FieldReader read;
    } ranges[] = {{1, 6, ecc_field},
                  {7, 28, ecc_location_field},
                  {29, 31, retired_field},
                  {38, 38, nvlink_total_field},
                  {45, 45, nvlink_total_field},
                  {52, 52, nvlink_total_field},
                  {59, 59, nvlink_total_field},
                  {74, 81, reason_field},
                  {82, 82, temperature_field},
                  {92, 93, retired_field},
                  {94, 95, pcie_field},
                  {138, 141, nvlink_throughput_field},
                  {142, 145, remap_field},
                  {160, 160, nvlink_total_field},
                  {161, 167, nvlink_field},
                  {169, 169, pcie_field},
                  {170, 172, c2c_field},
                  {173, 183, pcie_field},
                  {185, 190, power_field},
                  {192, 192, power_field},
                  {193, 196, temperature_field},
                  {197, 198, pcie_field},
                  {201, 222, nvlink5_field},
                  {231, 234, c2c_field},
                  {235, 250, nvlink5_field},
                  {251, 259, smoothing_field},
                  {260, 263, smoothing_profile_field},
                  {264, 268, smoothing_field},
                  {269, 271, reason_field},
                  {275, 280, smoothing_field},
                  {281, 284, smoothing_profile_field},
                  {285, 288, smoothing_field},
                  {289, 295, nvlink5_field},
                  {300, 300, smoothing_field},
                  {301, 307, bank_field}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (id >= ranges[i].first && id <= ranges[i].last)
            return ranges[i].read;
    return other_field;
}

NVML_API nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int count,
                                               nvmlFieldValue_t *fields) {
    BEGIN_DEVICE(call, device);
    WANT(count > 0 && fields != NULL);
    for (int i = 0; i < count; i++) {
        nvmlFieldValue_t *field = &fields[i];
        field->timestamp = call.now_us - model_time_back_us(&call.view);
        field->latencyUsec = 10;
        field->valueType = VALUE_UINT;
        field->value.ull = 0;
        if (field->fieldId == 0 || field->fieldId >= FIELD_MAX)
            field->nvmlReturn = NVML_ERROR_INVALID_ARGUMENT;
        else
            field->nvmlReturn = reader_of(field->fieldId)(&call.view, field);
    }
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceClearFieldValues(nvmlDevice_t device, int count,
                                                 nvmlFieldValue_t *fields) {
    BEGIN_DEVICE(call, device);
    WANT(count > 0 && fields != NULL);
    return NVML_ERROR_NO_PERMISSION;
}
