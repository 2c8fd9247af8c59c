#include "mig.h"

bool mig_mode(const View *view) {
    const Fault *fault = model_window(view, FAULT_MIG_MODE);
    return fault != NULL ? fault->value : view->gpu->mig;
}

bool mig_mode_pending(const View *view) {
    const Fault *fault = model_window(view, FAULT_MIG_PENDING);
    return fault != NULL ? fault->value : mig_mode(view);
}

bool mig_exists(const MigInstance *instance, const View *view) {
    return instance->gpu == view->index && view->t >= instance->from && view->t < instance->until &&
           mig_mode(view);
}

const MigInstance *mig_by_index(const View *view, unsigned index) {
    for (size_t i = 0; i < view->scenario->mig_count; i++) {
        const MigInstance *instance = &view->scenario->migs[i];
        if (instance->index == index && mig_exists(instance, view))
            return instance;
    }
    return NULL;
}

const MigInstance *mig_by_gpu_instance(const View *view, unsigned id) {
    for (size_t i = 0; i < view->scenario->mig_count; i++) {
        const MigInstance *instance = &view->scenario->migs[i];
        if (instance->id == id && mig_exists(instance, view))
            return instance;
    }
    return NULL;
}

const MigInstance *mig_of_process(const Process *process, const View *view) {
    return process->mig >= 0 ? mig_by_index(view, (unsigned)process->mig) : NULL;
}

const MigProfile *mig_profile(const MigInstance *instance) {
    return &mig_profiles[instance->profile];
}

unsigned mig_multiprocessors(const MigInstance *instance, const Gpu *gpu) {
    return gpu->preset->mig_multiprocessors[instance->profile];
}

unsigned mig_engines(const MigInstance *instance, unsigned have) {
    const MigProfile *profile = mig_profile(instance);
    unsigned share = profile->slices * have / MIG_SLICES;
    return share == 0 && profile->media ? have > 0 : share;
}

uint64_t mig_memory_total(const MigInstance *instance, const Gpu *gpu) {
    uint64_t usable = gpu->preset->memory_mib - gpu->preset->memory_reserved_mib;
    return (usable * mig_profile(instance)->memory_slices / MIG_MEMORY_SLICES) << 20;
}

uint64_t mig_memory_used(const MigInstance *instance, const View *view) {
    uint64_t used = instance->memory;
    for (size_t i = 0; i < view->scenario->process_count; i++) {
        const Process *process = &view->scenario->processes[i];
        if (process_runs(process, view) && mig_of_process(process, view) == instance)
            used += process->memory;
    }
    uint64_t most = mig_memory_total(instance, view->gpu);
    return used < most ? used : most;
}
