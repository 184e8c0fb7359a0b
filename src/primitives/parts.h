/* parts.h - what the decoders of this layer tell each other. */
#ifndef COIN_PRIMITIVES_PARTS_H
#define COIN_PRIMITIVES_PARTS_H

#include "coin/primitives/tx.h"

/* The reader's complaint when memory, not the bytes, was the problem; compared by address. */
extern const char tx_no_memory[];

/* Reader's trouble as FAIL_NO_ROOM or FAIL_PROTOCOL; returns false. */
bool decode_failed(const struct reader *r, const char *code, struct fail *why);

#endif
