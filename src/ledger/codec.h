/* codec.h - coins and undo data as they lie on disk. Private to the ledger. Thread: any (pure). */
#ifndef COIN_LEDGER_CODEC_H
#define COIN_LEDGER_CODEC_H

#include "coin/base/bytes.h"
#include "coin/ledger/ledger.h"

/* Bitcoin's base-128 number: most significant group first, each continued group counts one more, so
 * every number has one form. */
void put_varint(struct buf *out, uint64_t v);
uint64_t rd_varint(struct reader *r);

/* Standard scripts as 21 or 33 bytes, others as size + 6 and the bytes. */
void script_pack(struct buf *out, struct span script);
/* The script in arena. Sticky failure in r. */
struct span script_unpack(struct reader *r, struct arena *arena);

/* A row of the chainstate: varint(2 * height + coinbase) | varint(packed amount) | packed script. */
void coin_pack(struct buf *out, const struct coin *coin);
void rd_coin(struct coin *coin, struct reader *r, struct arena *arena); /* sticky failure in r */
bool coin_unpack(
    struct coin *coin, struct span bytes, struct arena *arena, struct fail *why) MUST_USE;

#define COIN_KEY_MAX_B (1 + 32 + 5)
/* 'C' | txid | varint(index). Returns the size. */
size_t coin_key(uint8_t out[COIN_KEY_MAX_B], const struct outpoint *outpoint);
bool coin_key_parse(struct outpoint *outpoint, struct span key);

/* Undo data of a block, as in Bitcoin's rev files: count of transactions but the coinbase, for each the
 * count of its inputs and the coins they spent (with one zero byte after a height that is not 0). */
void undo_pack(struct buf *out, const struct block *block, const struct coin *spent);
/* All coins in order of block's inputs; the counts must match the block. */
bool undo_unpack(struct block_undo **out, const struct block *block, struct span bytes,
    struct fail *why) MUST_USE;
/* Without its block, for those who want the values only. */
bool undo_unpack_alone(struct block_undo **out, struct span bytes, struct fail *why) MUST_USE;

#endif
