/* Short forms for the many functions that are alike. */
#ifndef API_H
#define API_H

#include "context.h"

/* Functions that give one number `condition` says on which cards. */
#define NUMBER(function, condition, expression)                                                    \
    NVML_API nvmlReturn_t function(nvmlDevice_t device, unsigned *number) {                        \
        BEGIN_DEVICE(call, device);                                                                \
        const View *view = &call.view;                                                             \
        const Gpu *gpu = call.view.gpu;                                                            \
        (void)view;                                                                                \
        (void)gpu;                                                                                 \
        WANT(number != NULL);                                                                      \
        SUPPORTED(condition);                                                                      \
        *number = (unsigned)(expression);                                                          \
        return NVML_SUCCESS;                                                                       \
    }

/* Functions that give two numbers, mostly current and pending. */
#define PAIR(function, condition, first_value, second_value)                                       \
    NVML_API nvmlReturn_t function(nvmlDevice_t device, unsigned *first, unsigned *second) {       \
        BEGIN_DEVICE(call, device);                                                                \
        const View *view = &call.view;                                                             \
        const Gpu *gpu = call.view.gpu;                                                            \
        (void)view;                                                                                \
        (void)gpu;                                                                                 \
        WANT(first != NULL && second != NULL);                                                     \
        SUPPORTED(condition);                                                                      \
        *first = (unsigned)(first_value);                                                          \
        *second = (unsigned)(second_value);                                                        \
        return NVML_SUCCESS;                                                                       \
    }

#endif
