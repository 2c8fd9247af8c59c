#include "fault_values.h"

#include "names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool set_reason(Parser *parser, const char *value, void *target) {
    static const struct {
        const char *name;
        unsigned long long bits;
    } reasons[] = {{"applications_clocks", REASON_APPLICATIONS_CLOCKS},
                   {"sw_power_cap", REASON_SW_POWER_CAP},
                   {"hw_slowdown", REASON_HW_SLOWDOWN},
                   {"sync_boost", REASON_SYNC_BOOST},
                   {"sw_thermal", REASON_SW_THERMAL},
                   /* The driver reports these two together with the general slowdown. */
                   {"hw_thermal", REASON_HW_THERMAL | REASON_HW_SLOWDOWN},
                   {"hw_power_brake", REASON_HW_POWER_BRAKE | REASON_HW_SLOWDOWN},
                   {"display_clock", REASON_DISPLAY_CLOCK}};
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (strcmp(reasons[i].name, value) == 0) {
            ((Fault *)target)->reason = reasons[i].bits;
            return true;
        }
    return fail(parser,
                "unknown reason \"%s\" (known: applications_clocks, sw_power_cap, hw_slowdown, "
                "sync_boost, sw_thermal, hw_thermal, hw_power_brake, display_clock)",
                value);
}

bool set_location(Parser *parser, const char *value, void *target) {
    static const struct {
        const char *name;
        unsigned location;
    } locations[] = {{"dram", LOCATION_DRAM}, {"sram", LOCATION_SRAM},
                     {"l1", LOCATION_L1},     {"l2", LOCATION_L2},
                     {"cbu", LOCATION_CBU},   {"registers", LOCATION_REGISTERS}};
    for (size_t i = 0; i < sizeof locations / sizeof *locations; i++)
        if (strcmp(locations[i].name, value) == 0) {
            ((Fault *)target)->location = locations[i].location;
            return true;
        }
    return fail(parser, "unknown location \"%s\" (known: dram, sram, l1, l2, cbu, registers)",
                value);
}

bool set_action(Parser *parser, const char *value, void *target) {
    static const char *const actions[] = {"none",      "gpu_reset",       "node_reboot",
                                          "drain_p2p", "drain_and_reset", "recover_imex_domain",
                                          "bus_reset", "system_reboot"};
    for (unsigned i = 0; i < sizeof actions / sizeof *actions; i++)
        if (strcmp(actions[i], value) == 0) {
            ((Fault *)target)->value = i;
            return true;
        }
    return fail(parser,
                "unknown action \"%s\" (known: none, gpu_reset, node_reboot, drain_p2p, "
                "drain_and_reset, recover_imex_domain, bus_reset, system_reboot)",
                value);
}

bool set_result(Parser *parser, const char *value, void *target) {
    return set_code(parser, value, &((Fault *)target)->code);
}

bool set_fault_load(Parser *parser, const char *value, void *target) {
    return set_ratio(parser, value, &((Fault *)target)->load);
}

bool set_value(Parser *parser, const char *value, void *target) {
    return set_unsigned(parser, value, &((Fault *)target)->value);
}

bool set_fabric_state(Parser *parser, const char *value, void *target) {
    static const char *const states[] = {"not_supported", "not_started", "in_progress",
                                         "completed"};
    for (unsigned i = 0; i < sizeof states / sizeof *states; i++)
        if (strcmp(states[i], value) == 0) {
            ((Fault *)target)->state = i;
            return true;
        }
    return fail(parser,
                "unknown state \"%s\" (known: not_supported, not_started, in_progress, completed)",
                value);
}

/* Troubles are two bits each: 1 says that it is there, 2 that it is not. */
bool set_health(Parser *parser, const char *value, void *target) {
    static const char *const troubles[] = {"degraded_bandwidth", "route_recovery",
                                           "route_unhealthy", "access_timeout"};
    for (unsigned i = 0; i < sizeof troubles / sizeof *troubles; i++)
        if (strcmp(troubles[i], value) == 0) {
            ((Fault *)target)->health = i + 1;
            return true;
        }
    return fail(parser,
                "unknown health \"%s\" (known: degraded_bandwidth, route_recovery, "
                "route_unhealthy, access_timeout)",
                value);
}

