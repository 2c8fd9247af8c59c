/* PCIe, NVLink, the fabric and how GPUs lie to each other. */
#include "api.h"

static unsigned pcie_generation(const View *view) {
    const Preset *preset = view->gpu->preset;
    return model_idle(view) ? preset->pcie_gen_idle : preset->pcie_gen;
}

/* A lane of generation 1 moves 2,500 MB/s of raw bits, and each generation doubles that, but the
 * third stops at 8,000. */
static unsigned pcie_speed(const View *view) {
    static const unsigned speeds[] = {0, 2500, 5000, 8000, 16000, 32000, 64000};
    return speeds[pcie_generation(view)];
}

NUMBER(nvmlDeviceGetCurrPcieLinkGeneration, true, pcie_generation(view))
NUMBER(nvmlDeviceGetMaxPcieLinkGeneration, true, gpu->preset->pcie_gen)
NUMBER(nvmlDeviceGetGpuMaxPcieLinkGeneration, true, gpu->preset->pcie_gen)
NUMBER(nvmlDeviceGetCurrPcieLinkWidth, true, model_pcie_width(view))
NUMBER(nvmlDeviceGetMaxPcieLinkWidth, true, gpu->preset->pcie_width)
NUMBER(nvmlDeviceGetPcieSpeed, true, pcie_speed(view))
NUMBER(nvmlDeviceGetPcieLinkMaxSpeed, true, gpu->preset->pcie_gen + 1)
NUMBER(nvmlDeviceGetPcieReplayCounter, true, model_event_sum(view, FAULT_PCIE_REPLAY, EVENT_VALUE))

NVML_API nvmlReturn_t nvmlDeviceGetPcieThroughput(nvmlDevice_t device, unsigned counter,
                                                  unsigned *kilobytes) {
    BEGIN_DEVICE(call, device);
    WANT(kilobytes != NULL && counter < 2);
    const Preset *preset = call.view.gpu->preset;
    double rate = (double)(counter == 0 ? preset->pcie_tx_bytes : preset->pcie_rx_bytes);
    *kilobytes = (unsigned)(rate * model_load(&call.view) / 1000);
    return NVML_SUCCESS;
}

#define LINK_NUMBER(function, number_type, expression)                                             \
    NVML_API nvmlReturn_t function(nvmlDevice_t device, unsigned link, number_type *number) {      \
        BEGIN_DEVICE(call, device);                                                                \
        const View *view = &call.view;                                                             \
        WANT(number != NULL);                                                                      \
        SUPPORTED(view->gpu->preset->nvlink_links > 0);                                            \
        WANT(link < view->gpu->preset->nvlink_links);                                              \
        *number = (number_type)(expression);                                                       \
        return NVML_SUCCESS;                                                                       \
    }

LINK_NUMBER(nvmlDeviceGetNvLinkState, unsigned, model_nvlink_up(view, link))
LINK_NUMBER(nvmlDeviceGetNvLinkVersion, unsigned, view->gpu->preset->nvlink_version)

enum { REMOTE_SWITCH = 2 };
LINK_NUMBER(nvmlDeviceGetNvLinkRemoteDeviceType, unsigned, REMOTE_SWITCH)

