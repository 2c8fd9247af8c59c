#include "text.h"

#include "names.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool fail(Parser *parser, const char *format, ...) {
    int used = snprintf(parser->error, parser->error_size, "%s:%u: ", parser->file, parser->line);
    if (used < 0 || (size_t)used >= parser->error_size)
        return false;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(parser->error + used, parser->error_size - (size_t)used, format, arguments);
    va_end(arguments);
    return false;
}

/* Ends the word at `text` in place, with quotes taken out, and gives what follows it. */
static char *end_word(char *text, bool *quote_open) {
    char *out = text;
    *quote_open = false;
    while (*text != '\0' && (*quote_open || !strchr(" \t\r\n", *text))) {
        if (*text == '"')
            *quote_open = !*quote_open;
        else
            *out++ = *text;
        text++;
    }
    char *rest = *text == '\0' ? text : text + 1;
    *out = '\0';
    return rest;
}

bool split_words(Parser *parser, char *line) {
    parser->word_count = 0;
    for (;;) {
        line += strspn(line, " \t\r\n");
        if (*line == '\0' || *line == '#')
            return true;
        if (parser->word_count == MAX_WORDS)
            return fail(parser, "more than %d words in one line", MAX_WORDS);
        parser->words[parser->word_count++] = line;
        bool quote_open;
        line = end_word(line, &quote_open);
        if (quote_open)
            return fail(parser, "a quote is not closed");
    }
}

static bool unknown_key(Parser *parser, const char *key, const Option *options, size_t count) {
    char known[256] = "";
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "", options[i].key);
    }
    return fail(parser, "unknown key \"%s\" (known: %s)", key, known);
}

bool read_options(Parser *parser, size_t first, const Option *options, size_t count) {
    for (size_t word = first; word < parser->word_count; word++) {
        char *key = parser->words[word];
        char *equals = strchr(key, '=');
        if (equals == NULL || equals == key)
            return fail(parser, "expected key=value, not \"%s\"", key);
        *equals = '\0';
        size_t i = 0;
        while (i < count && strcmp(options[i].key, key) != 0)
            i++;
        if (i == count)
            return unknown_key(parser, key, options, count);
        if (!options[i].set(parser, equals + 1, options[i].target))
            return false;
        *equals = '='; /* a line for several GPUs is read once for each */
    }
    return true;
}

/* The number at the start of the text; `unit` is what follows it. */
static bool number_and_unit(const char *text, double *number, const char **unit) {
    if (strspn(text, "0123456789.") == 0)
        return false;
    char *end;
    errno = 0;
    *number = strtod(text, &end);
    *unit = end;
    return end != text && errno == 0 && isfinite(*number);
}

bool set_number(Parser *parser, const char *value, void *target) {
    const char *unit;
    if (!number_and_unit(value, target, &unit) || *unit != '\0')
        return fail(parser, "\"%s\" is not a number", value);
    return true;
}

bool set_ratio(Parser *parser, const char *value, void *target) {
    if (!set_number(parser, value, target))
        return false;
    if (*(double *)target > 1)
        return fail(parser, "\"%s\" is not between 0 and 1", value);
    return true;
}

bool set_unsigned(Parser *parser, const char *value, void *target) {
    char *end;
    errno = 0;
    unsigned long number = strtoul(value, &end, 10);
    if (strspn(value, "0123456789") != strlen(value) || end == value || errno != 0 ||
        number > UINT32_MAX)
        return fail(parser, "\"%s\" is not a whole number", value);
    *(unsigned *)target = (unsigned)number;
    return true;
}

bool set_percent(Parser *parser, const char *value, void *target) {
    if (!set_unsigned(parser, value, target))
        return false;
    if (*(unsigned *)target > 100)
        return fail(parser, "\"%s\" is not between 0 and 100", value);
    return true;
}

typedef struct {
    const char *name;
    double factor;
} Unit;

static bool scaled(const char *value, const Unit *units, size_t count, double *result) {
    const char *name;
    if (!number_and_unit(value, result, &name))
        return false;
    for (size_t i = 0; i < count; i++)
        if (strcmp(units[i].name, name) == 0) {
            *result *= units[i].factor;
            return true;
        }
    return false;
}

bool set_duration(Parser *parser, const char *value, void *target) {
    static const Unit units[] = {{"", 1},   {"us", 1e-6}, {"ms", 1e-3}, {"s", 1},
                                 {"m", 60}, {"h", 3600},  {"d", 86400}};
    if (!scaled(value, units, sizeof units / sizeof *units, target))
        return fail(parser, "\"%s\" is not a duration (units: us, ms, s, m, h, d)", value);
    return true;
}

