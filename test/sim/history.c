/* Chains for measurements. A coinbase is fanned out once, and from then on every block spends what the one before
 * made: the number of transactions per block stays the same for as long as wanted. */
#include "history.h"

#include <stdio.h>
#include <stdlib.h>

#include "coin/base/mem.h"
#include "maker.h"
#include "signer.h"

#define BLOCKS_MAX (1u << 20)
#define KEYS 16
#define SIGNED_SAT 1000000

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "history: %s failed\n", what);
    exit(1);
}

static const struct block *add(struct history *history, const struct chain *chain, const struct block *prev,
    struct tx *const *txs, uint32_t count)
{
    struct maker_block spec = {.prev = prev->id,
        .height = (int32_t)history->count + 1,
        .time_s = prev->header.time_s + 1,
        .bits = prev->header.bits,
        .txs = txs,
        .tx_count = count,
        .salt = history->count};
    must(mem_try_grow(&history->blocks, &history->capacity, history->count + 1, BLOCKS_MAX, sizeof *history->blocks),
        "memory");
    for (uint32_t i = 0; i < count; i++)
        history->inputs += txs[i]->in_count;
    return history->blocks[history->count++] = maker_build(chain, &spec);
}

void history_free(struct history *history)
{
    for (uint32_t i = 0; i < history->count; i++)
        block_unref(history->blocks[i]);
    mem_free(history->blocks);
}

struct history history_small(const struct chain *chain, uint32_t blocks)
{
    struct history history = {0};
    const struct block *prev = chain->genesis;
    for (uint32_t i = 0; i < blocks; i++)
        prev = add(&history, chain, prev, NULL, 0);
    return history;
}

/* Until the first coinbase may be spent. */
static const struct block *ripen(struct history *history, const struct chain *chain)
{
    const struct block *prev = chain->genesis;
    for (int i = 0; i <= chain->coinbase_maturity; i++)
        prev = add(history, chain, prev, NULL, 0);
    history->plain = history->count + 1;
    return prev;
}

struct history history_coins(const struct chain *chain, uint32_t blocks, uint32_t txs)
{
    struct history history = {0};
    const struct block *prev = ripen(&history, chain);
    const struct tx *coinbase = &history.blocks[0]->txs[0];
    struct outpoint from = {coinbase->txid, 0};
    struct tx *fan = maker_spend(&from, 1, coinbase->out[0].value_sat, txs);
    prev = add(&history, chain, prev, &fan, 1);
    static struct outpoint next[HISTORY_TXS];
    static int64_t values[HISTORY_TXS];
    static struct tx *made[HISTORY_TXS];
    for (uint32_t i = 0; i < txs; i++) {
        next[i] = (struct outpoint){fan->txid, i};
        values[i] = fan->out[i].value_sat;
    }
    tx_unref(fan);
    for (uint32_t b = 0; b < blocks; b++) {
        for (uint32_t i = 0; i < txs; i++) {
            made[i] = maker_spend(&next[i], 1, values[i], 2);
            next[i] = (struct outpoint){made[i]->txid, b & 1};
            values[i] = made[i]->out[b & 1].value_sat; /* halved at every step, in the end nothing */
        }
        prev = add(&history, chain, prev, made, txs);
        for (uint32_t i = 0; i < txs; i++)
            tx_unref(made[i]);
    }
    return history;
}

struct history history_signed(const struct chain *chain, uint32_t blocks, uint32_t txs)
{
    struct history history = {0};
    const struct block *prev = ripen(&history, chain);
    static uint8_t scripts[KEYS][SIGNER_SCRIPT_MAX_B];
    struct span script[KEYS];
    for (uint32_t k = 0; k < KEYS; k++)
        script[k] = span_of(scripts[k], signer_script(scripts[k], k % 2 == 0 ? SIGNER_ECDSA : SIGNER_SCHNORR, k));
    static struct outpoint next[HISTORY_TXS];
    static struct coin coins[HISTORY_TXS];
    static struct tx *made[HISTORY_TXS];
    struct tx *fan = NULL;
    struct tx_draft draft;
    struct fail why;
    struct outpoint from = {history.blocks[0]->txs[0].txid, 0};
    tx_draft_init(&draft);
    must(tx_draft_add_in(&draft, &from, SEQUENCE_FINAL) != NULL, "memory");
    for (uint32_t i = 0; i < txs; i++)
        must(tx_draft_add_out(&draft, SIGNED_SAT, script[i % KEYS]) != NULL, "memory");
    must(tx_draft_finish(&fan, &draft, &why), "transaction");
    tx_draft_clear(&draft);
    prev = add(&history, chain, prev, &fan, 1);
    for (uint32_t i = 0; i < txs; i++) {
        next[i] = (struct outpoint){fan->txid, i};
        coins[i] = (struct coin){.value_sat = SIGNED_SAT, .script = script[i % KEYS]};
    }
    tx_unref(fan);
    for (uint32_t b = 0; b < blocks; b++) {
        for (uint32_t i = 0; i < txs; i++) {
            uint32_t key = i % KEYS;
            made[i] = signer_spend(
                &next[i], &coins[i], key % 2 == 0 ? SIGNER_ECDSA : SIGNER_SCHNORR, key, script[key], 1);
            next[i] = (struct outpoint){made[i]->txid, 0};
        }
        prev = add(&history, chain, prev, made, txs);
        for (uint32_t i = 0; i < txs; i++)
            tx_unref(made[i]);
    }
    return history;
}
