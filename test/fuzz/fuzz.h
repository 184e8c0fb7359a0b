/* fuzz.h - what the fuzz targets share. A target is one function over bytes; it is linked with libFuzzer
 * by `make fuzz`, and with replay.c by `make check`, which runs the corpus (corpus/NAME.hex). */
#ifndef COIN_TEST_FUZZ_H
#define COIN_TEST_FUZZ_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coin/base/bytes.h"
#include "coin/base/mem.h"
#include "coin/chain/chain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_b);
int LLVMFuzzerInitialize(int *argc, char ***argv); /* start.c: once, before the first input */

/* A property that must hold whatever the bytes are. */
#define FUZZ_HOLDS(condition)                                                       \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                \
        }                                                                           \
    } while (0)

/* The built-in chain of that name, read once. */
static inline const struct chain *fuzz_chain(const char *name)
{
    static struct { const char *name; struct chain *chain; } loaded[4];
    struct fail why;
    for (size_t i = 0; i < sizeof loaded / sizeof *loaded; i++) {
        if (loaded[i].name == NULL) {
            loaded[i].name = name;
            loaded[i].chain = chain_load(name, &why);
            FUZZ_HOLDS(loaded[i].chain != NULL);
        }
        if (strcmp(loaded[i].name, name) == 0)
            return loaded[i].chain;
    }
    abort();
}

#endif
