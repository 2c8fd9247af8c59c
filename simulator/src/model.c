#include "model.h"

#include "mig.h"

#include <math.h>

static View at(const View *view, double t) {
    View other = *view;
    other.t = t;
    return other;
}

/* When the driver of this GPU was last loaded anew; 0 if never. */
static double last_reset(const View *view) {
    double reset = 0;
    for (size_t i = 0; i < view->scenario->fault_count; i++) {
        const Fault *fault = &view->scenario->faults[i];
        if (fault->kind == FAULT_RESET_COUNTERS && fault_touches(fault, view))
            reset = fmax(reset, fault_last_start(fault, view->t));
    }
    return reset;
}

double model_load_seconds(const View *view) {
    double reset = last_reset(view);
    if (reset <= 0)
        return model_load_integral(view);
    View then = at(view, reset);
    double before = model_load_integral(&then);
    return model_load_integral(view) - before;
}

double model_mean_load(const View *view, double seconds) {
    double span = fmin(seconds, view->t);
    if (span <= 0)
        return model_load(view);
    View then = at(view, view->t - span);
    double before = model_load_integral(&then);
    return (model_load_integral(view) - before) / span;
}

unsigned model_percent(double ratio) { return (unsigned)floor(100 * ratio + 0.5); }

/* Memory traffic follows the load at a distance: 60 % when the GPU is full. */
unsigned model_memory_percent(const View *view) {
    unsigned percent = model_percent(0.6 * model_load(view));
    return (unsigned)model_settled(view, SET_MEMORY_UTILIZATION, percent);
}

unsigned model_utilization_percent(const View *view) {
    unsigned percent = model_percent(model_load(view));
    return (unsigned)model_settled(view, SET_UTILIZATION, percent);
}

static double power_at(const Gpu *gpu, double load) {
    double idle = gpu->preset->power_idle;
    return idle + (gpu->power_limit_mw - idle) * load;
}

unsigned model_power_mw(const View *view) {
    double power = floor(power_at(view->gpu, model_load(view)) + 0.5);
    return (unsigned)model_settled(view, SET_POWER, (uint64_t)power);
}

unsigned model_power_average_mw(const View *view) {
    double power = floor(power_at(view->gpu, model_mean_load(view, 1)) + 0.5);
    return (unsigned)model_settled(view, SET_POWER, (uint64_t)power);
}

unsigned model_module_power_mw(const View *view, bool average) {
    const Preset *preset = view->gpu->preset;
    double load = average ? model_mean_load(view, 1) : model_load(view);
    double beside =
        preset->module_idle + ((double)preset->module_load - preset->module_idle) * load;
    return (unsigned)floor(power_at(view->gpu, load) + beside + 0.5);
}

unsigned model_memory_power_mw(const View *view) {
    return (unsigned)floor(0.15 * power_at(view->gpu, model_mean_load(view, 1)) + 0.5);
}

uint64_t model_energy_mj(const View *view) {
    double idle = view->gpu->preset->power_idle;
    double seconds = view->t - last_reset(view);
    double energy = idle * seconds + (view->gpu->power_limit_mw - idle) * model_load_seconds(view);
    uint64_t shown = model_settled(view, SET_ENERGY, (uint64_t)energy);
    uint64_t back = model_settled(view, SET_ENERGY_BACK, 0);
    return back < shown ? shown - back : 0;
}

static unsigned warmed(const View *view, unsigned idle, unsigned load) {
    return (unsigned)floor(idle + ((double)load - idle) * model_mean_load(view, 30) + 0.5);
}

static unsigned core_temperature(const View *view) {
    if (model_reasons(view) & (REASON_SW_THERMAL | REASON_HW_THERMAL))
        return view->gpu->preset->temp_slowdown;
    return warmed(view, view->gpu->preset->temp_idle, view->gpu->preset->temp_load);
}

unsigned model_temperature(const View *view) {
    return (unsigned)model_settled(view, SET_TEMPERATURE, core_temperature(view));
}

unsigned model_memory_temperature(const View *view) {
    const Preset *preset = view->gpu->preset;
    unsigned warm = warmed(view, preset->memory_temp_idle, preset->memory_temp_load);
    return (unsigned)model_settled(view, SET_MEMORY_TEMPERATURE, warm);
}

/* The fan stands still up to 50 degrees and is at its fastest at the highest allowed one. */
unsigned model_fan_percent(const View *view) {
    double above = (double)core_temperature(view) - 50;
    double span = (double)view->gpu->preset->temp_max - 50;
    unsigned percent = model_percent(fmin(fmax(above / span, 0), 1));
    return (unsigned)model_settled(view, SET_FAN, percent);
}

