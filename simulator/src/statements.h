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
/* Reads `mig ...`, the instances of a GPU. In statements_mig.c. */
bool read_mig(Parser *parser);
/* Reads `vgpu ...`. In statements_vgpu.c. */
bool read_vgpu(Parser *parser);
/* Reads `at ...`, a fault or an event. In faults.c. */
bool read_fault(Parser *parser);

#endif