bool set_size(Parser *parser, const char *value, void *target) {
    static const Unit units[] = {
        {"", 1}, {"B", 1}, {"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}};
    double bytes;
    if (!scaled(value, units, sizeof units / sizeof *units, &bytes) || bytes > 1e15)
        return fail(parser, "\"%s\" is not a size (units: B, KiB, MiB, GiB)", value);
    *(uint64_t *)target = (uint64_t)bytes;
    return true;
}

bool set_watts(Parser *parser, const char *value, void *target) {
    static const Unit units[] = {{"", 1000}, {"W", 1000}, {"mW", 1}};
    double milliwatts;
    if (!scaled(value, units, sizeof units / sizeof *units, &milliwatts) || milliwatts > 1e8)
        return fail(parser, "\"%s\" is not a power (units: W, mW)", value);
    *(unsigned *)target = (unsigned)milliwatts;
    return true;
}

bool set_switch(Parser *parser, const char *value, void *target) {
    bool on = strcmp(value, "on") == 0;
    if (!on && strcmp(value, "off") != 0)
        return fail(parser, "\"%s\" is neither on nor off", value);
    *(bool *)target = on;
    return true;
}

bool set_mig(Parser *parser, const char *value, void *target) {
    unsigned number;
    if (!set_unsigned(parser, value, &number))
        return false;
    if (number > 6)
        return fail(parser, "\"%s\" is not a MIG device, 0 to 6", value);
    *(int *)target = (int)number;
    return true;
}

/* One number or a range such as 2-5. */
static bool add_gpus(Parser *parser, const char *part, GpuMask *mask) {
    char *end;
    unsigned long first = strtoul(part, &end, 10);
    unsigned long last = first;
    bool valid = end != part;
    if (valid && *end == '-') {
        const char *second = end + 1;
        last = strtoul(second, &end, 10);
        valid = end != second && last >= first;
    }
    if (!valid || *end != '\0' || *part == '-' || *part == '+')
        return fail(parser, "\"%s\" is not a GPU (a number, a range such as 0-3, or *)", part);
    if (last >= parser->scenario->gpu_count)
        return fail(parser, "GPU %lu is out of range (there are %u)", last,
                    parser->scenario->gpu_count);
    for (unsigned long i = first; i <= last; i++)
        *mask |= (GpuMask)1 << i;
    return true;
}

bool set_gpus(Parser *parser, const char *value, void *target) {
    GpuMask *mask = target;
    *mask = 0;
    parser->gpu_named = true;
    if (strcmp(value, "*") == 0) {
        *mask = ~(GpuMask)0;
        return true;
    }
    char parts[128];
    if (!copy_text(parser, value, parts, sizeof parts))
        return false;
    char *rest = parts;
    for (char *part = strsep(&rest, ","); part != NULL; part = strsep(&rest, ","))
        if (!add_gpus(parser, part, mask))
            return false;
    return true;
}

bool set_call(Parser *parser, const char *value, void *target) {
    if (strcmp(value, "*") == 0) {
        *(char *)target = '\0';
        return true;
    }
    if (!is_function_name(value))
        return fail(parser, "unknown NVML function \"%s\"", value);
    return copy_text(parser, value, target, CALL_NAME_SIZE);
}

bool set_code(Parser *parser, const char *value, void *target) {
    if (!code_by_name(value, target))
        return fail(parser, "unknown NVML error \"%s\" (such as gpu_is_lost, timeout, unknown)",
                    value);
    return true;
}

bool set_text(Parser *parser, const char *value, void *target) {
    TextField *field = target;
    return copy_text(parser, value, field->text, field->size);
}

bool copy_text(Parser *parser, const char *value, char *target, size_t size) {
    if (strlen(value) >= size)
        return fail(parser, "\"%s\" is longer than %zu characters", value, size - 1);
    memcpy(target, value, strlen(value) + 1);
    return true;
}

bool want_words(Parser *parser, size_t count, const char *form) {
    if (parser->word_count < count)
        return fail(parser, "expected: %s", form);
    return true;
}

bool no_more_words(Parser *parser, size_t count) {
    if (parser->word_count > count)
        return fail(parser, "unexpected \"%s\"", parser->words[count]);
    return true;
}
