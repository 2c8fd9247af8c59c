#include "gpm.h"

#include "mig.h"

#include <stddef.h>

/* What part of the load each metric shows: ANSWERS.md has the same table. */
static const struct {
    double ratio;
    const char *short_name, *long_name;
} shares[] = {{0, NULL, NULL},
              {1, "graphics_util", "Graphics engine active"},
              {0.8, "sm_util", "SMs active"},
              {0.5, "sm_occupancy", "Warps resident of those possible"},
              {0.2, "integer_util", "Integer pipes active"},
              {0.6, "any_tensor_util", "Tensor cores active"},
              {0.02, "dfma_tensor_util", "Tensor cores active, double precision"},
              {0.5, "hmma_tensor_util", "Tensor cores active, half precision"},
              {0.03, "dmma_tensor_util", "Tensor cores active, double precision matrices"},
              {0.05, "imma_tensor_util", "Tensor cores active, integers"},
              {0.45, "dram_bw_util", "Memory bandwidth used"},
              {0.01, "fp64_util", "FP64 pipes active"},
              {0.25, "fp32_util", "FP32 pipes active"},
              {0.1, "fp16_util", "FP16 pipes active"}};

enum { SHARES = sizeof shares / sizeof *shares };

/* The mean load between the samples; a MIG instance has a share of it. */
static double mean_load(const View *first, const View *second) {
    double before = model_load_integral(first);
    double mean = (model_load_integral(second) - before) / (second->t - first->t);
    return second->mig != NULL ? second->mig->share * mean : mean;
}

typedef struct {
    const View *view;
    double load;
} Interval;

static nvmlReturn_t give(bool supported, double number, double *value) {
    if (!supported)
        return NVML_ERROR_NOT_SUPPORTED;
    *value = number;
    return NVML_SUCCESS;
}

/* A stream of bytes, in MiB each second. */
static nvmlReturn_t stream(const Interval *interval, bool supported, double bytes, double *value) {
    return give(supported, bytes * interval->load / 1048576, value);
}

static nvmlReturn_t engine(const Interval *interval, unsigned number, unsigned have, double factor,
                           double *value) {
    const MigInstance *instance = interval->view->mig;
    if (instance != NULL)
        have = mig_engines(instance, have);
    return give(number < have, 100 * factor * interval->load, value);
}

/* The link of a metric that comes in pairs of received and sent; links 18 and up have their own
 * ranges. -1: not such a metric. */
static int link_of(unsigned metric) {
    if (metric >= 62 && metric <= 97)
        return (int)(metric - 62) / 2;
    if (metric >= 212 && metric <= 247)
        return (int)(metric - 212) / 2 + 18;
    if (metric >= 405 && metric <= 476)
        return (int)(metric - 405) / 2 + 36;
    return -1;
}

static nvmlReturn_t nvlink(const Interval *interval, unsigned metric, double *value) {
    const Preset *preset = interval->view->gpu->preset;
    double bytes = 1024.0 * (double)preset->nvlink_kib;
    if (metric == 60 || metric == 61)
        return stream(interval, preset->nvlink_links > 0, bytes * preset->nvlink_links, value);
    return stream(interval, link_of(metric) < (int)preset->nvlink_links, bytes, value);
}

/* Four metrics for all C2C links, then four for each: all traffic sent and received, and payload. A
 * full load fills three tenths of them. */
static nvmlReturn_t c2c(const Interval *interval, unsigned metric, double *value) {
    const Preset *preset = interval->view->gpu->preset;
    double bytes = 0.3e6 * preset->c2c_mbps * ((metric - 100) % 4 < 2 ? 1.1 : 1);
    if (metric < 104)
        return stream(interval, preset->c2c_links > 0, bytes * preset->c2c_links, value);
    return stream(interval, (metric - 104) / 4 < preset->c2c_links, bytes, value);
}

static nvmlReturn_t traffic(const Interval *interval, unsigned metric, double *value) {
    const Preset *preset = interval->view->gpu->preset;
    if (metric == 20)
        return stream(interval, true, (double)preset->pcie_tx_bytes, value);
    if (metric == 21)
        return stream(interval, true, (double)preset->pcie_rx_bytes, value);
    if (interval->view->mig != NULL) /* other links belong to the whole GPU */
        return NVML_ERROR_NOT_SUPPORTED;
    if (metric >= 100 && metric <= 159)
        return c2c(interval, metric, value);
    if (metric == 60 || metric == 61 || link_of(metric) >= 0)
        return nvlink(interval, metric, value);
    return NVML_ERROR_NOT_SUPPORTED;
}

/* What the cache answers of what is asked of the host's, other GPUs' and its own memory, whatever
 * the load; the odd metrics are the rest. */
static nvmlReturn_t cache(const Interval *interval, unsigned metric, double *value) {
    const Preset *preset = interval->view->gpu->preset;
    const struct {
        bool known;
        double hits;
    } memories[] = {{preset->c2c_links > 0, 90},
                    {preset->nvlink_version >= NVLINK_5, 80},
                    {preset->architecture >= ARCH_BLACKWELL, 40}};
    unsigned memory = (metric - 160) / 2;
    double hits = memories[memory].hits;
    return give(memories[memory].known, metric % 2 == 0 ? hits : 100 - hits, value);
}

nvmlReturn_t gpm_value(const View *first, const View *second, unsigned metric, double *value) {
    const Gpu *gpu = second->gpu;
    Interval interval = {second, mean_load(first, second)};
    if (metric == 0 || metric >= GPM_METRICS)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (metric < SHARES)
        return give(true, 100 * shares[metric].ratio * interval.load, value);
    if (metric >= 30 && metric <= 37)
        return engine(&interval, metric - 30, gpu->preset->decoders, gpu->decoder, value);
    if (metric >= 40 && metric <= 47)
        return engine(&interval, metric - 40, gpu->preset->jpegs, gpu->jpeg, value);
    if (metric == 50 || metric == 51)
        return engine(&interval, metric - 50, gpu->preset->ofas, gpu->ofa, value);
    if (metric >= 160 && metric <= 165)
        return cache(&interval, metric, value);
    return traffic(&interval, metric, value);
}

void gpm_describe(unsigned metric, nvmlGpmMetricInfo_t *info) {
    bool named = metric > 0 && metric < SHARES;
    info->shortName = named ? shares[metric].short_name : NULL;
    info->longName = named ? shares[metric].long_name : NULL;
    info->unit = named ? "%" : NULL;
}
