#include "mig_profiles.h"

#include <string.h>

/* In the order of Preset.mig_names. */
const MigProfile mig_profiles[MIG_PROFILES] = {
    {1, 1, 7, false}, {1, 1, 7, true},  {1, 2, 7, false}, {2, 2, 3, false},
    {3, 4, 1, false}, {4, 4, 1, false}, {7, 8, 0, true},
};

unsigned mig_profile_find(const Preset *preset, const char *name) {
    unsigned i = 0;
    while (i < MIG_PROFILES && strcmp(preset->mig_names[i], name) != 0)
        i++;
    return i;
}
