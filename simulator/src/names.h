/* Names of NVML's functions and results, and numbers of its fields. */
#ifndef NAMES_H
#define NAMES_H

#include "nvml_abi.h"

#include <stdbool.h>

bool is_function_name(const char *name);
/* Results by NVML's name in lower case without the prefix, such as driver_not_loaded. */
bool code_by_name(const char *name, nvmlReturn_t *code);

/* Whether a field of nvmlDeviceGetFieldValues counts what a `counter` line adds. */
bool is_counter_field(unsigned field);

#endif
