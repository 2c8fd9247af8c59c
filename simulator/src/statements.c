#include "statements.h"

#include "names.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static bool set_cuda(Parser *parser, const char *value, void *target) {
    unsigned major, minor;
    char rest;
    if (sscanf(value, "%u.%u%c", &major, &minor, &rest) != 2 || major > 1000 || minor > 99)
        return fail(parser, "\"%s\" is not a version such as 13.0", value);
    *(int *)target = (int)(major * 1000 + minor * 10);
    return true;
}

static bool read_driver(Parser *parser) {
    Scenario *scenario = parser->scenario;
    const Option options[] = {{"cuda", set_cuda, &scenario->cuda}};
    return want_words(parser, 2, "driver VERSION [cuda=MAJOR.MINOR]") &&
           copy_text(parser, parser->words[1], scenario->driver, sizeof scenario->driver) &&
           READ_OPTIONS(parser, 2, options);
}

static bool read_start(Parser *parser) {
    double seconds;
    if (!want_words(parser, 2, "start UNIX_TIME") || !no_more_words(parser, 2) ||
        !set_number(parser, parser->words[1], &seconds))
        return false;
    if (seconds > 1e11)
        return fail(parser, "\"%s\" is not a Unix time in seconds", parser->words[1]);
    parser->scenario->start_us = (int64_t)floor(seconds * 1e6 + 0.5);
    return true;
}

static bool read_freeze(Parser *parser) {
    parser->scenario->frozen = true;
    return want_words(parser, 2, "freeze TIME") && no_more_words(parser, 2) &&
           set_duration(parser, parser->words[1], &parser->scenario->frozen_at);
}

static bool read_confidential(Parser *parser) {
    return want_words(parser, 2, "confidential on|off") && no_more_words(parser, 2) &&
           set_switch(parser, parser->words[1], &parser->scenario->confidential);
}

static bool read_root(Parser *parser) {
    bool root;
    if (!want_words(parser, 2, "root on|off") || !no_more_words(parser, 2) ||
        !set_switch(parser, parser->words[1], &root))
        return false;
    parser->scenario->root = root;
    return true;
}

static bool read_sample_clock(Parser *parser) {
    if (!want_words(parser, 2, "sample-clock unix|boot") || !no_more_words(parser, 2))
        return false;
    bool boot = strcmp(parser->words[1], "boot") == 0;
    if (!boot && strcmp(parser->words[1], "unix") != 0)
        return fail(parser, "\"%s\" is neither unix nor boot", parser->words[1]);
    parser->scenario->samples_from_boot = boot;
    return true;
}

static bool read_latency(Parser *parser) {
    Scenario *scenario = parser->scenario;
    for (size_t i = 1; i < parser->word_count; i++) {
        char *name = parser->words[i];
        char *equals = strchr(name, '=');
        if (equals == NULL)
            return fail(parser, "expected FUNCTION=DURATION, not \"%s\"", name);
        *equals = '\0';
        double seconds;
        if (!set_duration(parser, equals + 1, &seconds))
            return false;
        if (strcmp(name, "default") == 0) {
            scenario->default_latency = seconds;
            continue;
        }
        if (scenario->latency_count == MAX_LATENCIES)
            return fail(parser, "more than %d latencies", MAX_LATENCIES);
        Latency *latency = &scenario->latencies[scenario->latency_count];
        latency->seconds = seconds;
        if (strcmp(name, "*") == 0 || !set_call(parser, name, latency->call))
            return fail(parser, "unknown NVML function \"%s\"", name);
        scenario->latency_count++;
    }
    return true;
}

static bool read_missing(Parser *parser) {
    Scenario *scenario = parser->scenario;
    for (size_t i = 1; i < parser->word_count; i++) {
        if (scenario->missing_count == MAX_MISSING)
            return fail(parser, "more than %d missing functions", MAX_MISSING);
        if (!is_function_name(parser->words[i]))
            return fail(parser, "unknown NVML function \"%s\"", parser->words[i]);
        if (!set_call(parser, parser->words[i], scenario->missing[scenario->missing_count]))
            return false;
        scenario->missing_count++;
    }
    return true;
}

static bool read_counter_bits(Parser *parser) {
    unsigned *bits = &parser->scenario->pcie_counter_bits;
    if (!want_words(parser, 2, "pcie-counter-bits BITS") || !no_more_words(parser, 2) ||
        !set_unsigned(parser, parser->words[1], bits))
        return false;
    if (*bits < 8 || *bits > 64)
        return fail(parser, "pcie-counter-bits must be between 8 and 64");
    return true;
}

bool read_statement(Parser *parser) {
    static const struct {
        const char *name;
        bool (*read)(Parser *parser);
    } statements[] = {{"driver", read_driver},
                      {"start", read_start},
                      {"freeze", read_freeze},
                      {"gpus", read_gpus},
                      {"gpu", read_gpu},
                      {"load", read_load},
                      {"process", read_process},
                      {"latency", read_latency},
                      {"missing", read_missing},
                      {"pcie-counter-bits", read_counter_bits},
                      {"mig", read_mig},
                      {"vgpu", read_vgpu},
                      {"root", read_root},
                      {"confidential", read_confidential},
                      {"sample-clock", read_sample_clock},
                      {"at", read_fault}};
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        if (strcmp(statements[i].name, parser->words[0]) == 0)
            return statements[i].read(parser);
    return fail(
        parser,
        "unknown statement \"%s\" (known: driver, start, freeze, gpus, gpu, load, process, "
        "latency, missing, pcie-counter-bits, mig, vgpu, root, confidential, sample-clock, at)",
        parser->words[0]);
}
