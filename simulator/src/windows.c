/* When faults begin, last and end. */
#include "model.h"

#include <math.h>

/* The number of the latest window that began at or before t, counted from 0; -1 if none. */
static double window_number(const Fault *fault, double t) {
    if (t < fault->at)
        return -1;
    return fault->every > 0 ? floor((t - fault->at) / fault->every) : 0;
}

double fault_starts(const Fault *fault, double t) { return window_number(fault, t) + 1; }

double fault_last_start(const Fault *fault, double t) {
    double number = window_number(fault, t);
    return number < 0 ? -1 : fault->at + number * fault->every;
}

double fault_next_start(const Fault *fault, double t) {
    double number = window_number(fault, t);
    if (number < 0)
        return fault->at;
    return fault->every > 0 ? fault->at + (number + 1) * fault->every : INFINITY;
}

double fault_end(const Fault *fault, double t) {
    return fault_last_start(fault, t) + fault->duration;
}

bool fault_active(const Fault *fault, double t) {
    return t >= fault->at && t < fault_end(fault, t);
}

bool fault_touches(const Fault *fault, const View *view) { return fault->gpus >> view->index & 1; }
