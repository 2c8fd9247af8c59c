/* What the GPU performance monitor of Hopper and newer cards measures between two samples. */
#ifndef GPM_H
#define GPM_H

#include "model.h"

enum { GPM_METRICS = 477 };

/* One metric over the time from the first view to the second. */
nvmlReturn_t gpm_value(const View *first, const View *second, unsigned metric, double *value);
/* NULL where a metric has no name here. */
void gpm_describe(unsigned metric, nvmlGpmMetricInfo_t *info);

#endif
