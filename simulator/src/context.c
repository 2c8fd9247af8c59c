#include "context.h"

#include "mig.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* A handle is an address in this array: it stays good over changes of the scenario. */
struct nvmlDevice {
    char unused;
};
static struct nvmlDevice handles[MAX_GPUS];

/* Handles of MIG devices stand for an instance, which its name tells from others: it may be gone.
 */
enum { MAX_MIG_HANDLES = 4096 };
static struct nvmlDevice mig_handles[MAX_MIG_HANDLES];
static char mig_uuids[MAX_MIG_HANDLES][sizeof((MigInstance *)NULL)->uuid];
static atomic_uint mig_handle_count;
static pthread_mutex_t naming = PTHREAD_MUTEX_INITIALIZER;

/* A scenario that was replaced is never freed: another thread may still be using it, and only an
 * edit of the file makes a new one. */
static _Atomic(const Scenario *) current;
static pthread_mutex_t reading = PTHREAD_MUTEX_INITIALIZER;
static _Atomic int64_t next_look_us;
static atomic_uint users;

static int64_t clock_us(clockid_t id) {
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

typedef struct {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
} FileState;

static bool same_state(const FileState *a, const FileState *b) {
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* Reads the scenario if there is none yet or its file has changed; called with `reading` held. */
static void read_again(void) {
    static FileState seen;
    static bool tried;
    char error[1024];
    const char *path = getenv("GPUGLASS_SIM_SCENARIO");
    Scenario *scenario;
    if (path == NULL || *path == '\0') {
        if (tried)
            return;
        scenario = scenario_default(error, sizeof error);
    } else {
        struct stat status;
        FileState state = {0};
        if (stat(path, &status) == 0)
            state = (FileState){status.st_dev, status.st_ino, status.st_size, status.st_mtim};
        if (tried && same_state(&state, &seen))
            return;
        seen = state;
        scenario = scenario_from_file(path, error, sizeof error);
    }
    tried = true;
    if (scenario == NULL) {
        fprintf(stderr, "%s\n", error);
        return;
    }
    scenario->older = atomic_load(&current);
    atomic_store(&current, scenario);
}

const Scenario *context_scenario(void) {
    const int64_t look_every_us = 100000;
    int64_t now = clock_us(CLOCK_MONOTONIC);
    int64_t due = atomic_load(&next_look_us);
    if (now < due)
        return atomic_load(&current);
    pthread_mutex_lock(&reading);
    if (atomic_load(&next_look_us) == due) {
        read_again();
        atomic_store(&next_look_us, now + look_every_us);
    }
    pthread_mutex_unlock(&reading);
    return atomic_load(&current);
}

double context_time(const Scenario *scenario, int64_t *now_us) {
    if (scenario->frozen) {
        *now_us = scenario->start_us + (int64_t)floor(scenario->frozen_at * 1e6 + 0.5);
        return scenario->frozen_at;
    }
    *now_us = clock_us(CLOCK_REALTIME);
    return *now_us > scenario->start_us ? (double)(*now_us - scenario->start_us) / 1e6 : 0;
}

nvmlDevice_t context_handle(unsigned index) { return &handles[index]; }

nvmlDevice_t context_mig_handle(const MigInstance *instance) {
    pthread_mutex_lock(&naming);
    unsigned count = atomic_load(&mig_handle_count), i = 0;
    while (i < count && strcmp(mig_uuids[i], instance->uuid) != 0)
        i++;
    if (i == count && count < MAX_MIG_HANDLES) {
        strcpy(mig_uuids[i], instance->uuid);
        atomic_store(&mig_handle_count, count + 1);
    }
    pthread_mutex_unlock(&naming);
    return i < MAX_MIG_HANDLES ? &mig_handles[i] : NULL;
}

/* The place of a handle in an array of them; false if it is in none. */
static bool place_in(nvmlDevice_t device, const struct nvmlDevice *array, unsigned count,
                     unsigned *place) {
    uintptr_t offset = (uintptr_t)device - (uintptr_t)array;
    *place = (unsigned)(offset / sizeof *array);
    return (uintptr_t)device >= (uintptr_t)array && offset < count * sizeof *array;
}

/* The instance of a handle's name, whether it exists at present or not; NULL if it never does. */
static const MigInstance *instance_of(const Scenario *scenario, unsigned place) {
    for (size_t i = 0; i < scenario->mig_count; i++)
        if (strcmp(scenario->migs[i].uuid, mig_uuids[place]) == 0)
            return &scenario->migs[i];
    return NULL;
}

void context_sleep(double seconds) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    double whole = floor(seconds);
    until.tv_sec += (time_t)whole;
    until.tv_nsec += (long)((seconds - whole) * 1e9);
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        continue;
}

static void delay(const Scenario *scenario, const char *name) {
    double seconds = scenario->default_latency;
    for (size_t i = 0; i < scenario->latency_count; i++)
        if (strcmp(scenario->latencies[i].call, name) == 0)
            seconds = scenario->latencies[i].seconds;
    if (seconds > 0)
        context_sleep(seconds);
}

/* No lock is held here: other threads' calls go on. */
static void hang(const Scenario *scenario, const Fault *fault) {
    int64_t ignored;
    double end = fault_end(fault, context_time(scenario, &ignored));
    while (context_time(scenario, &ignored) < end)
        context_sleep(0.02);
}

static void crash(void) {
    int *volatile nowhere = NULL;
    *(volatile int *)nowhere = 0;
}

static bool fault_meant(const Fault *fault, const char *name, const View *view) {
    /* A fault for certain GPUs is not for calls that have no GPU. */
    bool here = view->gpu != NULL ? fault_touches(fault, view) : fault->gpus == ~(GpuMask)0;
    return here && (fault->call[0] == '\0' || strcmp(fault->call, name) == 0) &&
           fault_active(fault, view->t);
}

static nvmlReturn_t suffer(const char *name, const View *view) {
    for (size_t i = 0; i < view->scenario->fault_count; i++) {
        const Fault *fault = &view->scenario->faults[i];
        if (fault->kind != FAULT_HANG && fault->kind != FAULT_SEGFAULT &&
            fault->kind != FAULT_ERROR)
            continue;
        if (!fault_meant(fault, name, view))
            continue;
        if (fault->kind == FAULT_ERROR)
            return fault->code;
        if (fault->kind == FAULT_HANG)
            hang(view->scenario, fault);
        else
            crash();
    }
    return NVML_SUCCESS;
}

static void set_time(Call *call) {
    call->view.t = context_time(call->view.scenario, &call->now_us);
}

nvmlReturn_t call_begin(const char *name, Call *call) {
    *call = (Call){.view.scenario = context_scenario()};
    if (atomic_load(&users) == 0 || call->view.scenario == NULL)
        return NVML_ERROR_UNINITIALIZED;
    delay(call->view.scenario, name);
    set_time(call);
    nvmlReturn_t result = machine_check_driver(call->view.scenario, call->view.t);
    return result == NVML_SUCCESS ? suffer(name, &call->view) : result;
}

/* Which GPU a handle is of, and which MIG instance if it is one's. */
static nvmlReturn_t find_device(nvmlDevice_t device, View *view) {
    unsigned place;
    if (place_in(device, handles, MAX_GPUS, &view->index))
        return NVML_SUCCESS;
    if (!place_in(device, mig_handles, atomic_load(&mig_handle_count), &place))
        return NVML_ERROR_INVALID_ARGUMENT;
    view->mig = instance_of(view->scenario, place);
    if (view->mig == NULL)
        return NVML_ERROR_INVALID_ARGUMENT;
    view->index = view->mig->gpu;
    return NVML_SUCCESS;
}

nvmlReturn_t call_begin_any_device(const char *name, nvmlDevice_t device, Call *call) {
    *call = (Call){.view.scenario = context_scenario()};
    const Scenario *scenario = call->view.scenario;
    if (atomic_load(&users) == 0 || scenario == NULL)
        return NVML_ERROR_UNINITIALIZED;
    nvmlReturn_t result = find_device(device, &call->view);
    if (result != NVML_SUCCESS)
        return result;
    delay(scenario, name);
    set_time(call);
    result = machine_check_driver(scenario, call->view.t);
    if (result != NVML_SUCCESS)
        return result;
    /* A handle from a time when there were more GPUs. */
    if (call->view.index >= machine_gpu_count(scenario, call->view.t))
        return NVML_ERROR_GPU_IS_LOST;
    call->view.gpu = &scenario->gpus[call->view.index];
    result = suffer(name, &call->view);
    if (result != NVML_SUCCESS)
        return result;
    set_time(call); /* a hang may have passed */
    if (machine_gpu_lost(scenario, call->view.index, call->view.t))
        return NVML_ERROR_GPU_IS_LOST;
    /* The handle of an instance that is no more is no handle. */
    bool gone = call->view.mig != NULL && !mig_exists(call->view.mig, &call->view);
    return gone ? NVML_ERROR_INVALID_ARGUMENT : NVML_SUCCESS;
}

nvmlReturn_t call_begin_device(const char *name, nvmlDevice_t device, Call *call) {
    nvmlReturn_t result = call_begin_any_device(name, device, call);
    if (result == NVML_SUCCESS && call->view.mig != NULL)
        return NVML_ERROR_NOT_SUPPORTED;
    return result;
}

static void add_user(const View *view) {
    static pthread_mutex_t adding = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&adding);
    machine_meet(view, atomic_load(&users) == 0);
    atomic_fetch_add(&users, 1);
    pthread_mutex_unlock(&adding);
}

