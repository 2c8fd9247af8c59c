#include "scenario.h"

#include "statements.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is played when no scenario is named: eight busy H200. */
static const char default_text[] = "gpus 8 preset=h200\n"
                                   "gpu * memory-base=96GiB memory-load=16GiB\n"
                                   "load gpu=0 wave min=0.7 max=0.98 period=60 phase=0\n"
                                   "load gpu=1 wave min=0.7 max=0.98 period=60 phase=0.01\n"
                                   "load gpu=2 wave min=0.7 max=0.98 period=60 phase=0.02\n"
                                   "load gpu=3 wave min=0.7 max=0.98 period=60 phase=0.03\n"
                                   "load gpu=4 wave min=0.7 max=0.98 period=60 phase=0.04\n"
                                   "load gpu=5 wave min=0.7 max=0.98 period=60 phase=0.05\n"
                                   "load gpu=6 wave min=0.7 max=0.98 period=60 phase=0.06\n"
                                   "load gpu=7 wave min=0.7 max=0.98 period=60 phase=0.07\n";

/* The machine's boot, so that all processes on it agree on t. */
static int64_t boot_time_us(void) {
    FILE *file = fopen("/proc/stat", "r");
    char line[256];
    long long seconds = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "btime %lld", &seconds) == 1)
            break;
    if (file != NULL)
        fclose(file);
    return seconds * 1000000;
}

static Scenario *scenario_new(void) {
    Scenario *scenario = calloc(1, sizeof *scenario);
    if (scenario == NULL)
        return NULL;
    strcpy(scenario->driver, "580.95.05");
    scenario->cuda = 13000;
    scenario->start_us = boot_time_us();
    scenario->pcie_counter_bits = 64;
    scenario->root = -1;
    scenario->gpu_count = 8;
    for (unsigned i = 0; i < scenario->gpu_count; i++)
        gpu_set_up(&scenario->gpus[i], i, preset_find("h200"));
    return scenario;
}

static Scenario *read_lines(FILE *file, const char *name, char *error, size_t error_size) {
    Parser parser = {
        .scenario = scenario_new(), .file = name, .error = error, .error_size = error_size};
    char line[1024];
    bool good = parser.scenario != NULL;
    if (!good)
        snprintf(error, error_size, "%s: out of memory", name);
    while (good && fgets(line, sizeof line, file) != NULL) {
        parser.line++;
        if (strchr(line, '\n') == NULL && !feof(file))
            good = fail(&parser, "line is longer than %zu characters", sizeof line - 2);
        else
            good =
                split_words(&parser, line) && (parser.word_count == 0 || read_statement(&parser));
    }
    if (good && ferror(file)) {
        snprintf(error, error_size, "%s: %s", name, strerror(errno));
        good = false;
    }
    if (good)
        return parser.scenario;
    scenario_free(parser.scenario);
    return NULL;
}

void scenario_free(Scenario *scenario) {
    if (scenario != NULL)
        free(scenario->processes);
    free(scenario);
}

Scenario *scenario_from_file(const char *path, char *error, size_t error_size) {
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        snprintf(error, error_size, "%s: %s", path, strerror(errno));
        return NULL;
    }
    Scenario *scenario = read_lines(file, path, error, error_size);
    fclose(file);
    return scenario;
}

Scenario *scenario_default(char *error, size_t error_size) {
    FILE *file = fmemopen((void *)(uintptr_t)default_text, sizeof default_text - 1, "r");
    if (file == NULL) {
        snprintf(error, error_size, "built-in scenario: %s", strerror(errno));
        return NULL;
    }
    Scenario *scenario = read_lines(file, "built-in scenario", error, error_size);
    fclose(file);
    return scenario;
}
