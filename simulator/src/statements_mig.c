/* Reads `mig gpu=GPUS profile=NAME ...`: instances, numbered as the driver would. */
#include "mig_profiles.h"
#include "statements.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What one line says; the GPUs it names may call their profiles differently. */
typedef struct {
    GpuMask gpus;
    char profile[16];
    unsigned count;
    MigInstance instance;
} Line;

static bool set_profile(Parser *parser, const char *value, void *target) {
    Line *line = target;
    return copy_text(parser, value, line->profile, sizeof line->profile);
}

static bool overlap(const MigInstance *a, const MigInstance *b) {
    return a->gpu == b->gpu && a->from < b->until && b->from < a->until;
}

/* The smallest number from `first` on that no instance has at the same time. */
static unsigned free_number(const Scenario *scenario, const MigInstance *instance, unsigned first,
                            bool is_id) {
    unsigned number = first;
    for (size_t i = 0; i < scenario->mig_count; i++) {
        const MigInstance *other = &scenario->migs[i];
        if (overlap(instance, other) && (is_id ? other->id : other->index) == number) {
            number++;
            i = (size_t)-1; /* look at all of them again */
        }
    }
    return number;
}

/* Slices in use at a moment, with those of the new instance. */
static bool fits_at(const Scenario *scenario, const MigInstance *instance, double t) {
    unsigned slices = mig_profiles[instance->profile].slices;
    unsigned memory = mig_profiles[instance->profile].memory_slices;
    for (size_t i = 0; i < scenario->mig_count; i++) {
        const MigInstance *other = &scenario->migs[i];
        if (other->gpu != instance->gpu || t < other->from || t >= other->until)
            continue;
        slices += mig_profiles[other->profile].slices;
        memory += mig_profiles[other->profile].memory_slices;
    }
    return slices <= MIG_SLICES && memory <= MIG_MEMORY_SLICES;
}

/* The most is in use when one begins. */
static bool fits(const Scenario *scenario, const MigInstance *instance) {
    bool good = fits_at(scenario, instance, instance->from);
    for (size_t i = 0; i < scenario->mig_count && good; i++) {
        const MigInstance *other = &scenario->migs[i];
        if (overlap(instance, other) && other->from > instance->from)
            good = fits_at(scenario, instance, other->from);
    }
    return good;
}

/* A name that stays over changes of the file, and is another for another instance. */
static void name_instance(const Scenario *scenario, MigInstance *instance) {
    uint64_t place = (uint64_t)instance->gpu << 32 | scenario->mig_count << 8 | instance->profile;
    uint64_t high = scramble(place), low = scramble(place ^ (uint64_t)(instance->from * 1000));
    snprintf(instance->uuid, sizeof instance->uuid, "MIG-%08x-%04x-5%03x-%04x-%012llx",
             (unsigned)(high >> 32), (unsigned)(high >> 16) & 0xFFFF, (unsigned)high & 0xFFF,
             (unsigned)(low >> 48), (unsigned long long)low & 0xFFFFFFFFFFFFULL);
}

static bool add_instance(Parser *parser, const Line *line, unsigned gpu) {
    Scenario *scenario = parser->scenario;
    const Preset *preset = scenario->gpus[gpu].preset;
    MigInstance instance = line->instance;
    instance.gpu = gpu;
    if (!preset->has_mig)
        return fail(parser, "%s has no MIG", preset->id);
    instance.profile = mig_profile_find(preset, line->profile);
    if (instance.profile == MIG_PROFILES)
        return fail(parser, "%s has no profile \"%s\" (such as %s)", preset->id, line->profile,
                    preset->mig_names[0]);
    if (scenario->mig_count == MAX_MIGS)
        return fail(parser, "more than %d MIG instances", MAX_MIGS);
    if (!fits(scenario, &instance))
        return fail(parser, "GPU %u has no room for another %s", gpu, line->profile);
    instance.index = free_number(scenario, &instance, 0, false);
    instance.id = free_number(scenario, &instance, mig_profiles[instance.profile].first_id, true);
    name_instance(scenario, &instance);
    scenario->gpus[gpu].mig = true;
    scenario->migs[scenario->mig_count++] = instance;
    return true;
}

bool read_mig(Parser *parser) {
    Line line = {.count = 1, .instance = {.share = 1, .until = INFINITY}};
    const Option options[] = {{"gpu", set_gpus, &line.gpus},
                              {"profile", set_profile, &line},
                              {"count", set_unsigned, &line.count},
                              {"memory", set_size, &line.instance.memory},
                              {"share", set_ratio, &line.instance.share},
                              {"from", set_duration, &line.instance.from},
                              {"until", set_duration, &line.instance.until}};
    if (!READ_OPTIONS(parser, 1, options))
        return false;
    if (line.gpus == 0 || line.profile[0] == '\0')
        return fail(parser, "mig needs gpu= and profile=");
    if (line.instance.until <= line.instance.from)
        return fail(parser, "until is not after from");
    for (unsigned gpu = 0; gpu < parser->scenario->gpu_count; gpu++)
        for (unsigned i = 0; line.gpus >> gpu & 1 && i < line.count; i++)
            if (!add_instance(parser, &line, gpu))
                return false;
    return true;
}
