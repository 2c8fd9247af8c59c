/* Fields of the links between GPUs, and between processor and GPU. */
#include "fields.h"

static bool has_nvlink5(const Preset *preset) { return preset->nvlink_version >= NVLINK_5; }

static uint64_t over_links(const View *view, unsigned field) {
    uint64_t sum = 0;
    for (unsigned link = 0; link < view->gpu->preset->nvlink_links; link++)
        sum += model_counter(view, field, link);
    return sum;
}

/* Flit CRC, data CRC, replay, recovery and ECC errors of all links, up to the fourth NVLink. */
nvmlReturn_t nvlink_total_field(const View *view, nvmlFieldValue_t *field) {
    /* The field that counts the same for each link. */
    unsigned per_link = field->fieldId == 38   ? 163
                        : field->fieldId == 52 ? 161
                        : field->fieldId == 59 ? 162
                                               : field->fieldId;
    const Preset *preset = view->gpu->preset;
    return give_long(field, preset->nvlink_links > 0 && !has_nvlink5(preset),
                     over_links(view, per_link));
}

/* The number of links that the scope means, and whether it means any. */
static nvmlReturn_t links_of(const View *view, unsigned scope, unsigned *links) {
    const Preset *preset = view->gpu->preset;
    SUPPORTED(preset->nvlink_links > 0);
    WANT(scope == ALL_LINKS || scope < preset->nvlink_links);
    *links = scope == ALL_LINKS ? preset->nvlink_links : 1;
    return NVML_SUCCESS;
}

/* Payload, or everything on the wire, of one link or of all of them. */
nvmlReturn_t nvlink_throughput_field(const View *view, nvmlFieldValue_t *field) {
    unsigned links;
    nvmlReturn_t result = links_of(view, field->scopeId, &links);
    if (result != NVML_SUCCESS)
        return result;
    double overhead = field->fieldId >= 140 ? 1.1 : 1;
    return give_long(field, true, links * model_nvlink_kib(view, overhead));
}

/* State, speed, version and errors of the link that the scope names. */
nvmlReturn_t nvlink_field(const View *view, nvmlFieldValue_t *field) {
    const Preset *preset = view->gpu->preset;
    SUPPORTED(preset->nvlink_links > 0);
    WANT(field->scopeId < preset->nvlink_links);
    bool up = model_nvlink_up(view, field->scopeId);
    switch (field->fieldId) {
    case 164:
        return give_uint(field, true, up ? preset->nvlink_mbps : 0);
    case 165:
        return give_uint(field, true, up);
    case 166:
        return give_uint(field, true, preset->nvlink_version);
    case 167:
        return give_uint(field, true, 0);
    default: /* 161 to 163: replays, recoveries, CRC errors */
        return give_long(field, !has_nvlink5(preset),
                         model_counter(view, field->fieldId, field->scopeId));
    }
}

enum { PACKET_BYTES = 256, NO_ERROR_SEEN = 15 << 8 | 255 };

/* Packets and bytes, sent (201, 202) and received, of one link or of all. */
static nvmlReturn_t traffic(const View *view, nvmlFieldValue_t *field) {
    unsigned links;
    nvmlReturn_t result = links_of(view, field->scopeId, &links);
    if (result != NVML_SUCCESS)
        return result;
    uint64_t bytes = links * model_nvlink_kib(view, 1) * 1024;
    bool packets = field->fieldId % 2 == 1;
    return give_long(field, true, packets ? bytes / PACKET_BYTES : bytes);
}

/* What only the fifth NVLink has: traffic, errors, and rates of wrong bits, which are a mantissa of
 * four bits over eight of a negative exponent: 15e-255 where none was wrong. */
nvmlReturn_t nvlink5_field(const View *view, nvmlFieldValue_t *field) {
    const Preset *preset = view->gpu->preset;
    unsigned id = field->fieldId;
    SUPPORTED(has_nvlink5(preset) && id != 205 && !(id >= 216 && id <= 218));
    if (id <= 204)
        return traffic(view, field);
    WANT(field->scopeId < preset->nvlink_links);
    bool rate = id == 220 || id == 222 || (id >= 291 && id <= 293);
    return give_long(field, true, rate ? NO_ERROR_SEEN : model_counter(view, id, field->scopeId));
}

nvmlReturn_t c2c_field(const View *view, nvmlFieldValue_t *field) {
    const Preset *preset = view->gpu->preset;
    if (field->fieldId == 170)
        return give_uint(field, true, preset->c2c_links);
    SUPPORTED(preset->c2c_links > 0);
    WANT(field->scopeId < preset->c2c_links);
    switch (field->fieldId) {
    case 171:
        return give_uint(field, true, 1);
    case 172:
        return give_uint(field, true, preset->c2c_mbps);
    case 234: /* full power */
        return give_uint(field, true, 0);
    default: /* 231 to 233: CRC errors, replays, replays back to back */
        return give_long(field, true, model_counter(view, field->fieldId, field->scopeId));
    }
}
