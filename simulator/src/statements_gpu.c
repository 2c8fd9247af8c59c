/* Reads `gpus COUNT ...` and `gpu GPUS ...`: the cards, and how each differs from its kind. */
#include "statements.h"

#include <stdio.h>
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
                 .vgpu_scheduler = 1,
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

bool read_gpus(Parser *parser) {
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

static bool set_scheduler(Parser *parser, const char *value, void *target) {
    static const char *const policies[] = {"best_effort", "equal_share", "fixed_share"};
    Gpu *gpu = target;
    if (!set_choice(parser, value, policies, sizeof policies / sizeof *policies,
                    &gpu->vgpu_scheduler))
        return false;
    gpu->vgpu_scheduler++; /* NVML's 0 is an unknown one */
    return true;
}

static bool set_arr_mode(Parser *parser, const char *value, void *target) {
    static const char *const modes[] = {"default", "off", "on"};
    return set_choice(parser, value, modes, sizeof modes / sizeof *modes, target);
}

/* The mode after the next boot is that of now unless said otherwise. */
static bool set_encryption(Parser *parser, const char *value, void *target) {
    Gpu *gpu = target;
    if (!set_switch(parser, value, &gpu->encryption))
        return false;
    gpu->encryption_pending = gpu->encryption;
    return true;
}

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
                              {"vgpu-scheduler", set_scheduler, gpu},
                              {"vgpu-arr", set_arr_mode, &gpu->vgpu_arr_mode},
                              {"encryption", set_encryption, gpu},
                              {"encryption-pending", set_switch, &gpu->encryption_pending},
                              {"licensed", set_switch, &gpu->licensed},
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

bool read_gpu(Parser *parser) {
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
