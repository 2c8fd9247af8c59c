/* The machine as a client finds it: its driver, its GPUs and their order. */
#ifndef MACHINE_H
#define MACHINE_H

#include "model.h"

/* How many GPUs there are at t. */
unsigned machine_gpu_count(const Scenario *scenario, double t);
bool machine_gpu_lost(const Scenario *scenario, unsigned index, double t);
/* The driver's version at t. */
const char *machine_driver(const Scenario *scenario, double t);
/* Whether it is of this major version or a newer one. */
bool machine_driver_since(const View *view, unsigned major);
/* The GPU that an index means, and the other way round, as it was when NVML was initialised. */
unsigned machine_gpu_at(unsigned index);
unsigned machine_index_of(unsigned gpu);
bool machine_is_root(const Scenario *scenario);

/* The error for a client that has loaded the library of another driver. */
nvmlReturn_t machine_check_driver(const Scenario *scenario, double t);
/* Takes note of driver and order when a client initialises; `first`: there was no other user. */
void machine_meet(const View *view, bool first);

#endif
