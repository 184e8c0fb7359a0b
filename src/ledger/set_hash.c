/* The hash of a set of coins. hash_serialized_3 takes a transaction's coins by index, but keys on disk end in a
 * base-128 number whose bytes sort otherwise from index 16,512 on (80 80 00 lies before 81 00, which is 256). So
 * the coins of one transaction are gathered and sorted before they are hashed. */

#include "coin/ledger/set_hash.h"

#include <stdlib.h>
#include <string.h>

#include "coin/base/mem.h"

#define TX_COINS_MAX ((uint32_t)(BLOCK_SIZE_MAX_B / TX_OUTPUT_SIZE_MIN_B))
#define CODED_FIXED_MAX_B (36 + 4 + 8 + 3) /* but the script; longer ones than a length of 3 bytes tells are no coins */
#define CODED_MAX_B ((size_t)TX_COINS_MAX * CODED_FIXED_MAX_B + BLOCK_SIZE_MAX_B)

struct set_hash_coin {
    uint32_t index;
    uint32_t at_b, size_b; /* in coded */
};

static int by_index(const void *a, const void *b)
{
    const struct set_hash_coin *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

static void finish_tx(struct set_hash *h)
{
    if (h->count > 1)
        qsort(h->coins, h->count, sizeof *h->coins, by_index);
    for (uint32_t i = 0; i < h->count; i++)
        sha256_add(&h->serialized, h->coded.data + h->coins[i].at_b, h->coins[i].size_b);
    h->count = 0;
    h->coded.size_b = 0;
}

static bool gather(struct set_hash *h, const struct outpoint *outpoint, const struct coin *coin, struct fail *why)
{
    if (h->count > 0 && !txid_equal(&h->txid, &outpoint->txid))
        finish_tx(h);
    h->txid = outpoint->txid;
    size_t at_b = h->coded.size_b;
    coin_encode_for_hash(&h->coded, outpoint, coin);
    if (!buf_ok(&h->coded, "the coins of a transaction", why))
        return false;
    if (!mem_try_grow(&h->coins, &h->capacity, h->count + 1, TX_COINS_MAX, sizeof *h->coins))
        return fail_oom(why, "the coins of a transaction");
    h->coins[h->count++] =
        (struct set_hash_coin){outpoint->index, (uint32_t)at_b, (uint32_t)(h->coded.size_b - at_b)};
    return true;
}

void set_hash_init(struct set_hash *h, enum set_hash_kind kind)
{
    memset(h, 0, sizeof *h);
    h->kind = kind;
    sha256_begin(&h->serialized);
    muhash_init(&h->muhash);
    buf_init(&h->coded, CODED_MAX_B);
}

void set_hash_clear(struct set_hash *h)
{
    buf_clear(&h->coded);
    mem_free(h->coins);
    h->coins = NULL;
    h->count = h->capacity = 0;
}

bool set_hash_add(struct set_hash *h, const struct outpoint *outpoint, const struct coin *coin, struct fail *why)
{
    switch (h->kind) {
    case SET_HASH_NONE:
        return true;
    case SET_HASH_SERIALIZED:
        return gather(h, outpoint, coin, why);
    case SET_HASH_MUHASH:
        break;
    }
    h->coded.size_b = 0;
    coin_encode_for_hash(&h->coded, outpoint, coin);
    if (!buf_ok(&h->coded, "a coin's bytes", why))
        return false;
    muhash_add(&h->muhash, buf_span(&h->coded));
    return true;
}

bool set_hash_end(struct set_hash *h, uint8_t out[32], struct fail *why)
{
    memset(out, 0, 32);
    switch (h->kind) {
    case SET_HASH_NONE:
        return true;
    case SET_HASH_SERIALIZED:
        finish_tx(h);
        sha256d_end(&h->serialized, out);
        return true;
    case SET_HASH_MUHASH:
        break;
    }
    return muhash_end(&h->muhash, out, why);
}