static nvmlReturn_t link_detail(const View *view, unsigned link, bool valid) {
    WANT(valid);
    SUPPORTED(view->gpu->preset->nvlink_links > 0);
    WANT(link < view->gpu->preset->nvlink_links);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetNvLinkErrorCounter(nvmlDevice_t device, unsigned link,
                                                      unsigned counter, unsigned long long *value) {
    BEGIN_DEVICE(call, device);
    /* Replays, recoveries and CRC errors are counted for each link; of the rest there is none. */
    static const unsigned fields[] = {161, 162, 163};
    nvmlReturn_t result = link_detail(&call.view, link, value != NULL && counter < 5);
    if (result != NVML_SUCCESS)
        return result;
    SUPPORTED(call.view.gpu->preset->nvlink_version < NVLINK_5);
    *value = counter < 3 ? model_counter(&call.view, fields[counter], link) : 0;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetNvLinkCapability(nvmlDevice_t device, unsigned link,
                                                    unsigned capability, unsigned *value) {
    BEGIN_DEVICE(call, device);
    nvmlReturn_t result = link_detail(&call.view, link, value != NULL && capability < 6);
    if (result == NVML_SUCCESS)
        *value = capability != 4; /* all but an SLI bridge */
    return result;
}

/* The driver has given up these counters: the fields for throughput replace them. */
NVML_API nvmlReturn_t nvmlDeviceGetNvLinkUtilizationCounter(nvmlDevice_t device, unsigned link,
                                                            unsigned counter,
                                                            unsigned long long *received,
                                                            unsigned long long *transmitted) {
    BEGIN_DEVICE(call, device);
    (void)link;
    (void)counter;
    WANT(received != NULL && transmitted != NULL);
    return NVML_ERROR_NOT_SUPPORTED;
}

/* Pairs of bits of the health mask: 2 says that the trouble is absent. */
enum { FABRIC_COMPLETED = 3, FABRIC_NO_TROUBLE = 2 | 2 << 2 | 2 << 4 | 2 << 6 };

/* Four troubles; from Blackwell on also what is misconfigured, a number of four bits, whether there
 * is a partition, and whether the global fabric manager is there. */
static unsigned fabric_health(const Preset *preset, const Fault *trouble) {
    enum { TRUE = 1, FALSE = 2 };
    unsigned mask = FABRIC_NO_TROUBLE;
    if (trouble != NULL && trouble->health > 0) /* both bits of the pair change */
        mask ^= 3U << 2 * (trouble->health - 1);
    if (preset->architecture < ARCH_BLACKWELL)
        return mask;
    mask |= (trouble != NULL ? trouble->misconfiguration : 1) << 8;
    mask |= (trouble == NULL || trouble->partition ? TRUE : FALSE) << 12;
    return mask | (trouble == NULL || trouble->manager ? TRUE : FALSE) << 14;
}

NVML_API nvmlReturn_t nvmlDeviceGetGpuFabricInfoV(nvmlDevice_t device, void *info) {
    BEGIN_DEVICE(call, device);
    WANT(info != NULL);
    nvmlGpuFabricInfo_v2_t *second = info;
    nvmlGpuFabricInfo_v3_t *third = info;
    unsigned version = second->version;
    bool is_third = version == STRUCT_VERSION(*third, 3);
    if (!is_third && version != STRUCT_VERSION(*second, 2))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    SUPPORTED(call.view.gpu->preset->has_fabric);
    const Fault *trouble = model_window(&call.view, FAULT_FABRIC);
    *second = (nvmlGpuFabricInfo_v2_t){.version = version,
                                       .status = trouble != NULL ? trouble->code : NVML_SUCCESS,
                                       .state = trouble != NULL ? trouble->state : FABRIC_COMPLETED,
                                       .healthMask = fabric_health(call.view.gpu->preset, trouble)};
    enum { HEALTHY = 1, UNHEALTHY = 2 };
    bool healthy = trouble == NULL || (trouble->health == 0 && trouble->misconfiguration == 1);
    if (is_third)
        third->healthSummary = healthy ? HEALTHY : UNHEALTHY;
    return NVML_SUCCESS;
}

/* Two devices of one machine; false if one of them is not good. */
static nvmlReturn_t pair_of(const char *name, nvmlDevice_t first, nvmlDevice_t second, Call *a,
                            Call *b) {
    nvmlReturn_t result = call_begin_device(name, first, a);
    return result == NVML_SUCCESS ? call_begin_device(name, second, b) : result;
}

NVML_API nvmlReturn_t nvmlDeviceGetTopologyCommonAncestor(nvmlDevice_t first, nvmlDevice_t second,
                                                          unsigned *level) {
    Call a, b;
    nvmlReturn_t result = pair_of(__func__, first, second, &a, &b);
    if (result != NVML_SUCCESS)
        return result;
    enum { INTERNAL = 0, NODE = 40, SYSTEM = 50 };
    WANT(level != NULL);
    bool one_node = a.view.gpu->numa_node == b.view.gpu->numa_node;
    *level = first == second ? INTERNAL : one_node ? NODE : SYSTEM;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetP2PStatus(nvmlDevice_t first, nvmlDevice_t second,
                                             unsigned capability, unsigned *status) {
    Call a, b;
    nvmlReturn_t result = pair_of(__func__, first, second, &a, &b);
    if (result != NVML_SUCCESS)
        return result;
    enum { NVLINK = 2, CAPABILITIES = 5, OK = 0, NOT_SUPPORTED = 5 };
    WANT(status != NULL && capability < CAPABILITIES && first != second);
    bool linked = a.view.gpu->preset->nvlink_links > 0 && b.view.gpu->preset->nvlink_links > 0;
    bool works = linked || (capability != NVLINK && a.view.gpu->preset->data_center);
    *status = works ? OK : NOT_SUPPORTED;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceOnSameBoard(nvmlDevice_t first, nvmlDevice_t second,
                                            int *same_board) {
    Call a, b;
    nvmlReturn_t result = pair_of(__func__, first, second, &a, &b);
    if (result != NVML_SUCCESS)
        return result;
    WANT(same_board != NULL);
    *same_board = first == second;
    return NVML_SUCCESS;
}

/* Each NUMA node has 64 processors here. */
static nvmlReturn_t affinity(const Gpu *gpu, unsigned words, unsigned long *set) {
    WANT(words > 0 && set != NULL);
    for (unsigned i = 0; i < words; i++)
        set[i] = i == gpu->numa_node ? ~0UL : 0;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetCpuAffinity(nvmlDevice_t device, unsigned words,
                                               unsigned long *set) {
    BEGIN_DEVICE(call, device);
    return affinity(call.view.gpu, words, set);
}

NVML_API nvmlReturn_t nvmlDeviceGetCpuAffinityWithinScope(nvmlDevice_t device, unsigned words,
                                                          unsigned long *set, unsigned scope) {
    BEGIN_DEVICE(call, device);
    WANT(scope <= 1);
    return affinity(call.view.gpu, words, set);
}

NVML_API nvmlReturn_t nvmlDeviceGetMemoryAffinity(nvmlDevice_t device, unsigned words,
                                                  unsigned long *set, unsigned scope) {
    BEGIN_DEVICE(call, device);
    WANT(scope <= 1 && words > 0 && set != NULL);
    for (unsigned i = 0; i < words; i++)
        set[i] = call.view.gpu->numa_node / 64 == i ? 1UL << call.view.gpu->numa_node % 64 : 0;
    return NVML_SUCCESS;
}

/* The GPUs of one NUMA node are equally near; those of the other are only in the same system. */
NVML_API nvmlReturn_t nvmlDeviceGetTopologyNearestGpus(nvmlDevice_t device, unsigned level,
                                                       unsigned *count, nvmlDevice_t *devices) {
    BEGIN_DEVICE(call, device);
    enum { NODE = 40, SYSTEM = 50 };
    WANT(count != NULL && level <= SYSTEM);
    unsigned room = devices != NULL ? *count : 0, found = 0;
    unsigned gpus = machine_gpu_count(call.view.scenario, call.view.t);
    for (unsigned i = 0; i < gpus; i++) {
        bool same_node = call.view.scenario->gpus[i].numa_node == call.view.gpu->numa_node;
        if (i == call.view.index || level != (same_node ? NODE : SYSTEM))
            continue;
        if (found < room)
            devices[found] = context_handle(i);
        found++;
    }
    *count = found;
    return NVML_SUCCESS;
}
