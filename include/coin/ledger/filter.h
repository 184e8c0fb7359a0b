/* filter.h - BIP158 basic block filters: a small, lossy image of all scripts that a block pays or spends, in
 * which a light client or a rescan looks for its own. No script of the block is ever missed; a foreign one
 * matches by chance once in 784,931. Thread: any (pure). */
#ifndef COIN_LEDGER_FILTER_H
#define COIN_LEDGER_FILTER_H

#include "coin/ledger/ledger.h"

/* A block has no more: an element costs an output, or an input, which is larger. */
#define FILTER_ELEMENTS_MAX ((uint32_t)(BLOCK_SIZE_MAX_B / TX_OUTPUT_SIZE_MIN_B))
/* An element takes 20 bits and its share of the quotients' ones, 1.5 of them. */
#define FILTER_SIZE_MAX_B (5 + 3 * (size_t)FILTER_ELEMENTS_MAX)

/* Appends the filter of a block to out. Elements are the scripts of its outputs but those that begin with
 * OP_RETURN, and the scripts of the coins it spends; empty ones are left out. undo: NULL when it spends none
 * (genesis has no undo data). FAIL_NO_ROOM. */
bool block_filter_build(struct buf *out, const struct block *block, const struct block_undo *undo,
    struct fail *why) MUST_USE;
/* The filter of any elements, in any order and repeated or not, keyed by a block's id. */
bool block_filter_encode(struct buf *out, const struct block_id *id, const struct span *elements, uint32_t count,
    struct fail *why) MUST_USE;

void block_filter_id(uint8_t out[32], struct span filter);
/* Chains a filter to those before it (BIP157). Genesis' previous header is zero. out may be either input. */
void block_filter_header(uint8_t out[32], const uint8_t filter_id[32], const uint8_t previous_header[32]);

/* *match: at least one of the elements is (probably) in the filter. The whole filter is read and must be exactly
 * what an encoder writes; else FAIL_PROTOCOL "filter-decode". FAIL_NO_ROOM. */
bool block_filter_matches_any(struct span filter, const struct block_id *id, const struct span *elements,
    uint32_t count, bool *match, struct fail *why) MUST_USE;

#endif
