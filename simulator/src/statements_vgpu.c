/* Reads `vgpu gpu=GPUS type=NAME ...`: what a host of virtual machines has given them. */
#include "statements.h"

#include <math.h>
#include <stdio.h>

/* Names that stay over changes of the file, one for the vGPU and one for its machine. */
static void name_vgpu(const Scenario *scenario, Vgpu *vgpu) {
    uint64_t high = scramble(0xA000 + scenario->vgpu_count), low = scramble(high);
    snprintf(vgpu->uuid, sizeof vgpu->uuid, "%08x-%04x-4%03x-%04x-%012llx", (unsigned)(high >> 32),
             (unsigned)(high >> 16) & 0xFFFF, (unsigned)high & 0xFFF, (unsigned)(low >> 48),
             (unsigned long long)low & 0xFFFFFFFFFFFFULL);
    if (vgpu->vm[0] == '\0')
        snprintf(vgpu->vm, sizeof vgpu->vm, "vm-%zu", scenario->vgpu_count + 1);
}

static bool add_vgpu(Parser *parser, const Vgpu *line, unsigned gpu) {
    Scenario *scenario = parser->scenario;
    Gpu *host = &scenario->gpus[gpu];
    if (!host->preset->data_center)
        return fail(parser, "%s has no vGPUs", host->preset->id);
    if (scenario->vgpu_count == MAX_VGPUS)
        return fail(parser, "more than %d vGPUs", MAX_VGPUS);
    Vgpu vgpu = *line;
    vgpu.gpu = gpu;
    name_vgpu(scenario, &vgpu);
    host->virtualization_mode = VIRTUALIZATION_HOST_VGPU;
    scenario->vgpus[scenario->vgpu_count++] = vgpu;
    return true;
}

bool read_vgpu(Parser *parser) {
    Vgpu vgpu = {.share = 1, .licensed = true, .until = INFINITY};
    GpuMask gpus = 0;
    TextField type = {vgpu.type, sizeof vgpu.type}, vm = {vgpu.vm, sizeof vgpu.vm},
              driver = {vgpu.driver, sizeof vgpu.driver};
    const Option options[] = {{"gpu", set_gpus, &gpus},
                              {"type", set_text, &type},
                              {"vm", set_text, &vm},
                              {"driver", set_text, &driver},
                              {"size", set_size, &vgpu.size},
                              {"memory", set_size, &vgpu.memory},
                              {"share", set_ratio, &vgpu.share},
                              {"licensed", set_switch, &vgpu.licensed},
                              {"from", set_duration, &vgpu.from},
                              {"until", set_duration, &vgpu.until}};
    if (!READ_OPTIONS(parser, 1, options))
        return false;
    if (gpus == 0 || vgpu.type[0] == '\0')
        return fail(parser, "vgpu needs gpu= and type=");
    for (unsigned gpu = 0; gpu < parser->scenario->gpu_count; gpu++)
        if (gpus >> gpu & 1 && !add_vgpu(parser, &vgpu, gpu))
            return false;
    return true;
}
