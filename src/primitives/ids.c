/* Ids: comparison and the reversed hex by which people and RPC name a hash. Bytes stay in wire order in
 * every struct; reversal happens here and nowhere else, so that it can never happen twice. */
#include "coin/primitives/ids.h"

#include <string.h>

#define HASH_SIZE_B 32
#define SHOW_RING 8 /* buffers per thread: more than any log line names ids */
#define OUTPOINT_INDEX_NULL 0xffffffffu

_Static_assert(sizeof(struct outpoint) == HASH_SIZE_B + 4, "outpoint is a table key: no padding");

static const uint8_t zero_hash[HASH_SIZE_B];

bool txid_equal(const struct txid *a, const struct txid *b)
{
    return memcmp(a->b, b->b, HASH_SIZE_B) == 0;
}

bool wtxid_equal(const struct wtxid *a, const struct wtxid *b)
{
    return memcmp(a->b, b->b, HASH_SIZE_B) == 0;
}

bool block_id_equal(const struct block_id *a, const struct block_id *b)
{
    return memcmp(a->b, b->b, HASH_SIZE_B) == 0;
}

bool block_id_is_zero(const struct block_id *id)
{
    return memcmp(id->b, zero_hash, HASH_SIZE_B) == 0;
}

bool outpoint_equal(const struct outpoint *a, const struct outpoint *b)
{
    return a->index == b->index && txid_equal(&a->txid, &b->txid);
}

bool outpoint_is_null(const struct outpoint *o)
{
    return o->index == OUTPOINT_INDEX_NULL && memcmp(o->txid.b, zero_hash, HASH_SIZE_B) == 0;
}

void hash_to_hex(char out[ID_HEX_SIZE_B], const uint8_t hash[32])
{
    uint8_t reversed[HASH_SIZE_B];
    for (size_t i = 0; i < HASH_SIZE_B; i++)
        reversed[i] = hash[HASH_SIZE_B - 1 - i];
    hex_encode(out, reversed, HASH_SIZE_B);
}

bool hash_from_hex(uint8_t out[32], struct span hex)
{
    uint8_t reversed[HASH_SIZE_B];
    if (!hex_decode(reversed, HASH_SIZE_B, hex))
        return false;
    for (size_t i = 0; i < HASH_SIZE_B; i++)
        out[i] = reversed[HASH_SIZE_B - 1 - i];
    return true;
}

const char *hash_show(const uint8_t hash[32])
{
    static _Thread_local char ring[SHOW_RING][ID_HEX_SIZE_B];
    static _Thread_local unsigned next;
    char *text = ring[next++ % SHOW_RING];
    hash_to_hex(text, hash);
    return text;
}
