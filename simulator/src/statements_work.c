/* Reads `load ...` and `process ...`: what the GPUs do. */
#include "statements.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool read_load_shape(Parser *parser, size_t word, Load *load) {
    const char *shape = parser->words[word];
    if (strcmp(shape, "idle") == 0)
        return no_more_words(parser, word + 1);
    if (strcmp(shape, "constant") == 0) {
        if (!want_words(parser, word + 2, "load gpu=GPUS constant RATIO") ||
            !no_more_words(parser, word + 2) ||
            !set_ratio(parser, parser->words[word + 1], &load->max))
            return false;
        load->min = load->max;
        return true;
    }
    load->shape = strcmp(shape, "wave") == 0 ? LOAD_WAVE : LOAD_BURST;
    if (load->shape == LOAD_BURST && strcmp(shape, "burst") != 0)
        return fail(parser, "unknown load \"%s\" (known: idle, constant, wave, burst)", shape);
    *load = (Load){load->shape, 0, 1, 60, 0, 0.5};
    const Option wave[] = {{"min", set_ratio, &load->min},
                           {"max", set_ratio, &load->max},
                           {"period", set_duration, &load->period},
                           {"phase", set_ratio, &load->phase},
                           {"duty", set_ratio, &load->duty}};
    /* A wave has no duty: it is the last of the keys. */
    if (!read_options(parser, word + 1, wave, load->shape == LOAD_WAVE ? 4 : 5))
        return false;
    if (load->period <= 0)
        return fail(parser, "period must be longer than 0");
    if (load->min > load->max)
        return fail(parser, "min is larger than max");
    return true;
}

bool read_load(Parser *parser) {
    GpuMask mask;
    if (!want_words(parser, 3, "load gpu=GPUS idle|constant|wave|burst ..."))
        return false;
    if (strncmp(parser->words[1], "gpu=", 4) != 0)
        return fail(parser, "expected gpu=, not \"%s\"", parser->words[1]);
    Load load = {.shape = LOAD_CONSTANT};
    if (!set_gpus(parser, parser->words[1] + 4, &mask) || !read_load_shape(parser, 2, &load))
        return false;
    for (unsigned i = 0; i < parser->scenario->gpu_count; i++)
        if (mask >> i & 1)
            parser->scenario->gpus[i].load = load;
    return true;
}

static bool set_process_type(Parser *parser, const char *value, void *target) {
    static const char *const types[] = {"compute", "graphics", "mps"};
    for (unsigned i = 0; i < 3; i++)
        if (strcmp(types[i], value) == 0) {
            *(ProcessType *)target = (ProcessType)i;
            return true;
        }
    return fail(parser, "unknown type \"%s\" (known: compute, graphics, mps)", value);
}

static bool set_sm(Parser *parser, const char *value, void *target) {
    Process *process = target;
    process->follows_load = false;
    return set_percent(parser, value, &process->sm);
}

/* Several processes differ in their pids, which follow each other. */
static bool add_processes(Parser *parser, const Process *process, unsigned count) {
    Scenario *scenario = parser->scenario;
    if (count > MAX_PROCESSES - scenario->process_count)
        return fail(parser, "more than %d processes", MAX_PROCESSES);
    size_t needed = scenario->process_count + count;
    if (needed > scenario->process_room) {
        size_t room = 2 * needed;
        Process *moved = realloc(scenario->processes, room * sizeof *moved);
        if (moved == NULL)
            return fail(parser, "out of memory");
        scenario->processes = moved;
        scenario->process_room = room;
    }
    for (unsigned i = 0; i < count; i++) {
        Process *added = &scenario->processes[scenario->process_count++];
        *added = *process;
        added->pid += i;
    }
    return true;
}

bool read_process(Parser *parser) {
    Process process = {.follows_load = true, .until = INFINITY, .mig = -1};
    unsigned count = 1;
    TextField name = {process.name, sizeof process.name};
    const Option options[] = {{"pid", set_unsigned, &process.pid},
                              {"count", set_unsigned, &count},
                              {"gpu", set_gpus, &process.gpus},
                              {"type", set_process_type, &process.type},
                              {"memory", set_size, &process.memory},
                              {"sm", set_sm, &process},
                              {"mem", set_percent, &process.mem},
                              {"enc", set_percent, &process.enc},
                              {"dec", set_percent, &process.dec},
                              {"from", set_duration, &process.from},
                              {"until", set_duration, &process.until},
                              {"mig", set_mig, &process.mig},
                              {"name", set_text, &name}};
    if (!READ_OPTIONS(parser, 1, options))
        return false;
    if (process.pid == 0 || process.gpus == 0)
        return fail(parser, "a process needs pid= and gpu=");
    return add_processes(parser, &process, count);
}
