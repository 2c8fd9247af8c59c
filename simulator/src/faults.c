/* Reads `at TIME [for TIME] [every TIME] KIND ...`. */
#include "statements.h"

#include "names.h"

#include <math.h>
#include <string.h>

enum { MAX_KEYS = 5 };

typedef struct {
    const char *name;
    FaultKind kind;
    bool instant;         /* happens at a moment: `for` makes no sense */
    const char *argument; /* what stands after the kind, for the error message */
    Setter set_argument;
    const char *keys[MAX_KEYS]; /* what else it understands */
    const char *required[MAX_KEYS];
} KindRule;

static bool set_reason(Parser *parser, const char *value, void *target) {
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

static bool set_location(Parser *parser, const char *value, void *target) {
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

static bool set_action(Parser *parser, const char *value, void *target) {
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

static bool set_result(Parser *parser, const char *value, void *target) {
    return set_code(parser, value, &((Fault *)target)->code);
}

static bool set_fault_load(Parser *parser, const char *value, void *target) {
    return set_ratio(parser, value, &((Fault *)target)->load);
}

static bool set_value(Parser *parser, const char *value, void *target) {
    return set_unsigned(parser, value, &((Fault *)target)->value);
}

static bool set_fabric_state(Parser *parser, const char *value, void *target) {
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
static bool set_health(Parser *parser, const char *value, void *target) {
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

static bool set_mode(Parser *parser, const char *value, void *target) {
    bool on;
    if (!set_switch(parser, value, &on))
        return false;
    ((Fault *)target)->value = on;
    return true;
}

static bool set_gpu_count(Parser *parser, const char *value, void *target) {
    unsigned most = parser->scenario->gpu_count;
    parser->gpu_named = true;
    if (!set_value(parser, value, target))
        return false;
    if (((Fault *)target)->value > most)
        return fail(parser, "gpu-count %s is more than the %u GPUs there are", value, most);
    return true;
}

static bool set_field(Parser *parser, const char *value, void *target) {
    Fault *fault = target;
    if (!set_unsigned(parser, value, &fault->field))
        return false;
    if (!is_counter_field(fault->field))
        return fail(parser, "field %s does not count errors", value);
    return true;
}

static const KindRule rules[] = {
    {"lost", FAULT_LOST, false, NULL, NULL, {"gpu"}, {NULL}},
    {"hang", FAULT_HANG, false, NULL, NULL, {"gpu", "call"}, {"call"}},
    {"segfault", FAULT_SEGFAULT, false, NULL, NULL, {"gpu", "call"}, {"call"}},
    {"error", FAULT_ERROR, false, NULL, NULL, {"gpu", "call", "code"}, {"call", "code"}},
    {"init", FAULT_INIT, false, "an error name", set_result, {NULL}, {NULL}},
    {"gpu-count", FAULT_GPU_COUNT, false, "a number of GPUs", set_gpu_count, {NULL}, {NULL}},
    {"throttle", FAULT_THROTTLE, false, NULL, NULL, {"gpu", "reason"}, {"reason"}},
    {"load", FAULT_LOAD, false, "a ratio", set_fault_load, {"gpu"}, {NULL}},
    {"nvlink-down", FAULT_NVLINK_DOWN, false, NULL, NULL, {"gpu", "link"}, {"link"}},
    {"pcie-link", FAULT_PCIE_LINK, false, NULL, NULL, {"gpu", "width"}, {"width"}},
    {"recovery", FAULT_RECOVERY, false, NULL, NULL, {"gpu", "action"}, {"action"}},
    {"xid", FAULT_XID, true, NULL, NULL, {"gpu", "code", "mig"}, {"code"}},
    {"fabric", FAULT_FABRIC, false, NULL, NULL, {"gpu", "state", "health", "code"}, {NULL}},
    {"repair", FAULT_REPAIR, false, NULL, NULL, {"gpu", "channel", "tpc", "memory"}, {NULL}},
    {"mig-mode", FAULT_MIG_MODE, false, "on or off", set_mode, {"gpu"}, {NULL}},
    {"mig-pending", FAULT_MIG_PENDING, false, "on or off", set_mode, {"gpu"}, {NULL}},
    {"ecc",
     FAULT_ECC,
     true,
     NULL,
     NULL,
     {"gpu", "corrected", "uncorrected", "location", "mig"},
     {NULL}},
    {"remap",
     FAULT_REMAP,
     true,
     NULL,
     NULL,
     {"gpu", "corrected", "uncorrected", "pending", "failure"},
     {NULL}},
    {"pcie-replay", FAULT_PCIE_REPLAY, true, NULL, NULL, {"gpu", "count"}, {"count"}},
    {"counter",
     FAULT_COUNTER,
     true,
     NULL,
     NULL,
     {"gpu", "field", "count", "scope"},
     {"field", "count"}},
    {"retire",
     FAULT_RETIRE,
     true,
     NULL,
     NULL,
     {"gpu", "corrected", "uncorrected", "pending"},
     {NULL}},
    {"reset-counters", FAULT_RESET_COUNTERS, true, NULL, NULL, {"gpu"}, {NULL}},
};

static const KindRule *find_rule(const char *name) {
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strcmp(rules[i].name, name) == 0)
            return &rules[i];
    return NULL;
}

static Option option_for(const char *key, const KindRule *rule, Fault *fault) {
    const Option all[] = {{"gpu", set_gpus, &fault->gpus},
                          {"call", set_call, fault->call},
                          {"code", rule->kind == FAULT_XID ? set_value : set_result, fault},
                          {"reason", set_reason, fault},
                          {"link", set_value, fault},
                          {"width", set_value, fault},
                          {"action", set_action, fault},
                          {"count", set_value, fault},
                          {"field", set_field, fault},
                          {"scope", set_unsigned, &fault->scope},
                          {"corrected", set_unsigned, &fault->corrected},
                          {"uncorrected", set_unsigned, &fault->uncorrected},
                          {"location", set_location, fault},
                          {"pending", set_unsigned, &fault->pending},
                          {"state", set_fabric_state, fault},
                          {"health", set_health, fault},
                          {"channel", set_unsigned, &fault->channel},
                          {"tpc", set_unsigned, &fault->tpc},
                          {"memory", set_unsigned, &fault->memory},
                          {"mig", set_mig, &fault->mig},
                          {"failure", set_unsigned, &fault->failure}};
    size_t i = 0;
    while (strcmp(all[i].key, key) != 0)
        i++;
    return all[i];
}

static bool has_key(const Parser *parser, size_t first, const char *key) {
    size_t length = strlen(key);
    for (size_t i = first; i < parser->word_count; i++)
        if (strncmp(parser->words[i], key, length) == 0 && parser->words[i][length] == '=')
            return true;
    return false;
}

/* `at 5s for 1s every 10s`: gives the first word after it. */
static bool read_times(Parser *parser, Fault *fault, size_t *next) {
    *next = 0;
    while (*next < parser->word_count) {
        const char *word = parser->words[*next];
        double *target = strcmp(word, "at") == 0      ? &fault->at
                         : strcmp(word, "for") == 0   ? &fault->duration
                         : strcmp(word, "every") == 0 ? &fault->every
                                                      : NULL;
        if (target == NULL)
            return true;
        if (*next + 1 == parser->word_count)
            return fail(parser, "expected a duration after \"%s\"", word);
        if (!set_duration(parser, parser->words[*next + 1], target))
            return false;
        if (target != &fault->at && *target <= 0)
            return fail(parser, "\"%s\" wants more than 0", word);
        *next += 2;
    }
    return true;
}

/* Moves the words without "=" to the front, the rest stays in order behind; gives how many. */
static size_t bare_words_first(Parser *parser, size_t first) {
    char *bare[MAX_WORDS], *keyed[MAX_WORDS];
    size_t bare_count = 0, keyed_count = 0;
    for (size_t i = first; i < parser->word_count; i++) {
        if (strchr(parser->words[i], '=') == NULL)
            bare[bare_count++] = parser->words[i];
        else
            keyed[keyed_count++] = parser->words[i];
    }
    memcpy(parser->words + first, bare, bare_count * sizeof *bare);
    memcpy(parser->words + first + bare_count, keyed, keyed_count * sizeof *keyed);
    return bare_count;
}

static bool check_times(Parser *parser, const Fault *fault, const KindRule *rule) {
    if (rule->instant && isfinite(fault->duration))
        return fail(parser, "%s happens at a moment: it takes no \"for\"", rule->name);
    if (rule->instant || fault->every <= 0)
        return true;
    if (!isfinite(fault->duration))
        return fail(parser, "\"every\" needs \"for\"");
    if (fault->duration > fault->every)
        return fail(parser, "\"for\" is longer than \"every\"");
    return true;
}

static bool read_keys(Parser *parser, size_t first, const KindRule *rule, Fault *fault) {
    for (size_t i = 0; i < MAX_KEYS && rule->required[i] != NULL; i++)
        if (!has_key(parser, first, rule->required[i]))
            return fail(parser, "%s needs %s=", rule->name, rule->required[i]);
    Option options[MAX_KEYS];
    size_t count = 0;
    while (count < MAX_KEYS && rule->keys[count] != NULL) {
        options[count] = option_for(rule->keys[count], rule, fault);
        count++;
    }
    if (count == 0 && parser->word_count > first)
        return fail(parser, "unexpected \"%s\"", parser->words[first]);
    return read_options(parser, first, options, count);
}

bool read_fault(Parser *parser) {
    Scenario *scenario = parser->scenario;
    Fault fault = {.duration = INFINITY,
                   .gpus = ~(GpuMask)0,
                   .location = LOCATION_DRAM,
                   .mig = -1,
                   .state = 3};
    size_t next;
    if (scenario->fault_count == MAX_FAULTS)
        return fail(parser, "more than %d \"at\" lines", MAX_FAULTS);
    if (!read_times(parser, &fault, &next))
        return false;
    size_t bare = bare_words_first(parser, next);
    if (bare == 0)
        return fail(parser, "expected what happens (such as lost, hang, xid, throttle)");
    const KindRule *rule = find_rule(parser->words[next]);
    if (rule == NULL)
        return fail(
            parser,
            "unknown event \"%s\" (known: lost, hang, segfault, error, init, gpu-count, "
            "throttle, load, nvlink-down, pcie-link, recovery, xid, ecc, remap, "
            "pcie-replay, counter, retire, fabric, repair, mig-mode, mig-pending, reset-counters)",
            parser->words[next]);
    fault.kind = rule->kind;
    size_t wanted = rule->argument != NULL ? 2 : 1;
    if (bare < wanted)
        return fail(parser, "%s wants %s", rule->name, rule->argument);
    if (bare > wanted)
        return fail(parser, "unexpected \"%s\"", parser->words[next + wanted]);
    if (!check_times(parser, &fault, rule) ||
        (wanted == 2 && !rule->set_argument(parser, parser->words[next + 1], &fault)) ||
        !read_keys(parser, next + wanted, rule, &fault))
        return false;
    scenario->faults[scenario->fault_count++] = fault;
    return true;
}
