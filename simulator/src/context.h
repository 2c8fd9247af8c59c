/* What every call does first: find the scenario, suffer its faults, find the GPU. */
#ifndef CONTEXT_H
#define CONTEXT_H

#include "machine.h"

typedef struct {
    View view; /* gpu is NULL where a call has no device */
    int64_t now_us;
} Call;

/* Each gives the result to return at once, unless it is NVML_SUCCESS. */
nvmlReturn_t call_begin(const char *name, Call *call);
nvmlReturn_t call_begin_device(const char *name, nvmlDevice_t device, Call *call);
nvmlReturn_t call_begin_any_device(const char *name, nvmlDevice_t device, Call *call);

#define BEGIN(call)                                                                                \
    Call call;                                                                                     \
    do {                                                                                           \
        nvmlReturn_t result_ = call_begin(__func__, &call);                                        \
        if (result_ != NVML_SUCCESS)                                                               \
            return result_;                                                                        \
    } while (0)

#define BEGIN_DEVICE(call, device)                                                                 \
    Call call;                                                                                     \
    do {                                                                                           \
        nvmlReturn_t result_ = call_begin_device(__func__, device, &call);                         \
        if (result_ != NVML_SUCCESS)                                                               \
            return result_;                                                                        \
    } while (0)

/* For the calls that take MIG devices as well; to the others those are NOT_SUPPORTED. */
#define BEGIN_ANY_DEVICE(call, device)                                                             \
    Call call;                                                                                     \
    do {                                                                                           \
        nvmlReturn_t result_ = call_begin_any_device(__func__, device, &call);                     \
        if (result_ != NVML_SUCCESS)                                                               \
            return result_;                                                                        \
    } while (0)

#define WANT(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return NVML_ERROR_INVALID_ARGUMENT;                                                    \
    } while (0)

#define SUPPORTED(condition)                                                                       \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return NVML_ERROR_NOT_SUPPORTED;                                                       \
    } while (0)

/* Init and shutdown, counted. */
nvmlReturn_t context_init(const char *name);
nvmlReturn_t context_shutdown(const char *name);

/* The scenario in force, re-read when its file has changed; NULL if there never was a good one. */
const Scenario *context_scenario(void);
/* Where t stands in the scenario, and what time that is. */
double context_time(const Scenario *scenario, int64_t *now_us);
nvmlDevice_t context_handle(unsigned index);
/* NULL when more instances have come and gone than there is room for. */
nvmlDevice_t context_mig_handle(const MigInstance *instance);
/* Sleeps in a way that no signal handler shortens. */
void context_sleep(double seconds);

/* Writes text into a caller's buffer as NVML does. */
nvmlReturn_t give_text(const char *text, char *buffer, unsigned size);

#endif
