/* The fields of nvmlDeviceGetFieldValues, by subject. */
#ifndef FIELDS_H
#define FIELDS_H

#include "context.h"

/* The scope that stands for all links. */
enum { ALL_LINKS = 0xFFFFFFFF };

typedef nvmlReturn_t (*FieldReader)(const View *view, nvmlFieldValue_t *field);

nvmlReturn_t give_uint(nvmlFieldValue_t *field, bool supported, uint64_t value);
nvmlReturn_t give_long(nvmlFieldValue_t *field, bool supported, uint64_t value);

/* In fields_links.c. */
nvmlReturn_t nvlink_total_field(const View *view, nvmlFieldValue_t *field);
nvmlReturn_t nvlink_throughput_field(const View *view, nvmlFieldValue_t *field);
nvmlReturn_t nvlink_field(const View *view, nvmlFieldValue_t *field);
nvmlReturn_t nvlink5_field(const View *view, nvmlFieldValue_t *field);
nvmlReturn_t c2c_field(const View *view, nvmlFieldValue_t *field);

/* In fields_power.c. */
nvmlReturn_t power_field(const View *view, nvmlFieldValue_t *field);
nvmlReturn_t smoothing_field(const View *view, nvmlFieldValue_t *field);
nvmlReturn_t smoothing_profile_field(const View *view, nvmlFieldValue_t *field);

#endif
