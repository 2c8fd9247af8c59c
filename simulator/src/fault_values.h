/* Reads the values of `at` lines into a Fault, which is the target of each of these. */
#ifndef FAULT_VALUES_H
#define FAULT_VALUES_H

#include "text.h"

bool set_reason(Parser *parser, const char *value, void *target);
bool set_location(Parser *parser, const char *value, void *target);
bool set_action(Parser *parser, const char *value, void *target);
bool set_result(Parser *parser, const char *value, void *target);
bool set_fault_load(Parser *parser, const char *value, void *target);
bool set_value(Parser *parser, const char *value, void *target);
bool set_fabric_state(Parser *parser, const char *value, void *target);
bool set_health(Parser *parser, const char *value, void *target);
bool set_misconfiguration(Parser *parser, const char *value, void *target);
bool set_mode(Parser *parser, const char *value, void *target);
bool set_gpu_count(Parser *parser, const char *value, void *target);
bool set_field(Parser *parser, const char *value, void *target);
bool set_repeat(Parser *parser, const char *value, void *target);
bool set_version(Parser *parser, const char *value, void *target);
bool set_order(Parser *parser, const char *value, void *target);
bool set_setting(Parser *parser, const char *value, void *target);
bool set_set_to(Parser *parser, const char *value, void *target);

#endif
