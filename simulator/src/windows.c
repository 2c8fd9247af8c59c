/* When faults begin, last and end. */
#include "model.h"

#include <math.h>

static double window_start(const Fault *fault, double number) {
    return fault->at + number * fault->every;
}

/* The number of the latest window that began at or before t, counted from 0; -1 if none. Division
 * may round to a neighbour: an edge must belong to the window that it begins, or an event at it
 * would be told again and again. */
static double window_number(const Fault *fault, double t) {
    if (t < fault->at)
        return -1;
    if (fault->every <= 0)
        return 0;
    double number = floor((t - fault->at) / fault->every);
    if (window_start(fault, number + 1) <= t)
        return number + 1;
    return window_start(fault, number) > t ? number - 1 : number;
}

double fault_starts(const Fault *fault, double t) { return window_number(fault, t) + 1; }

double fault_last_start(const Fault *fault, double t) {
    double number = window_number(fault, t);
    return number < 0 ? -1 : window_start(fault, number);
}

double fault_next_start(const Fault *fault, double t) {
    double number = window_number(fault, t);
    if (number < 0)
        return fault->at;
    return fault->every > 0 ? window_start(fault, number + 1) : INFINITY;
}

double fault_end(const Fault *fault, double t) {
    return fault_last_start(fault, t) + fault->duration;
}

bool fault_active(const Fault *fault, double t) {
    return t >= fault->at && t < fault_end(fault, t);
}

bool fault_touches(const Fault *fault, const View *view) { return fault->gpus >> view->index & 1; }