bool model_idle(const View *view) { return model_load(view) < 0.01; }

static unsigned to_step(double mhz) { return (unsigned)floor(mhz / 15) * 15; }

static double throttle_factor(unsigned long long reasons) {
    if (reasons & (REASON_HW_SLOWDOWN | REASON_HW_THERMAL | REASON_HW_POWER_BRAKE))
        return 0.5;
    if (reasons & REASON_SW_THERMAL)
        return 0.75;
    return reasons & REASON_SW_POWER_CAP ? 0.85 : 1;
}

static unsigned clock_mhz(const View *view, unsigned type) {
    const Preset *preset = view->gpu->preset;
    bool idle = model_idle(view);
    if (type == CLOCK_MEM)
        return idle ? preset->mem_idle : preset->mem_max;
    double sm =
        idle ? preset->sm_idle
             : preset->sm_max * (1 - 0.1 * model_load(view)) * throttle_factor(model_reasons(view));
    return to_step(type == CLOCK_VIDEO ? 0.9 * sm : sm);
}

unsigned model_clock_mhz(const View *view, unsigned type) {
    return (unsigned)model_settled(view, SET_CLOCK, clock_mhz(view, type));
}

unsigned model_max_clock_mhz(const Gpu *gpu, unsigned type) {
    if (type == CLOCK_MEM)
        return gpu->preset->mem_max;
    return to_step(type == CLOCK_VIDEO ? 0.9 * gpu->preset->sm_max : gpu->preset->sm_max);
}

unsigned long long model_reasons(const View *view) {
    unsigned long long reasons = 0;
    for (size_t i = 0; i < view->scenario->fault_count; i++) {
        const Fault *fault = &view->scenario->faults[i];
        if (fault->kind == FAULT_THROTTLE && fault_touches(fault, view) &&
            fault_active(fault, view->t))
            reasons |= fault->reason;
    }
    return reasons == 0 && model_idle(view) ? REASON_GPU_IDLE : reasons;
}

/* Time inside a fault's windows from 0 to t. */
static double seconds_inside(const Fault *fault, double t) {
    double starts = fault_starts(fault, t);
    if (starts == 0)
        return 0;
    double now = fmin(t - fault_last_start(fault, t), fault->duration);
    return starts > 1 ? (starts - 1) * fault->duration + now : now;
}

uint64_t model_reason_ns(const View *view, unsigned long long reasons) {
    double seconds = 0, reset = last_reset(view);
    for (size_t i = 0; i < view->scenario->fault_count; i++) {
        const Fault *fault = &view->scenario->faults[i];
        if (fault->kind == FAULT_THROTTLE && fault_touches(fault, view) && fault->reason & reasons)
            seconds += seconds_inside(fault, view->t) - seconds_inside(fault, reset);
    }
    return (uint64_t)floor(seconds * 1e9 + 0.5);
}

uint64_t model_memory_used(const View *view) {
    const Gpu *gpu = view->gpu;
    uint64_t used = gpu->memory_base + (uint64_t)((double)gpu->memory_load * model_load(view));
    for (size_t i = 0; i < view->scenario->process_count; i++)
        if (process_runs(&view->scenario->processes[i], view))
            used += view->scenario->processes[i].memory;
    for (size_t i = 0; i < view->scenario->mig_count; i++)
        if (mig_exists(&view->scenario->migs[i], view))
            used += view->scenario->migs[i].memory;
    uint64_t most = (uint64_t)(gpu->preset->memory_mib - gpu->preset->memory_reserved_mib) << 20;
    return model_settled(view, SET_MEMORY_USED, used < most ? used : most);
}

uint64_t model_pcie_bytes(const View *view, uint64_t bytes_per_second) {
    uint64_t bytes = (uint64_t)((double)bytes_per_second * model_load_seconds(view));
    unsigned bits = view->scenario->pcie_counter_bits;
    uint64_t wrapped = bits < 64 ? bytes & (((uint64_t)1 << bits) - 1) : bytes;
    return model_settled(view, SET_PCIE_BYTES, wrapped);
}

uint64_t model_nvlink_kib(const View *view, double factor) {
    return (uint64_t)((double)view->gpu->preset->nvlink_kib * factor * model_load_seconds(view));
}

bool model_nvlink_up(const View *view, unsigned link) {
    for (size_t i = 0; i < view->scenario->fault_count; i++) {
        const Fault *fault = &view->scenario->faults[i];
        if (fault->kind == FAULT_NVLINK_DOWN && fault->value == link &&
            fault_touches(fault, view) && fault_active(fault, view->t))
            return false;
    }
    return true;
}

