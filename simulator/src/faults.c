/* Reads `at TIME [for TIME] [every TIME] KIND ...`. */
#include "statements.h"

#include "fault_values.h"

#include <math.h>
#include <string.h>

enum { MAX_KEYS = 7 };

typedef struct {
    const char *name;
    FaultKind kind;
    bool instant;         /* happens at a moment: `for` makes no sense */
    const char *argument; /* what stands after the kind, for the error message */
    Setter set_argument;
    const char *keys[MAX_KEYS]; /* what else it understands */
    const char *required[MAX_KEYS];
} KindRule;

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
    {"xid", FAULT_XID, true, NULL, NULL, {"gpu", "code", "mig", "count"}, {"code"}},
    {"fabric",
     FAULT_FABRIC,
     false,
     NULL,
     NULL,
     {"gpu", "state", "health", "code", "misconfiguration", "partition", "manager"},
     {NULL}},
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
     {"gpu", "corrected", "uncorrected", "pending", "failure", "inactive"},
     {NULL}},
    {"bank-remap",
     FAULT_BANK_REMAP,
     true,
     NULL,
     NULL,
     {"gpu", "active", "inactive", "pending"},
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
    {"set", FAULT_SET, false, "what and a value", set_setting, {"gpu"}, {NULL}},
    {"driver", FAULT_DRIVER, false, "a version", set_version, {"code"}, {NULL}},
    {"permute", FAULT_PERMUTE, false, "an order such as 1,0,2", set_order, {NULL}, {NULL}},
    {"reset-counters", FAULT_RESET_COUNTERS, true, NULL, NULL, {"gpu"}, {NULL}},
};

static const KindRule *find_rule(const char *name) {
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strcmp(rules[i].name, name) == 0)
            return &rules[i];
    return NULL;
}

static Option option_for(const char *key, const KindRule *rule, Fault *fault) {
    unsigned *inactive = rule->kind == FAULT_BANK_REMAP ? &fault->uncorrected : &fault->value;
    const Option all[] = {{"gpu", set_gpus, &fault->gpus},
                          {"call", set_call, fault->call},
                          {"code", rule->kind == FAULT_XID ? set_value : set_result, fault},
                          {"reason", set_reason, fault},
                          {"link", set_value, fault},
                          {"width", set_value, fault},
                          {"action", set_action, fault},
                          {"count", rule->kind == FAULT_XID ? set_repeat : set_value, fault},
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
                          {"misconfiguration", set_misconfiguration, fault},
                          {"partition", set_switch, &fault->partition},
                          {"manager", set_switch, &fault->manager},
                          {"active", set_unsigned, &fault->corrected},
                          {"inactive", set_unsigned, inactive},
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
                   .state = 3,
                   .misconfiguration = 1,
                   .partition = true,
                   .manager = true,
                   .repeat = 1,
                   .code = NVML_SUCCESS};
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
            "bank-remap, pcie-replay, counter, retire, fabric, repair, mig-mode, mig-pending, set, "
            "driver, permute, reset-counters)",
            parser->words[next]);
    fault.kind = rule->kind;
    size_t wanted = rule->kind == FAULT_SET ? 3 : rule->argument != NULL ? 2 : 1;
    if (bare < wanted)
        return fail(parser, "%s wants %s", rule->name, rule->argument);
    if (bare > wanted)
        return fail(parser, "unexpected \"%s\"", parser->words[next + wanted]);
    if (!check_times(parser, &fault, rule) ||
        (wanted >= 2 && !rule->set_argument(parser, parser->words[next + 1], &fault)) ||
        (wanted == 3 && !set_set_to(parser, parser->words[next + 2], &fault)) ||
        !read_keys(parser, next + wanted, rule, &fault))
        return false;
    scenario->faults[scenario->fault_count++] = fault;
    return true;
}