nvmlReturn_t context_init(const char *name) {
    Call call = {.view.scenario = context_scenario()};
    if (call.view.scenario == NULL)
        return NVML_ERROR_UNKNOWN;
    delay(call.view.scenario, name);
    set_time(&call);
    nvmlReturn_t result = suffer(name, &call.view);
    for (size_t i = 0; i < call.view.scenario->fault_count && result == NVML_SUCCESS; i++) {
        const Fault *fault = &call.view.scenario->faults[i];
        if (fault->kind == FAULT_INIT && fault_active(fault, call.view.t))
            result = fault->code;
    }
    if (result == NVML_SUCCESS &&
        machine_check_driver(call.view.scenario, call.view.t) != NVML_SUCCESS)
        result = NVML_ERROR_LIB_RM_VERSION_MISMATCH;
    if (result == NVML_SUCCESS)
        add_user(&call.view);
    return result;
}

nvmlReturn_t context_shutdown(const char *name) {
    Call call = {.view.scenario = context_scenario()};
    if (call.view.scenario == NULL)
        return NVML_ERROR_UNINITIALIZED;
    delay(call.view.scenario, name);
    unsigned count = atomic_load(&users);
    while (count > 0)
        if (atomic_compare_exchange_weak(&users, &count, count - 1))
            return NVML_SUCCESS;
    return NVML_ERROR_UNINITIALIZED;
}

nvmlReturn_t give_text(const char *text, char *buffer, unsigned size) {
    WANT(buffer != NULL);
    size_t needed = strlen(text) + 1;
    if (size < needed)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    memcpy(buffer, text, needed);
    return NVML_SUCCESS;
}
