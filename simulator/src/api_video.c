/* Sessions of the encoder and of frame capture. */
#include "api.h"

enum { FPS = 60, LATENCY_US = 4000, CAPTURE_FPS = 30, CAPTURE_LATENCY_US = 5000 };
enum { WIDTH = 1920, HEIGHT = 1080 };

/* One session encodes while the encoder is in use at all. */
static unsigned encoder_sessions(const View *view) {
    return model_percent(view->gpu->encoder * model_load(view)) > 0;
}

NVML_API nvmlReturn_t nvmlDeviceGetEncoderStats(nvmlDevice_t device, unsigned *sessions,
                                                unsigned *fps, unsigned *latency_us) {
    BEGIN_DEVICE(call, device);
    WANT(sessions != NULL && fps != NULL && latency_us != NULL);
    SUPPORTED(call.view.gpu->preset->has_encoder);
    *sessions = encoder_sessions(&call.view);
    *fps = *sessions * FPS;
    *latency_us = *sessions * LATENCY_US;
    return NVML_SUCCESS;
}

/* The first process that encodes by its line; 0 where none does. */
static unsigned encoding_pid(const View *view) {
    for (size_t i = 0; i < view->scenario->process_count; i++) {
        const Process *process = &view->scenario->processes[i];
        if (process->enc > 0 && process_runs(process, view))
            return process->pid;
    }
    return 0;
}

NVML_API nvmlReturn_t nvmlDeviceGetEncoderSessions(nvmlDevice_t device, unsigned *count,
                                                   nvmlEncoderSessionInfo_t *sessions) {
    BEGIN_DEVICE(call, device);
    WANT(count != NULL);
    SUPPORTED(call.view.gpu->preset->has_encoder);
    unsigned room = *count;
    *count = encoder_sessions(&call.view);
    if (sessions == NULL || *count == 0)
        return NVML_SUCCESS;
    if (room < *count)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    *sessions = (nvmlEncoderSessionInfo_t){.sessionId = 1,
                                           .pid = encoding_pid(&call.view),
                                           .hResolution = WIDTH,
                                           .vResolution = HEIGHT,
                                           .averageFps = FPS,
                                           .encodeLatency = LATENCY_US};
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetFBCStats(nvmlDevice_t device, nvmlFBCStats_t *stats) {
    BEGIN_DEVICE(call, device);
    WANT(stats != NULL);
    unsigned captures = call.view.gpu->captures;
    *stats = (nvmlFBCStats_t){captures, captures > 0 ? CAPTURE_FPS : 0,
                              captures > 0 ? CAPTURE_LATENCY_US : 0};
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetFBCSessions(nvmlDevice_t device, unsigned *count,
                                               nvmlFBCSessionInfo_t *sessions) {
    BEGIN_DEVICE(call, device);
    WANT(count != NULL);
    unsigned room = *count;
    *count = call.view.gpu->captures;
    if (sessions == NULL || *count == 0)
        return NVML_SUCCESS;
    if (room < *count)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < *count; i++)
        sessions[i] = (nvmlFBCSessionInfo_t){.sessionId = i + 1,
                                             .hMaxResolution = WIDTH,
                                             .vMaxResolution = HEIGHT,
                                             .hResolution = WIDTH,
                                             .vResolution = HEIGHT,
                                             .averageFPS = CAPTURE_FPS,
                                             .averageLatency = CAPTURE_LATENCY_US};
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetEncoderCapacity(nvmlDevice_t device, unsigned codec,
                                                   unsigned *capacity) {
    BEGIN_DEVICE(call, device);
    WANT(capacity != NULL && codec <= 2);
    SUPPORTED(call.view.gpu->preset->has_encoder);
    *capacity = 100;
    return NVML_SUCCESS;
}
