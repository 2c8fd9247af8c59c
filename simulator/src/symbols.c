/* Takes the functions that a scenario calls missing out of this library's symbol table when it is
 * loaded, so that dlsym finds them as little as in the older driver that is played. */
#include "context.h"

#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct {
    ElfW(Sym) * symbols;
    const char *strings;
    size_t count;
} SymbolTable;

/* The first byte of this library in memory. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));

/* glibc has made the addresses in the dynamic section absolute, other loaders leave them alone. */
static const void *absolute(ElfW(Addr) address) {
    uintptr_t base = (uintptr_t)__ehdr_start;
    return (const void *)(address < base ? base + address : address);
}

static SymbolTable own_symbols(void) {
    SymbolTable table = {0};
    for (const ElfW(Dyn) *entry = _DYNAMIC; entry->d_tag != DT_NULL; entry++) {
        const void *address = absolute(entry->d_un.d_ptr);
        if (entry->d_tag == DT_SYMTAB)
            table.symbols = (ElfW(Sym) *)(uintptr_t)address;
        else if (entry->d_tag == DT_STRTAB)
            table.strings = address;
        else if (entry->d_tag == DT_HASH)
            table.count = ((const ElfW(Word) *)address)[1];
    }
    return table;
}

/* A symbol without value and section is one that this library only refers to. */
static bool undefine(ElfW(Sym) * symbol) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = (uintptr_t)symbol & ~(page - 1);
    size_t length = (uintptr_t)(symbol + 1) - start;
    if (mprotect((void *)start, length, PROT_READ | PROT_WRITE) != 0)
        return false;
    symbol->st_value = 0;
    symbol->st_shndx = SHN_UNDEF;
    return mprotect((void *)start, length, PROT_READ) == 0;
}

__attribute__((constructor)) static void remove_missing(void) {
    const Scenario *scenario = context_scenario();
    if (scenario == NULL || scenario->missing_count == 0)
        return;
    SymbolTable table = own_symbols();
    for (size_t i = 0; i < scenario->missing_count; i++)
        for (size_t s = 0; s < table.count; s++) {
            if (strcmp(table.strings + table.symbols[s].st_name, scenario->missing[i]) != 0)
                continue;
            if (!undefine(&table.symbols[s]))
                fprintf(stderr, "cannot hide %s\n", scenario->missing[i]);
        }
}
