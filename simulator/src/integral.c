/* The load and its integral, in closed form between the edges of load overrides. */
#include "model.h"

#include <math.h>

static const double two_pi = 6.283185307179586476925286766559;

static double base_load(const Load *load, double t) {
    double turns = load->period > 0 ? t / load->period + load->phase : 0;
    switch (load->shape) {
    case LOAD_WAVE:
        return (load->min + load->max) / 2 + (load->max - load->min) / 2 * sin(two_pi * turns);
    case LOAD_BURST:
        return turns - floor(turns) < load->duty ? load->max : load->min;
    default:
        return load->max;
    }
}

/* Load-seconds of a burst from turn 0 on, in periods. */
static double burst_sum(const Load *load, double turns) {
    double whole = floor(turns), part = turns - whole;
    double high = whole * load->duty + fmin(part, load->duty);
    return high * load->max + (turns - high) * load->min;
}

/* The integral of base_load from 0 to t. */
static double base_integral(const Load *load, double t) {
    double turns = load->period > 0 ? t / load->period + load->phase : 0;
    switch (load->shape) {
    case LOAD_WAVE:
        return (load->min + load->max) / 2 * t +
               (load->max - load->min) / 2 * load->period / two_pi *
                   (cos(two_pi * load->phase) - cos(two_pi * turns));
    case LOAD_BURST:
        return load->period * (burst_sum(load, turns) - burst_sum(load, load->phase));
    default:
        return load->max * t;
    }
}

/* The override in force at t, the last listed one; NULL if there is none. */
static const Fault *override_at(const View *view, double t) {
    for (size_t i = view->scenario->fault_count; i-- > 0;) {
        const Fault *fault = &view->scenario->faults[i];
        if (fault->kind == FAULT_LOAD && fault_touches(fault, view) && fault_active(fault, t))
            return fault;
    }
    return NULL;
}

/* The first moment after t at which any override begins or ends. */
static double next_edge(const View *view, double t) {
    /* Edges closer than this are one: an edge must not find itself again through rounding. */
    const double apart = 1e-7;
    double edge = INFINITY;
    for (size_t i = 0; i < view->scenario->fault_count; i++) {
        const Fault *fault = &view->scenario->faults[i];
        if (fault->kind != FAULT_LOAD || !fault_touches(fault, view))
            continue;
        double last = fault_last_start(fault, t + apart);
        if (last >= 0 && last + fault->duration > t + apart)
            edge = fmin(edge, last + fault->duration);
        edge = fmin(edge, fault_next_start(fault, t + apart));
    }
    return edge;
}

double model_load(const View *view) {
    const Fault *override = override_at(view, view->t);
    return override != NULL ? override->load : base_load(&view->gpu->load, view->t);
}

/* Scenarios that have run for long have many edges; a thread goes on from where it last was. Sums
 * are always made from edge to edge, so the result does not depend on what was asked before. */
typedef struct {
    const Scenario *scenario;
    double edge, sum;
} Progress;

static _Thread_local Progress progress[MAX_GPUS];

/* What is kept lags behind the time by this much: means over the last seconds start in the past. */
static const double lag = 60;

double model_load_integral(const View *view) {
    const Load *load = &view->gpu->load;
    Progress *kept = &progress[view->index];
    if (kept->scenario != view->scenario || kept->edge > view->t)
        *kept = (Progress){view->scenario, 0, 0};
    Progress here = *kept;
    for (;;) {
        double end = next_edge(view, here.edge);
        double stop = fmin(end, view->t);
        const Fault *override = override_at(view, here.edge + (stop - here.edge) / 2);
        here.sum += override != NULL ? override->load * (stop - here.edge)
                                     : base_integral(load, stop) - base_integral(load, here.edge);
        if (end > view->t)
            return here.sum;
        here.edge = end;
        if (end < view->t - lag)
            *kept = here;
    }
}
