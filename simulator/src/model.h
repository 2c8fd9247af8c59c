/* Every reading as a function of a GPU and the time. ANSWERS.md gives the formulas;
 * tests/simulator/model.py is their transcription. */
#ifndef MODEL_H
#define MODEL_H

#include "scenario.h"

/* One GPU of a scenario at one moment. */
typedef struct {
    const Scenario *scenario;
    const Gpu *gpu;
    const MigInstance *mig; /* NULL: the whole GPU */
    unsigned index;
    double t;
} View;

/* Windows of faults. */
bool fault_active(const Fault *fault, double t);
/* How often it has begun, at or before t. */
double fault_starts(const Fault *fault, double t);
/* The latest beginning at or before t; negative if there was none. */
double fault_last_start(const Fault *fault, double t);
/* The first beginning after t; INFINITY if there is none. */
double fault_next_start(const Fault *fault, double t);
/* The end of the window that t is in; INFINITY if it has none. */
double fault_end(const Fault *fault, double t);
bool fault_touches(const Fault *fault, const View *view);

/* The value that a `set` line gives, or the other. */
uint64_t model_settled(const View *view, Setting setting, uint64_t otherwise);

double model_load(const View *view);
/* Seconds of full load from 0 to t. */
double model_load_integral(const View *view);
/* The same since the counters were last reset. */
double model_load_seconds(const View *view);
/* The mean load of the last `seconds`. */
double model_mean_load(const View *view, double seconds);

unsigned model_percent(double ratio);
unsigned model_utilization_percent(const View *view);
unsigned model_memory_percent(const View *view);
unsigned model_power_mw(const View *view);         /* at this moment */
unsigned model_power_average_mw(const View *view); /* mean of the last second */
/* That of a module, with the processor beside the GPU; averaged over the last second or not. */
unsigned model_module_power_mw(const View *view, bool average);
/* What the memory draws of it, over the last second. */
unsigned model_memory_power_mw(const View *view);
uint64_t model_energy_mj(const View *view);
unsigned model_temperature(const View *view);
unsigned model_memory_temperature(const View *view);
unsigned model_fan_percent(const View *view);
bool model_idle(const View *view);
unsigned model_clock_mhz(const View *view, unsigned type);
unsigned model_max_clock_mhz(const Gpu *gpu, unsigned type);
unsigned long long model_reasons(const View *view);
/* Time spent throttled for any of these reasons since the counters were last reset. */
uint64_t model_reason_ns(const View *view, unsigned long long reasons);
uint64_t model_memory_used(const View *view);
uint64_t model_pcie_bytes(const View *view, uint64_t bytes_per_second);
uint64_t model_nvlink_kib(const View *view, double factor);
bool model_nvlink_up(const View *view, unsigned link);
unsigned model_pcie_width(const View *view);
/* What an event line counts. */
typedef enum { EVENT_VALUE, EVENT_CORRECTED, EVENT_UNCORRECTED, EVENT_PENDING, EVENT_FAILURE } Part;
/* The sum of one part over all events of a kind so far. */
uint64_t model_event_sum(const View *view, FaultKind kind, Part part);
/* What `counter` lines have added to a field of one link or lane since the last reset. */
uint64_t model_counter(const View *view, unsigned field, unsigned scope);
/* The window of this kind that is in force, the last listed one; NULL if there is none. */
const Fault *model_window(const View *view, FaultKind kind);
/* Whether a card of this kind counts errors there. */
bool model_has_location(const Preset *preset, unsigned location);
/* The sum over all places that the card knows. */
uint64_t model_ecc_total(const View *view, bool uncorrected, bool volatile_only);
/* Sums over ECC events, of the MIG instance if the view is one's: `volatile_only` counts since the
 * last reset. */
uint64_t model_ecc(const View *view, bool uncorrected, unsigned location, bool volatile_only);
bool process_runs(const Process *process, const View *view);
uint64_t model_process_memory(const Process *process, const View *view);
/* By how much the driver's clock is behind, in microseconds. */
int64_t model_time_back_us(const View *view);
/* Among how many processes the GPU's utilisation is shared. */
unsigned model_processes_sharing(const View *view);
unsigned model_process_sm(const Process *process, const View *view, unsigned sharing);

#endif
