/* embedded.h - the chain files that are built in; the array is made by contrib/embed-chains. */
#ifndef COIN_CHAIN_EMBEDDED_H
#define COIN_CHAIN_EMBEDDED_H

#include <stddef.h>
#include <stdint.h>

struct embedded_chain {
    const char *name; /* NULL ends the array */
    const uint8_t *text;
    size_t size_b;
};
extern const struct embedded_chain embedded_chains[];

#endif