const Fault *model_window(const View *view, FaultKind kind) {
    for (size_t i = view->scenario->fault_count; i-- > 0;) {
        const Fault *fault = &view->scenario->faults[i];
        if (fault->kind == kind && fault_touches(fault, view) && fault_active(fault, view->t))
            return fault;
    }
    return NULL;
}

unsigned model_pcie_width(const View *view) {
    const Fault *fault = model_window(view, FAULT_PCIE_LINK);
    return fault != NULL ? fault->value : view->gpu->preset->pcie_width;
}

static unsigned part_of(const Fault *fault, Part part) {
    switch (part) {
    case EVENT_CORRECTED:
        return fault->corrected;
    case EVENT_UNCORRECTED:
        return fault->uncorrected;
    case EVENT_PENDING:
        return fault->pending;
    case EVENT_FAILURE:
        return fault->failure;
    default:
        return fault->value;
    }
}

uint64_t model_event_sum(const View *view, FaultKind kind, Part part) {
    double sum = 0;
    for (size_t i = 0; i < view->scenario->fault_count; i++) {
        const Fault *fault = &view->scenario->faults[i];
        if (fault->kind == kind && fault_touches(fault, view))
            sum += fault_starts(fault, view->t) * part_of(fault, part);
    }
    return (uint64_t)sum;
}

/* How often a line of events has happened, of late or ever. */
static double times(const Fault *fault, const View *view, bool since_reset) {
    double reset = since_reset ? last_reset(view) : 0;
    double before = reset > 0 ? fault_starts(fault, reset) : 0;
    return fault_starts(fault, view->t) - before;
}

uint64_t model_counter(const View *view, unsigned field, unsigned scope) {
    double sum = 0;
    for (size_t i = 0; i < view->scenario->fault_count; i++) {
        const Fault *fault = &view->scenario->faults[i];
        if (fault->kind == FAULT_COUNTER && fault->field == field && fault->scope == scope &&
            fault_touches(fault, view))
            sum += times(fault, view, true) * fault->value;
    }
    return (uint64_t)sum;
}

uint64_t model_ecc(const View *view, bool uncorrected, unsigned location, bool volatile_only) {
    double count = 0;
    for (size_t i = 0; i < view->scenario->fault_count; i++) {
        const Fault *fault = &view->scenario->faults[i];
        if (fault->kind != FAULT_ECC || fault->location != location || !fault_touches(fault, view))
            continue;
        if (view->mig == NULL || fault->mig == (int)view->mig->index)
            count += times(fault, view, volatile_only) *
                     (uncorrected ? fault->uncorrected : fault->corrected);
    }
    return (uint64_t)count;
}

bool model_has_location(const Preset *preset, unsigned location) {
    if (preset->architecture >= ARCH_AMPERE)
        return location == LOCATION_DRAM || location == LOCATION_SRAM;
    return location <= LOCATION_REGISTERS || location == LOCATION_CBU;
}

uint64_t model_ecc_total(const View *view, bool uncorrected, bool volatile_only) {
    uint64_t sum = 0;
    for (unsigned location = 0; location < LOCATIONS; location++)
        if (model_has_location(view->gpu->preset, location))
            sum += model_ecc(view, uncorrected, location, volatile_only);
    return sum;
}

bool process_runs(const Process *process, const View *view) {
    return process->gpus >> view->index & 1 && view->t >= process->from &&
           view->t < process->until &&
           (process->mig < 0 || mig_by_index(view, (unsigned)process->mig) != NULL);
}

uint64_t model_process_memory(const Process *process, const View *view) {
    return model_settled(view, SET_PROCESS_MEMORY, process->memory);
}

int64_t model_time_back_us(const View *view) {
    return (int64_t)model_settled(view, SET_TIME_BACK, 0) * 1000000;
}

unsigned model_processes_sharing(const View *view) {
    unsigned sharing = 0;
    for (size_t i = 0; i < view->scenario->process_count; i++) {
        const Process *process = &view->scenario->processes[i];
        sharing += process->follows_load && process_runs(process, view);
    }
    return sharing;
}

unsigned model_process_sm(const Process *process, const View *view, unsigned sharing) {
    unsigned share = sharing > 0 ? model_percent(model_load(view)) / sharing : 0;
    return (unsigned)model_settled(view, SET_PROCESS_SM,
                                   process->follows_load ? share : process->sm);
}
