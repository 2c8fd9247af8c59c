#include "statements.h"

#include "names.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t scramble(uint64_t value) {
    value = (value + 1) * 0x9E3779B97F4A7C15ULL;
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ULL;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBULL;
    return value ^ (value >> 31);
}

void gpu_set_up(Gpu *gpu, unsigned index, const Preset *preset) {
    /* The bus numbers of an eight-GPU baseboard. */
    static const unsigned char buses[] = {0x1B, 0x43, 0x52, 0x61, 0x9D, 0xC3, 0xD1, 0xDF};
    uint64_t high = scramble(index), low = scramble(index + 1000);
    *gpu = (Gpu){.preset = preset,
                 .pci_domain = index / 8,
                 .pci_bus = buses[index % 8],
                 .minor = index,
                 .numa_node = index % 8 / 4,
                 .power_limit_mw = preset->power_default,
                 .persistence = true,
                 .ecc = preset->data_center,
                 .ecc_pending = preset->data_center,
                 .load = {.shape = LOAD_CONSTANT}};
    snprintf(gpu->name, sizeof gpu->name, "%s", preset->name);
    snprintf(gpu->uuid, sizeof gpu->uuid, "GPU-%08x-%04x-%04x-%04x-%012llx", (unsigned)(high >> 32),
             (unsigned)(high >> 16) & 0xFFFF, (unsigned)high & 0xFFFF, (unsigned)(low >> 48),
             (unsigned long long)low & 0xFFFFFFFFFFFFULL);
    snprintf(gpu->serial, sizeof gpu->serial, "16%011llu",
             (unsigned long long)(high % 100000000000ULL));
}

static bool set_preset(Parser *parser, const char *value, void *target) {
    const Preset *preset = preset_find(value);
    if (preset == NULL)
        return fail(parser, "unknown preset \"%s\" (known: %s)", value, preset_names());
    *(const Preset **)target = preset;
    return true;
}

static bool set_cuda(Parser *parser, const char *value, void *target) {
    unsigned major, minor;
    char rest;
    if (sscanf(value, "%u.%u%c", &major, &minor, &rest) != 2 || major > 1000 || minor > 99)
        return fail(parser, "\"%s\" is not a version such as 13.0", value);
    *(int *)target = (int)(major * 1000 + minor * 10);
    return true;
}

static bool want_words(Parser *parser, size_t count, const char *form) {
    if (parser->word_count < count)
        return fail(parser, "expected: %s", form);
    return true;
}

static bool no_more_words(Parser *parser, size_t count) {
    if (parser->word_count > count)
        return fail(parser, "unexpected \"%s\"", parser->words[count]);
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

static bool read_gpus(Parser *parser) {
    Scenario *scenario = parser->scenario;
    const Preset *preset = preset_find("h200");
    const Option options[] = {{"preset", set_preset, &preset}};
    unsigned count;
    if (parser->gpu_named)
        return fail(parser, "gpus must come before the lines that name a GPU");
    if (!want_words(parser, 2, "gpus COUNT [preset=NAME]") ||
        !set_unsigned(parser, parser->words[1], &count) || !READ_OPTIONS(parser, 2, options))
        return false;
    if (count > MAX_GPUS)
        return fail(parser, "more than %d GPUs", MAX_GPUS);
    scenario->gpu_count = count;
    for (unsigned i = 0; i < count; i++)
        gpu_set_up(&scenario->gpus[i], i, preset);
    return true;
}

static bool set_pci(Parser *parser, const char *value, void *target) {
    Gpu *gpu = target;
    char rest;
    if (sscanf(value, "%x:%x:00.0%c", &gpu->pci_domain, &gpu->pci_bus, &rest) != 2 ||
        gpu->pci_bus > 0xFF)
        return fail(parser, "\"%s\" is not a bus id such as 0000:3b:00.0", value);
    return true;
}

static bool set_choice(Parser *parser, const char *value, const char *const *choices, size_t count,
                       unsigned *target) {
    char known[128] = "";
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(choices[i], value) == 0) {
            *target = i;
            return true;
        }
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "", choices[i]);
    }
    return fail(parser, "unknown mode \"%s\" (known: %s)", value, known);
}

static bool set_compute_mode(Parser *parser, const char *value, void *target) {
    static const char *const modes[] = {"default", "exclusive_thread", "prohibited",
                                        "exclusive_process"};
    return set_choice(parser, value, modes, sizeof modes / sizeof *modes, target);
}

