/* MIG: one GPU cut into instances, each of which comes and goes. */
#ifndef MIG_H
#define MIG_H

#include "mig_profiles.h"
#include "model.h"

bool mig_mode(const View *view);
/* The mode after the next reset. */
bool mig_mode_pending(const View *view);
/* Instances that exist at this moment; NULL if there is none of this number. */
bool mig_exists(const MigInstance *instance, const View *view);
const MigInstance *mig_by_index(const View *view, unsigned index);
const MigInstance *mig_by_gpu_instance(const View *view, unsigned id);
/* The instance that a process is in; NULL if in none. */
const MigInstance *mig_of_process(const Process *process, const View *view);

const MigProfile *mig_profile(const MigInstance *instance);
unsigned mig_multiprocessors(const MigInstance *instance, const Gpu *gpu);
/* Engines that an instance has of those that the card has. */
unsigned mig_engines(const MigInstance *instance, unsigned have);
uint64_t mig_memory_total(const MigInstance *instance, const Gpu *gpu);
uint64_t mig_memory_used(const MigInstance *instance, const View *view);

#endif