bool set_misconfiguration(Parser *parser, const char *value, void *target) {
    static const char *const names[] = {"none",         "system_guid", "chassis_serial",
                                        "no_partition", "few_links",   "firmware",
                                        "location",     "gpu_state"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], value) == 0) {
            ((Fault *)target)->misconfiguration = i + 1;
            return true;
        }
    return fail(parser,
                "unknown misconfiguration \"%s\" (known: none, system_guid, chassis_serial, "
                "no_partition, few_links, firmware, location, gpu_state)",
                value);
}

bool set_mode(Parser *parser, const char *value, void *target) {
    bool on;
    if (!set_switch(parser, value, &on))
        return false;
    ((Fault *)target)->value = on;
    return true;
}

bool set_gpu_count(Parser *parser, const char *value, void *target) {
    unsigned most = parser->scenario->gpu_count;
    parser->gpu_named = true;
    if (!set_value(parser, value, target))
        return false;
    if (((Fault *)target)->value > most)
        return fail(parser, "gpu-count %s is more than the %u GPUs there are", value, most);
    return true;
}

bool set_field(Parser *parser, const char *value, void *target) {
    Fault *fault = target;
    if (!set_unsigned(parser, value, &fault->field))
        return false;
    if (!is_counter_field(fault->field))
        return fail(parser, "field %s does not count errors", value);
    return true;
}

bool set_repeat(Parser *parser, const char *value, void *target) {
    Fault *fault = target;
    if (!set_unsigned(parser, value, &fault->repeat))
        return false;
    return fault->repeat > 0 || fail(parser, "count must be more than 0");
}

bool set_version(Parser *parser, const char *value, void *target) {
    return copy_text(parser, value, ((Fault *)target)->call, CALL_NAME_SIZE);
}

bool set_order(Parser *parser, const char *value, void *target) {
    Fault *fault = target;
    GpuMask seen = 0;
    char parts[128];
    if (!copy_text(parser, value, parts, sizeof parts))
        return false;
    char *rest = parts;
    for (char *part = strsep(&rest, ","); part != NULL; part = strsep(&rest, ",")) {
        GpuMask mask;
        if (!set_gpus(parser, part, &mask))
            return false;
        if ((mask & (mask - 1)) != 0 || (mask & seen) != 0)
            return fail(parser, "\"%s\" does not name each GPU once", value);
        seen |= mask;
        fault->order[fault->order_count++] = (unsigned char)__builtin_ctzll(mask);
    }
    if ((seen & (seen + 1)) != 0)
        return fail(parser, "\"%s\" does not name the first %u GPUs", value, fault->order_count);
    return true;
}

bool set_setting(Parser *parser, const char *value, void *target) {
    static const char *const names[SETTINGS] = {"utilization",
                                                "memory-utilization",
                                                "power",
                                                "energy",
                                                "energy-back",
                                                "temperature",
                                                "memory-temperature",
                                                "memory-used",
                                                "process-memory",
                                                "process-sm",
                                                "clock",
                                                "fan",
                                                "pcie-bytes",
                                                "time-back"};
    char known[256] = "";
    for (unsigned i = 0; i < SETTINGS; i++) {
        if (strcmp(names[i], value) == 0) {
            ((Fault *)target)->setting = (Setting)i;
            return true;
        }
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    return fail(parser, "unknown value \"%s\" (known: %s)", value, known);
}

bool set_set_to(Parser *parser, const char *value, void *target) {
    Fault *fault = target;
    char *end;
    errno = 0;
    fault->set_to = strcmp(value, "na") == 0 ? UINT64_MAX : strtoull(value, &end, 10);
    bool number = strspn(value, "0123456789") == strlen(value) && *value != '\0' && errno == 0;
    if (!number && strcmp(value, "na") != 0)
        return fail(parser, "\"%s\" is neither a whole number nor na", value);
    return true;
}