static bool set_virtualization(Parser *parser, const char *value, void *target) {
    static const char *const modes[] = {"none", "passthrough", "vgpu", "host_vgpu", "host_vsga"};
    return set_choice(parser, value, modes, sizeof modes / sizeof *modes, target);
}

/* The mode after the next boot is that of now unless said otherwise. */
static bool set_ecc(Parser *parser, const char *value, void *target) {
    Gpu *gpu = target;
    if (!set_switch(parser, value, &gpu->ecc))
        return false;
    gpu->ecc_pending = gpu->ecc;
    return true;
}

/* A change of card resets everything else, so the line is read for it first. */
static bool change_preset(Parser *parser, Gpu *gpu, unsigned index) {
    for (size_t i = 2; i < parser->word_count; i++) {
        const Preset *preset = NULL;
        if (strncmp(parser->words[i], "preset=", 7) != 0)
            continue;
        if (!set_preset(parser, parser->words[i] + 7, &preset))
            return false;
        gpu_set_up(gpu, index, preset);
    }
    return true;
}

/* Keys whose values must differ from GPU to GPU. */
static bool names_one_gpu(Parser *parser) {
    static const char *const keys[] = {"uuid=", "serial=", "pci=", "minor="};
    for (size_t word = 2; word < parser->word_count; word++)
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
            if (strncmp(parser->words[word], keys[i], strlen(keys[i])) == 0)
                return fail(parser, "%.*s cannot be the same for several GPUs",
                            (int)strlen(keys[i]) - 1, keys[i]);
    return true;
}

static bool read_one_gpu(Parser *parser, Gpu *gpu, unsigned index) {
    if (!change_preset(parser, gpu, index))
        return false;
    const Preset *ignored;
    TextField uuid = {gpu->uuid, sizeof gpu->uuid}, serial = {gpu->serial, sizeof gpu->serial},
              name = {gpu->name, sizeof gpu->name};
    const Option options[] = {{"preset", set_preset, &ignored},
                              {"name", set_text, &name},
                              {"uuid", set_text, &uuid},
                              {"serial", set_text, &serial},
                              {"pci", set_pci, gpu},
                              {"minor", set_unsigned, &gpu->minor},
                              {"numa", set_unsigned, &gpu->numa_node},
                              {"power-limit", set_watts, &gpu->power_limit_mw},
                              {"memory-base", set_size, &gpu->memory_base},
                              {"memory-load", set_size, &gpu->memory_load},
                              {"encoder", set_ratio, &gpu->encoder},
                              {"decoder", set_ratio, &gpu->decoder},
                              {"jpeg", set_ratio, &gpu->jpeg},
                              {"ofa", set_ratio, &gpu->ofa},
                              {"persistence", set_switch, &gpu->persistence},
                              {"ecc", set_ecc, gpu},
                              {"ecc-pending", set_switch, &gpu->ecc_pending},
                              {"accounting", set_switch, &gpu->accounting},
                              {"display", set_switch, &gpu->display},
                              {"compute-mode", set_compute_mode, &gpu->compute_mode},
                              {"virtualization", set_virtualization, &gpu->virtualization_mode},
                              {"captures", set_unsigned, &gpu->captures},
                              {"mig", set_switch, &gpu->mig}};
    if (!READ_OPTIONS(parser, 2, options))
        return false;
    const Preset *preset = gpu->preset;
    if (gpu->power_limit_mw < preset->power_min || gpu->power_limit_mw > preset->power_max)
        return fail(parser, "power-limit of %s must be between %u W and %u W", preset->id,
                    preset->power_min / 1000, preset->power_max / 1000);
    if ((gpu->ecc || gpu->ecc_pending) && !preset->data_center)
        return fail(parser, "%s has no ECC", preset->id);
    if (gpu->mig && !preset->has_mig)
        return fail(parser, "%s has no MIG", preset->id);
    return true;
}

static bool read_gpu(Parser *parser) {
    GpuMask mask;
    if (!want_words(parser, 2, "gpu GPUS key=value ...") ||
        !set_gpus(parser, parser->words[1], &mask))
        return false;
    if ((mask & (mask - 1)) != 0 && !names_one_gpu(parser))
        return false;
    Scenario *scenario = parser->scenario;
    for (unsigned i = 0; i < scenario->gpu_count; i++)
        if (mask >> i & 1 && !read_one_gpu(parser, &scenario->gpus[i], i))
            return false;
    return true;
}

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

static bool read_load(Parser *parser) {
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

static bool read_process(Parser *parser) {
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
