/* The sizes that a card can be cut into. */
#ifndef MIG_PROFILES_H
#define MIG_PROFILES_H

#include "presets.h"

enum { MIG_PROFILES = 7, MIG_SLICES = 7, MIG_MEMORY_SLICES = 8 };

typedef struct {
    unsigned slices, memory_slices;
    unsigned first_id; /* GPU instances of this size are numbered from here */
    bool media;        /* has the engines that there is only one of */
} MigProfile;

extern const MigProfile mig_profiles[MIG_PROFILES];

/* The place of a name such as 1g.18gb; MIG_PROFILES if the card has none of this name. */
unsigned mig_profile_find(const Preset *preset, const char *name);

#endif
