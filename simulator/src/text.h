/* Words, values and errors of a scenario file. */
#ifndef TEXT_H
#define TEXT_H

#include "scenario.h"

enum { MAX_WORDS = 32 };

typedef struct {
    Scenario *scenario;
    const char *file;
    unsigned line;
    bool gpu_named; /* a line has named a GPU: their number is settled */
    char *error;
    size_t error_size;
    char *words[MAX_WORDS];
    size_t word_count;
} Parser;

typedef bool (*Setter)(Parser *parser, const char *value, void *target);

typedef struct {
    const char *key;
    Setter set;
    void *target;
} Option;

/* Writes the one-line error; always false, so that a parser can `return fail(...)`. */
bool fail(Parser *parser, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Cuts a line into the parser's words. */
bool split_words(Parser *parser, char *line);
/* Whether there are so many words, of the form that the error message shows. */
bool want_words(Parser *parser, size_t count, const char *form);
bool no_more_words(Parser *parser, size_t count);
/* Reads the words from `first` on as key=value. */
bool read_options(Parser *parser, size_t first, const Option *options, size_t count);

#define READ_OPTIONS(parser, first, options)                                                       \
    read_options(parser, first, options, sizeof(options) / sizeof *(options))

bool set_number(Parser *parser, const char *value, void *target);   /* double */
bool set_ratio(Parser *parser, const char *value, void *target);    /* double, 0 to 1 */
bool set_unsigned(Parser *parser, const char *value, void *target); /* unsigned */
bool set_percent(Parser *parser, const char *value, void *target);  /* unsigned, 0 to 100 */
bool set_duration(Parser *parser, const char *value, void *target); /* double, seconds */
bool set_size(Parser *parser, const char *value, void *target);     /* uint64_t, bytes */
bool set_watts(Parser *parser, const char *value, void *target);    /* unsigned, milliwatts */
bool set_switch(Parser *parser, const char *value, void *target);   /* bool: on, off */
bool set_mig(Parser *parser, const char *value, void *target);      /* int: a MIG device, 0 to 6 */
bool set_gpus(Parser *parser, const char *value, void *target);     /* GpuMask */
bool set_call(Parser *parser, const char *value, void *target);     /* char[CALL_NAME_SIZE] */
bool set_code(Parser *parser, const char *value, void *target);     /* nvmlReturn_t */
/* The target of set_text. */
typedef struct {
    char *text;
    size_t size;
} TextField;
bool set_text(Parser *parser, const char *value, void *target);

bool copy_text(Parser *parser, const char *value, char *target, size_t size);

#endif
