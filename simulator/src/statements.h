/* The statements of a scenario file. */
#ifndef STATEMENTS_H
#define STATEMENTS_H

#include "text.h"

/* Scrambles a number into digits that look random, the same on every machine. */
uint64_t scramble(uint64_t value);
/* Gives GPU `index` the properties that its card has without further lines. */
void gpu_set_up(Gpu *gpu, unsigned index, const Preset *preset);
/* Reads the parser's words as one statement. */
bool read_statement(Parser *parser);
/* Each reads the statement of its name. In statements_gpu.c and statements_work.c. */
bool read_gpus(Parser *parser);
bool read_gpu(Parser *parser);
bool read_load(Parser *parser);
bool read_process(Parser *parser);
/* Reads `mig ...`, the instances of a GPU. In statements_mig.c. */
bool read_mig(Parser *parser);
/* Reads `vgpu ...`. In statements_vgpu.c. */
bool read_vgpu(Parser *parser);
/* Reads `at ...`, a fault or an event. In faults.c. */
bool read_fault(Parser *parser);

#endif
